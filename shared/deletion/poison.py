"""Messages that could not be handled: set aside at once, and recorded with the reason."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.deletion.claims import Delivery, require_sent, started
from shared.deletion.deletion import ended, log_end
from shared.deletion.dry_run import note_failure, noted_failure
from shared.deletion.journal import Journal
from shared.deletion.messages import (
    BadMessage,
    DeletionRequest,
    Drop,
    as_text,
    parse_drop,
    parse_step,
)
from shared.events import Event, emit
from shared.services import StorageServices
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_SUFFIX
from shared.storage.queues import Queues
from shared.storage.records import UNCLAIMED, DeletionRecord, State, UnreadableRecord
from shared.storage.rejected import RejectedMessage
from shared.tenants import TenantId

_UNKNOWN_REASON: Final = "the message failed every time; the log says why"
_EXPECTED_DROP: Final = (
    "a tenant ID, or a JSON object with tenantId and optionally requestedBy and dryRun; several of "
    "them as lines, between commas or as a JSON array"
)
_EXPECTED_STEP: Final = "a message that tipsweep has sent: nothing else belongs on this queue"
_REMEDY: Final = "Fix the cause, then request the deletion again."


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A message from a poison queue; `queue` is the name without the poison suffix.

    `inserted_at` is when it was put there, or first put back; None if nobody knows.
    """

    queue: str
    message_id: str
    body: bytes
    inserted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a poisoned message was about; `generation` is None for a dropped request.

    `tenants` are the customers that were to be deleted, `dry_runs` the requests that were to show
    what that would do. `fault` says what is wrong with the message itself, "" if it could be read.
    `unclear` is the customer of such a message that may have asked for a dry run.
    """

    tenants: tuple[TenantId, ...] = ()
    dry_runs: tuple[DeletionRequest, ...] = ()
    generation: int | None = None
    fault: str = ""
    unclear: TenantId | None = None

    @property
    def tenant(self) -> TenantId | None:
        """The only customer that the message names; None if there is none or several."""
        named = [*self.tenants, *(each.tenant for each in self.dry_runs)]
        return named[0] if len(named) == 1 else self.unclear


def reject(queues: Queues, queue: str, body: bytes, error: BadMessage) -> None:
    """Move a message that can never be handled to its poison queue at once.

    `body` is all of it, and not what a parcel held: a poison queue opens parcels too.
    """
    emit(Event.MESSAGE_REJECTED, queue=queue, tenant=error.tenant, reason=str(error))
    queues.send(queue + POISON_SUFFIX, as_text(body))


def record_poisoned(services: StorageServices, poisoned: Poisoned) -> None:
    """Record a message from a poison queue, and end the deletion it belonged to.

    A dry run belongs to no deletion and leaves every record alone, and so does a message that may
    have asked for one.
    """
    _record(services, poisoned, _subject(services, poisoned))


def record_rejected(services: StorageServices, poisoned: Poisoned, error: BadMessage) -> None:
    """Record a message at once that can be read, but that no deletion can have sent.

    On its way over the poison queue, the deletion might come up to it.
    """
    emit(Event.MESSAGE_REJECTED, queue=poisoned.queue, tenant=error.tenant, reason=str(error))
    _record(services, poisoned, _subject_of_fault(error))


def _record(services: StorageServices, poisoned: Poisoned, subject: Subject) -> None:
    reason = subject.fault or _last_error(services, subject, poisoned) or _UNKNOWN_REASON
    rejected = services.rejected.keep(
        RejectedMessage(
            poisoned.queue,
            poisoned.message_id,
            poisoned.body,
            subject.tenant,
            reason,
            services.now(),
            _expected(poisoned.queue) if subject.fault else "",
        )
    )
    for tenant in subject.tenants:
        if not _ended(services, tenant, subject, reason):
            _tell_rejected(services, tenant, poisoned.queue, rejected, reason)
    if subject.unclear:
        _tell_rejected(services, subject.unclear, poisoned.queue, rejected, reason)
    for request in subject.dry_runs:
        note_failure(services, request, reason, poisoned.message_id)
    emit(
        Event.MESSAGE_POISONED,
        queue=poisoned.queue,
        message=poisoned.message_id,
        rejected=rejected,
        tenant=subject.tenant,
        reason=reason,
    )


def _subject(services: StorageServices, poisoned: Poisoned) -> Subject:
    try:
        if poisoned.queue == CUSTOMERS_TO_DELETE:
            return _subject_of_drop(parse_drop(poisoned.body))
        step = parse_step(poisoned.body)
        with suppress(UnreadableRecord):
            require_sent(services.records.get(step.tenant), step)
        return Subject((step.tenant,), generation=step.generation)
    except BadMessage as error:
        return _subject_of_fault(error)


def _subject_of_fault(error: BadMessage) -> Subject:
    if error.dry_run or error.tenant is None:
        return Subject(fault=str(error), unclear=error.tenant)
    return Subject((error.tenant,), fault=str(error))


def _subject_of_drop(drop: Drop) -> Subject:
    return Subject(
        tenants=tuple(each.tenant for each in drop if not each.dry_run),
        dry_runs=tuple(each for each in drop if each.dry_run),
    )


def _expected(queue: str) -> str:
    return _EXPECTED_DROP if queue == CUSTOMERS_TO_DELETE else _EXPECTED_STEP


def _last_error(services: StorageServices, subject: Subject, poisoned: Poisoned) -> str:
    """Return the error of the last try, as the try itself has stored it; "" if it has not."""
    if subject.tenant is None:
        return ""
    if subject.dry_runs:
        delivery = Delivery(poisoned.message_id, poisoned.inserted_at)
        return noted_failure(services, subject.dry_runs[0], delivery)
    try:
        record = services.records.get(subject.tenant)
    except UnreadableRecord as error:
        return str(error)
    return record.last_error if record else ""


def _tell_rejected(
    services: StorageServices, tenant: TenantId, queue: str, rejected: str, reason: str
) -> None:
    """Tell the history of a message that left the customer's deletion alone, by its row's ID."""
    detail = f"message {rejected} on {queue}: {reason}"
    entry = HistoryEntry(EntryKind.REJECTED, services.now(), detail=detail)
    services.history.add(tenant, [entry])


def _ended(services: StorageServices, tenant: TenantId, subject: Subject, reason: str) -> bool:
    # A record that cannot be read is left to the version that wrote it.
    with suppress(UnreadableRecord):
        return _end(services, tenant, subject, reason)
    return False


def _end(services: StorageServices, tenant: TenantId, subject: Subject, reason: str) -> bool:
    """Put the reason in the customer's record, unless a later message continues the deletion."""
    state = State.REFUSED if subject.fault else State.STUCK
    now, deadline = services.now(), services.settings.checks.deadline

    interrupted = False

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        nonlocal interrupted
        interrupted = current is not None and current.interrupted
        if current is None:
            # Inserted as ended: between two writes it would be live, and redrive would start it.
            current = started(DeletionRequest(tenant), None, now=now, deadline=deadline)
        elif not _belongs(current, subject):
            return None
        return ended(current, state, reason, _REMEDY, now)

    update = services.records.update(tenant, change)
    if update.written and update.record is not None:
        log_end(update.record)
        journal = Journal(services.history, update.record, services.now)
        if interrupted:
            journal.stopped_step()
        journal.note(EntryKind(state), reason)
        journal.write()
    return update.written


def _belongs(record: DeletionRecord, subject: Subject) -> bool:
    # Of several requests in one drop, any may have its own message by now.
    if not record.live or subject.fault or subject.tenant is None:
        return False
    if subject.generation is None:
        # A request that kept failing never got further; any later state has a message of its own.
        return record.state in UNCLAIMED
    return subject.generation >= record.generation
