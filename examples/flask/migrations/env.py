from alembic import context
from flask import current_app

database = current_app.extensions["migrate"].db

# Keeps the rows of all tables apart where tenants share them (isolation Row),
# and does nothing elsewhere.
ISOLATE = """
DO $$
BEGIN
    IF to_regproc('tenantry.isolate_all') IS NOT NULL THEN
        PERFORM tenantry.isolate_all();
    END IF;
END $$
"""


def isolate_tenants(ctx, **_):
    """Follows each migration, in its transaction."""
    ctx.connection.execute(database.text(ISOLATE))


with database.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=database.metadata,
        on_version_apply=isolate_tenants,
    )
    with context.begin_transaction():
        context.run_migrations()
