import logging
import signal

from django.core.management.base import BaseCommand
from django.db import transaction

from orders.models import Order

log = logging.getLogger(__name__)

IDLE_SECONDS = 1
ENDINGS = {signal.SIGINT, signal.SIGTERM}


class Command(BaseCommand):
    help = "Packs the orders that come in, until it is told to end."

    def handle(self, **options):
        # A signal waits until an order is done, so that none is left half.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        pause = 0
        while signal.sigtimedwait(ENDINGS, pause) is None:
            pause = 0 if pack_next() else IDLE_SECONDS


@transaction.atomic
def pack_next():
    """Packs the oldest new order that no other worker is at; False if there
    is none. If the worker is lost, so is its lock, and the next one packs it.
    """
    waiting = Order.objects.filter(state=Order.State.NEW)
    order = waiting.select_for_update(skip_locked=True).first()
    if order is None:
        return False
    order.state = Order.State.PACKED
    order.save(update_fields=["state"])
    log.info("Order %s is packed.", order.number)
    return True
