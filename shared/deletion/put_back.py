"""Puts back messages that nothing is wrong with: their tries failed for a reason around them.

A message that is put back as it is becomes a newer one on its queue, so it goes in a parcel.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.deletion.claims import Delivery, claim_step, require_sent
from shared.deletion.deletion import Deletion
from shared.deletion.dry_run import noted_failure
from shared.deletion.held_up import described
from shared.deletion.messages import (
    BadMessage,
    DeletionRequest,
    Drop,
    Parcel,
    StepMessage,
    parse_drop,
    parse_step,
)
from shared.environment import SettingsError
from shared.events import Event, emit
from shared.services import StorageServices
from shared.storage.names import CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.queues import Queues
from shared.storage.records import UNCLAIMED, DeletionRecord, RecordChanged, UnreadableRecord
from shared.tenants import TenantId

# As many as `maxDequeueCount` in host.json.
TRIES: Final = 5
# The settings that say how long to wait may be the ones that are wrong.
_SHORTEST: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(minutes=5)
_NO_ERROR: Final = "the host stopped before a step ended"


def put_back_as_it_is(queues: Queues, queue: str, parcel: Parcel) -> None:
    """Send a message again, with a delay of half its age between 5 seconds and 5 minutes."""
    age = datetime.now(UTC) - parcel.known_since if parcel.known_since else timedelta(0)
    for text in parcel.messages():
        queues.send(queue, text, max(_SHORTEST, min(age / 2, _LONGEST)))


def put_back_step(
    services: StorageServices,
    queue: str,
    message: StepMessage,
    delivery: Delivery,
    error: SettingsError,
) -> None:
    """Park the deletion that a message of ours continues, and note why in its record."""
    record = claim_step(services.records, message, delivery.message_id, services.now())
    if record is None:
        return
    deletion = Deletion.of(services, record)
    deletion.unpark()
    deletion.record = replace(
        deletion.record, attempt=deletion.record.attempt + 1, last_error=described(error)
    )
    try:
        deletion.park(queue, deletion.delay(), deletion.record)
    except RecordChanged:
        _log_overtaken(record)


def put_back_if_unharmed(
    services: StorageServices, queue: str, parcel: Parcel, message_id: str
) -> bool:
    """Put a message from a poison queue back on its own; False if it has to be recorded.

    The host moves a message there after five tries, whatever ended them. Those that failed because
    of the message or a bug are counted in the record; the others say nothing about it.
    """
    try:
        if queue == CUSTOMERS_TO_DELETE:
            return _drop_put_back(services, parse_drop(parcel.body), parcel, message_id)
        return _step_put_back(services, queue, parse_step(parcel.body))
    except (BadMessage, UnreadableRecord):
        return False


def _drop_put_back(services: StorageServices, drop: Drop, parcel: Parcel, message_id: str) -> bool:
    """Put a drop back, or continue the only deletion that it asks for.

    Several requests are only split into messages, which has no record. Nobody knows when a message
    that the host moved was dropped, so each of them loses against an abort.
    """
    if len(drop) > 1:
        return _put_back_drop(services, parcel)
    (request,) = drop
    if request.dry_run:
        return _dry_run_put_back(services, request, parcel, message_id)
    record = services.records.get(request.tenant)
    if record is not None and record.live:
        if record.state in UNCLAIMED:
            return _continued(services, ORDERS_TO_CHECK, record)
        _log_overtaken(record)
        return True
    # The host does not say when a message that it moved was dropped. Where a deletion has ended,
    # the drop may be from before that end, or before an abort: it is recorded, and nothing starts.
    return record is None and _put_back_drop(services, parcel, request.tenant)


def _dry_run_put_back(
    services: StorageServices, request: DeletionRequest, parcel: Parcel, message_id: str
) -> bool:
    """Put a dry run back, unless a try of it has stored its own error.

    It has no record that counts its tries.
    """
    if noted_failure(services, request, Delivery(message_id, parcel.known_since)):
        return False
    return _put_back_drop(services, parcel, request.tenant)


def _put_back_drop(
    services: StorageServices, parcel: Parcel, tenant: TenantId | None = None
) -> bool:
    """Put a drop back; False if it is late and had its last try.

    No step has looked at it, and the app or storage may have been away until it was late.
    """
    late = not _is_young(services, parcel)
    if late and parcel.last_try:
        return False
    put_back_as_it_is(services.queues, CUSTOMERS_TO_DELETE, replace(parcel, last_try=late))
    emit(Event.MESSAGE_PUT_BACK, queue=CUSTOMERS_TO_DELETE, tenant=tenant)
    return True


def _is_young(services: StorageServices, parcel: Parcel) -> bool:
    """Whether a drop is not as old yet as a deletion may become."""
    if parcel.known_since is None:
        return False
    return services.now() < parcel.known_since + services.settings.checks.deadline


def _step_put_back(services: StorageServices, queue: str, message: StepMessage) -> bool:
    record = services.records.get(message.tenant)
    require_sent(record, message)
    if record is None:
        return False
    if not record.live or message.generation < record.generation:
        emit(Event.MESSAGE_STALE, tenant=message.tenant, generation=message.generation)
        return True
    return _continued(services, queue, record)


def _continued(services: StorageServices, queue: str, record: DeletionRecord) -> bool:
    """Send a deletion its next message; False if five tries were its own fault, or it is late."""
    deletion = Deletion.of(services, record)
    deletion.unpark()
    if record.failures >= TRIES or deletion.was_late():
        return False
    if record.interrupted:
        # A step that the host stopped has looked, when it began; nobody looks here.
        deletion.record = replace(deletion.record, looked_at=record.next_check_at)
    reason = record.last_error or _NO_ERROR
    attempt = deletion.record.attempt + 1
    deletion.record = replace(deletion.record, attempt=attempt, last_error=reason)
    delay = deletion.delay()
    try:
        deletion.send_again(queue, delay)
    except RecordChanged:
        _log_overtaken(record)
        return True
    if record.state in UNCLAIMED:
        # Whoever took the request may have died each time before it was in the history.
        deletion.journal.requested()
    if record.interrupted:
        deletion.journal.stopped_step()
    deletion.journal.write()
    seconds = round(delay.total_seconds(), 1)
    emit(Event.MESSAGE_PUT_BACK, queue=queue, **deletion.ids, delay_seconds=seconds, reason=reason)
    return True


def _log_overtaken(record: DeletionRecord) -> None:
    emit(Event.DELETION_DUPLICATE, tenant=record.tenant, reason="overtaken")
