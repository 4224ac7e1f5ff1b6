"""Creates the tables that are missing."""
from sqlalchemy import event, text

from .models import Base, engine


@event.listens_for(Base.metadata, "after_create")
def isolate_tenants(metadata, connection, tables, **_):
    """Keeps the rows of new tables apart where tenants share them."""
    if connection.scalar(text("SELECT to_regproc('tenantry.isolate')")):
        for table in tables:
            isolate = text("SELECT tenantry.isolate(:table)")
            connection.execute(isolate, {"table": table.name})


if __name__ == "__main__":
    Base.metadata.create_all(engine)
