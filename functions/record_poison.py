"""Records messages that could not be handled; one function for each poison queue."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import azure.functions as func
from azure.core.exceptions import AzureError

from functions.delivery import message_id, parcel_of, store_trip
from shared.deletion.held_up import cause_of, log_held_up
from shared.deletion.messages import Parcel
from shared.deletion.poison import Poisoned, record_poisoned
from shared.deletion.put_back import put_back_if_unharmed
from shared.environment import SettingsError
from shared.services import current_queues, current_storage
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
)

# A poison queue has no poison queue of its own, and the host gives a failed try 10 minutes too.
_POISON_DELAY: Final = timedelta(minutes=10)

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
    data_type=func.DataType.BINARY,
)
def record_poison_checks(message: func.QueueMessage) -> None:
    """Record a check that could not be handled."""
    _record(ORDERS_TO_CHECK, message)


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=CUSTOMERS_READY + POISON_SUFFIX,
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def record_poison_deletes(message: func.QueueMessage) -> None:
    """Record a deletion step that could not be handled."""
    _record(CUSTOMERS_READY, message)


def _record(queue: str, message: func.QueueMessage) -> None:
    parcel = parcel_of(message, moved=True)
    poisoned = Poisoned(queue, message_id(message), parcel.body, parcel.known_since)
    try:
        services = current_storage()
        store_trip(services, parcel)
        if not put_back_if_unharmed(services, queue, parcel, poisoned.message_id):
            record_poisoned(services, poisoned)
    except (SettingsError, AzureError) as error:
        _keep(queue, parcel, error)


def _keep(queue: str, parcel: Parcel, error: SettingsError | AzureError) -> None:
    """Put the message back on its poison queue, because the host would let it expire in a week.

    This trouble, and not the message, may have used up its last try. Raises the error if it is a
    mistake of ours, or another if the queue cannot be used either.
    """
    if cause_of(error) is None:
        raise error
    log_held_up(error, queue=queue)
    for text in replace(parcel, last_try=False).messages():
        current_queues().send(queue + POISON_SUFFIX, text, _POISON_DELAY)
