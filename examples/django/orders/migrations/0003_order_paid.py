from django.db import migrations, models

from orders.tenants import ISOLATE


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_isolate_tenants")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="paid",
            field=models.BooleanField(default=False),
        ),
        ISOLATE,
    ]
