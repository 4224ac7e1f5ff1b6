from django.core.management.base import BaseCommand

from orders.models import Order


class Command(BaseCommand):
    help = "Bills the orders that are packed."

    def handle(self, **options):
        packed = Order.objects.filter(state=Order.State.PACKED)
        billed = packed.update(state=Order.State.BILLED)
        self.stdout.write(f"Billed orders: {billed}.")
