from django.db import migrations

# Keeps the rows of all tables apart where tenants share them (isolation Row),
# and does nothing elsewhere. Migrations that add tables or columns end by it.
ISOLATE = migrations.RunSQL(
    """
    DO $$
    BEGIN
        IF to_regproc('tenantry.isolate_all') IS NOT NULL THEN
            PERFORM tenantry.isolate_all();
        END IF;
    END $$
    """,
    reverse_sql=migrations.RunSQL.noop,
)
