from django.db import migrations, models

from orders.tenants import ISOLATE


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_order_paid")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="state",
            field=models.CharField(
                choices=[
                    ("new", "New"),
                    ("packed", "Packed"),
                    ("billed", "Billed"),
                ],
                default="new",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="fields",
            field=models.JSONField(blank=True, default=dict),
        ),
        # The former version stores orders while this runs, and after it. It
        # doesn't know the columns, and Django's defaults are not in the table.
        migrations.RunSQL(
            """
            ALTER TABLE orders_order
                ALTER state SET DEFAULT 'new', ALTER fields SET DEFAULT '{}'
            """,
            migrations.RunSQL.noop,
        ),
        ISOLATE,
    ]
