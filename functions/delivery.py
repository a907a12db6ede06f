"""What the queue functions share: parse a message, run its step, set bad messages aside."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import azure.functions as func
from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery
from shared.deletion.held_up import log_held_up
from shared.deletion.messages import BadMessage, Parcel, StepMessage, opened
from shared.deletion.poison import Poisoned, record_rejected, reject
from shared.deletion.put_back import put_back_as_it_is, put_back_step
from shared.environment import SettingsError
from shared.partner_center.deadline import limited
from shared.services import (
    Services,
    StorageServices,
    current_queues,
    current_services,
    current_storage,
)

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class _Arrival(Generic[Parsed]):
    """A message that has been read: the queue it came from, what it held, and what that says."""

    queue: str
    message_id: str
    parcel: Parcel
    parsed: Parsed

    @property
    def delivery(self) -> Delivery:
        return Delivery(self.message_id, self.parcel.inserted_at, self.parcel.known_since)


def deliver(
    message: func.QueueMessage,
    queue: str,
    parse: Callable[[bytes], Parsed],
    step: Callable[[Services, Parsed, Delivery], None],
) -> None:
    """Run a step with the message; move one that cannot be parsed to the poison queue.

    While settings are wrong, or a trip of the switch that it carries cannot be stored, the message
    is put back with a delay.
    """
    parcel = parcel_of(message)
    try:
        parsed = parse(parcel.body)
    except BadMessage as error:
        # Raising instead would have the host try a hopeless message five times. The whole message
        # moves, as if the host had: what is inside could be read as another one there.
        reject(current_queues(), queue, message.get_body(), error)
        return
    arrival = _Arrival(queue, message_id(message), parcel, parsed)
    try:
        _run_or_record(arrival, step)
    except AzureError as error:
        # No queue and no table may be left to put it back with: the host tries again.
        log_held_up(error, queue=queue)
        raise


def _run_or_record(
    arrival: _Arrival[Parsed], step: Callable[[Services, Parsed, Delivery], None]
) -> None:
    try:
        _run(arrival, step)
    except BadMessage as error:
        parcel = arrival.parcel
        poisoned = Poisoned(arrival.queue, arrival.message_id, parcel.body, parcel.known_since)
        record_rejected(current_storage(), poisoned, error)


def _run(arrival: _Arrival[Parsed], step: Callable[[Services, Parsed, Delivery], None]) -> None:
    try:
        services = current_services()
    except SettingsError as error:
        _wait_for_settings(arrival, error)
        return
    with limited(services.deadline()):
        if _trip_stored(services, arrival):
            step(services, arrival.parsed, arrival.delivery)


def _wait_for_settings(arrival: _Arrival[Parsed], error: SettingsError) -> None:
    """Put the message back, and note why in the record if it continues one.

    Raises SettingsError if the settings of the storage account are wrong too.
    """
    log_held_up(error, queue=arrival.queue)
    try:
        services = current_storage()
    except SettingsError:
        put_back_as_it_is(current_queues(), arrival.queue, arrival.parcel)
        return
    if not _trip_stored(services, arrival):
        return
    if isinstance(arrival.parsed, StepMessage):
        put_back_step(services, arrival.queue, arrival.parsed, arrival.delivery, error)
    else:
        put_back_as_it_is(services.queues, arrival.queue, arrival.parcel)


def _trip_stored(services: StorageServices, arrival: _Arrival[Parsed]) -> bool:
    """Store a trip that the message carries; if that fails, put the message back with it."""
    try:
        store_trip(services, arrival.parcel)
    except AzureError as error:
        log_held_up(error, queue=arrival.queue)
        put_back_as_it_is(services.queues, arrival.queue, arrival.parcel)
        return False
    return True


def store_trip(services: StorageServices, parcel: Parcel) -> None:
    """Store the trip of the switch that a message carries, or else one of this process.

    Raises AzureError if that of the message cannot be stored. One of this process stops the step
    by itself, and goes on with its next message.
    """
    if parcel.trip is not None:
        services.switch.take_over(parcel.trip)
        return
    with suppress(AzureError):
        services.switch.store_own()


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
