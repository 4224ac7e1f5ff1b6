from django.db import migrations

from orders.tenants import ISOLATE


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [ISOLATE]
