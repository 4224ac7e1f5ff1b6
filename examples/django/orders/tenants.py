from django.db import migrations

ISOLATE_ALL = """
DO $$
BEGIN
    IF to_regproc('tenantry.isolate_all') IS NOT NULL THEN
        PERFORM tenantry.isolate_all();
    END IF;
END $$
"""


class Isolate(migrations.RunSQL):
    """Keeps the rows of all tables apart where tenants share them (isolation
    Row), and does nothing elsewhere. Migrations that add tables or columns, or
    change what is unique, end by it.

    There, what is unique has tenant_id as its first column. Django looks for a
    constraint to remove by its columns, and doesn't find it. This does.
    """

    def __init__(self):
        super().__init__(ISOLATE_ALL, migrations.RunSQL.noop)

    def deconstruct(self):
        return self.__class__.__qualname__, [], {}

    def database_forwards(self, app_label, editor, from_state, to_state):
        for model in to_state.apps.get_app_config(app_label).get_models():
            drop_removed_keys(model, editor)
        super().database_forwards(app_label, editor, from_state, to_state)


def drop_removed_keys(model, editor):
    declared, names = declared_keys(model)
    table = model._meta.db_table
    with editor.connection.cursor() as cursor:
        found = editor.connection.introspection.get_constraints(cursor, table)
    for name, key in found.items():
        columns = tuple(key["columns"])
        if (
            key["unique"]
            and not key["primary_key"]
            and not key["index"]
            and columns[0] == "tenant_id"
            and name not in names
            and not {columns, columns[1:]} & declared
        ):
            quote = editor.quote_name
            editor.execute(
                f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(name)}"
            )


def declared_keys(model):
    """Columns and names of what the model says is unique."""
    options = model._meta
    fields = options.local_fields
    columns = {(field.column,) for field in fields if field.unique}
    for group in options.unique_together:
        columns.add(tuple(options.get_field(name).column for name in group))
    return columns, {constraint.name for constraint in options.constraints}


ISOLATE = Isolate()
