"""What the queue functions share: parse a message, run its step, set bad messages aside."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import azure.functions as func
from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery
from shared.deletion.held_up import log_held_up
from shared.deletion.messages import BadMessage, Parcel, StepMessage, opened
from shared.deletion.poison import Poisoned, record_rejected, reject
from shared.deletion.put_back import put_back_as_it_is, put_back_step
from shared.environment import SettingsError
from shared.partner_center.deadline import limited
from shared.services import Services, current_queues, current_services, current_storage

Parsed = TypeVar("Parsed")


def deliver(
    message: func.QueueMessage,
    queue: str,
    parse: Callable[[bytes], Parsed],
    step: Callable[[Services, Parsed, Delivery], None],
) -> None:
    """Run a step with the message; move one that cannot be parsed to the poison queue.

    While settings are wrong, the message is put back with a delay.
    """
    parcel = parcel_of(message)
    try:
        parsed = parse(parcel.body)
    except BadMessage as error:
        # Raising instead would have the host try a hopeless message five times. The whole message
        # moves, as if the host had: what is inside could be read as another one there.
        reject(current_queues(), queue, message.get_body(), error)
        return
    delivery = Delivery(message_id(message), parcel.inserted_at, parcel.known_since)
    try:
        _run_or_record(queue, parcel, parsed, delivery, step)
    except AzureError as error:
        # No queue and no table may be left to put it back with: the host tries again.
        log_held_up(error, queue=queue)
        raise


def _run_or_record(
    queue: str,
    parcel: Parcel,
    parsed: Parsed,
    delivery: Delivery,
    step: Callable[[Services, Parsed, Delivery], None],
) -> None:
    try:
        _run(queue, parcel, parsed, delivery, step)
    except BadMessage as error:
        poisoned = Poisoned(queue, delivery.message_id, parcel.body, parcel.known_since)
        record_rejected(current_storage(), poisoned, error)


def _run(
    queue: str,
    parcel: Parcel,
    parsed: Parsed,
    delivery: Delivery,
    step: Callable[[Services, Parsed, Delivery], None],
) -> None:
    try:
        services = current_services()
    except SettingsError as error:
        _wait_for_settings(queue, parcel, parsed, delivery, error)
    else:
        with limited(services.deadline()):
            step(services, parsed, delivery)


def _wait_for_settings(
    queue: str, parcel: Parcel, parsed: object, delivery: Delivery, error: SettingsError
) -> None:
    """Put the message back, and note why in the record if it continues one.

    Raises SettingsError if the settings of the storage account are wrong too.
    """
    log_held_up(error, queue=queue)
    try:
        services = current_storage()
    except SettingsError:
        put_back_as_it_is(current_queues(), queue, parcel)
        return
    if isinstance(parsed, StepMessage):
        put_back_step(services, queue, parsed, delivery, error)
    else:
        put_back_as_it_is(services.queues, queue, parcel)


def parcel_of(message: func.QueueMessage, *, moved: bool = False) -> Parcel:
    """Return what the message holds, and when it was first put on a queue.

    `moved` says that the host has moved it to its queue.
    """
    return opened(message.get_body(), _inserted_at(message), moved=moved)


def message_id(message: func.QueueMessage) -> str:
    """Return the ID that stays the same when the message is delivered again."""
    return message.id or ""


def _inserted_at(message: func.QueueMessage) -> datetime | None:
    """Return when the message was put on the queue, in UTC; None if the host did not say."""
    timestamp = message.insertion_time
    if timestamp is None or timestamp.tzinfo is not None:
        return timestamp
    return timestamp.replace(tzinfo=UTC)
