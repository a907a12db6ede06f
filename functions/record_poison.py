"""Records messages that could not be handled; one function for each poison queue."""

import azure.functions as func

from functions.delivery import message_id
from shared.deletion.poison import Poisoned, record_poisoned
from shared.services import current_services
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
)

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=CUSTOMERS_TO_DELETE + POISON_SUFFIX,
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def record_poison_requests(message: func.QueueMessage) -> None:
    """Record a dropped message that could not be handled."""
    _record(CUSTOMERS_TO_DELETE, message)


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=ORDERS_TO_CHECK + POISON_SUFFIX,
    connection="AzureWebJobsStorage",
)
def record_poison_checks(message: func.QueueMessage) -> None:
    """Record a check that could not be handled."""
    _record(ORDERS_TO_CHECK, message)


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=CUSTOMERS_READY + POISON_SUFFIX,
    connection="AzureWebJobsStorage",
)
def record_poison_deletes(message: func.QueueMessage) -> None:
    """Record a deletion step that could not be handled."""
    _record(CUSTOMERS_READY, message)


def _record(queue: str, message: func.QueueMessage) -> None:
    # A poison queue has no poison queue of its own: what fails here comes back every 10 minutes.
    record_poisoned(current_services(), Poisoned(queue, message_id(message), message.get_body()))
