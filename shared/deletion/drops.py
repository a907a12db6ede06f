"""Takes what people drop: one request at once, several as a message for each."""

from dataclasses import replace

from shared.deletion import steps
from shared.deletion.claims import Delivery
from shared.deletion.messages import Drop
from shared.events import Event, emit
from shared.services import Services
from shared.storage.names import CUSTOMERS_TO_DELETE
from shared.storage.queues import Queues


def take_drop(services: Services, drop: Drop, delivery: Delivery) -> None:
    """Handle the only request of a drop, or put each of several back on the queue."""
    if len(drop) == 1:
        steps.cancel_orders(services, drop[0], delivery)
    else:
        _split(services.queues, drop, delivery)


def _split(queues: Queues, drop: Drop, delivery: Delivery) -> None:
    """Send a message for each request.

    A drop that is delivered again is split again. Each message carries when the drop was inserted,
    so that the later ones count as dropped before the end, or the abort, of what the first started.
    """
    for request in drop:
        forwarded = replace(request, dropped_at=delivery.inserted_at)
        queues.send(CUSTOMERS_TO_DELETE, forwarded.to_json())
    emit(Event.REQUESTS_SPLIT, message=delivery.message_id, requests=len(drop))
