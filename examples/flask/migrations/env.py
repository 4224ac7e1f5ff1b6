from alembic import context
from flask import current_app

import tenants

database = current_app.extensions["migrate"].db

with database.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=database.metadata,
        include_object=tenants.include_object(connection, database.metadata),
        on_version_apply=tenants.isolate,
    )
    with context.begin_transaction():
        context.run_migrations()
