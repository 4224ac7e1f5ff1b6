"""What Alembic has to know where tenants share tables (isolation Row).

Elsewhere, nothing of this has any effect.
"""
import sqlalchemy as sa

TENANT = "tenant_id"

ISOLATE_ALL = """
DO $$
BEGIN
    IF to_regproc('tenantry.isolate_all') IS NOT NULL THEN
        PERFORM tenantry.isolate_all();
    END IF;
END $$
"""


def isolate(ctx, **_):
    """Keeps the rows of all tables apart: for on_version_apply."""
    ctx.connection.execute(sa.text(ISOLATE_ALL))


def include_object(connection, metadata):
    """Leaves what isolating a table adds to it out of a comparison.

    That is the column tenant_id, its index, and tenant_id as the first
    column of what is unique.
    """

    def include(found, name, kind, reflected, counterpart):
        if kind == "column":
            return not (reflected and counterpart is None and name == TENANT)
        if kind not in ("index", "unique_constraint"):
            return True
        columns = [column.name for column in found.columns]
        if counterpart is not None:
            return [column.name for column in counterpart.columns] != [
                TENANT,
                *columns,
            ]
        if not reflected:
            return [TENANT, *columns] not in stored(found.table)
        return columns[:1] != [TENANT] or (
            columns[1:] and columns[1:] not in declared(found.table.name)
        )

    def stored(table):
        inspector = sa.inspect(connection)
        if not inspector.has_table(table.name, table.schema):
            return []
        return [
            key["column_names"]
            for key in inspector.get_unique_constraints(
                table.name, table.schema
            )
        ]

    def declared(table):
        return [
            [column.name for column in key.columns]
            for key in metadata.tables[table].constraints
            if isinstance(key, sa.UniqueConstraint)
        ]

    return include
