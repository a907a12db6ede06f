"""Messages that could not be handled: set aside at once, and recorded with the reason."""

import base64
from dataclasses import dataclass
from typing import Final

from shared.deletion.claims import started
from shared.deletion.deletion import ended, log_end
from shared.deletion.journal import Journal
from shared.deletion.messages import BadMessage, DeletionRequest, parse_request, parse_step
from shared.events import Event, emit
from shared.services import Services
from shared.storage.history import EntryKind
from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_SUFFIX
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, Records, State
from shared.storage.rejected import RejectedMessage
from shared.tenants import TenantId

_UNKNOWN_REASON: Final = "the message failed every time; the log says why"
_REMEDY: Final = "Fix the cause, then request the deletion again."
_UNCLAIMED: Final = frozenset({State.REQUESTED, State.CANCELLING})


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A message from a poison queue; `queue` is the name without the poison suffix."""

    queue: str
    message_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """What a poisoned message was about; `generation` is None for a dropped request.

    `fault` says what is wrong with the message itself, "" if it could be read.
    """

    tenant: TenantId | None
    generation: int | None
    fault: str


def reject(queues: Queues, queue: str, body: bytes, error: BadMessage) -> None:
    """Move a message that can never be handled to its poison queue at once."""
    emit(Event.MESSAGE_REJECTED, queue=queue, tenant=error.tenant, reason=str(error))
    queues.send(queue + POISON_SUFFIX, _as_text(body))


def record_poisoned(services: Services, poisoned: Poisoned) -> None:
    """Record a message from a poison queue, and end the deletion it belonged to."""
    subject = _subject(poisoned)
    reason = subject.fault or _last_error(services.records, subject) or _UNKNOWN_REASON
    services.rejected.keep(
        RejectedMessage(
            poisoned.queue,
            poisoned.message_id,
            poisoned.body,
            subject.tenant,
            reason,
            services.now(),
        )
    )
    if subject.tenant is not None:
        _end(services, subject.tenant, subject, reason)
    emit(
        Event.MESSAGE_POISONED,
        queue=poisoned.queue,
        message=poisoned.message_id,
        tenant=subject.tenant,
        reason=reason,
    )


def _subject(poisoned: Poisoned) -> Subject:
    try:
        if poisoned.queue == CUSTOMERS_TO_DELETE:
            return Subject(parse_request(poisoned.body).tenant, None, "")
        step = parse_step(poisoned.body)
        return Subject(step.tenant, step.generation, "")
    except BadMessage as error:
        return Subject(error.tenant, None, str(error))


def _last_error(records: Records, subject: Subject) -> str:
    record = records.get(subject.tenant) if subject.tenant else None
    return record.last_error if record else ""


def _end(services: Services, tenant: TenantId, subject: Subject, reason: str) -> None:
    """Put the reason in the customer's record, unless a later message continues the deletion."""
    state = State.REFUSED if subject.fault else State.STUCK
    now, deadline = services.now(), services.settings.checks.deadline

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
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
        journal.note(EntryKind(state), reason)
        journal.write()


def _belongs(record: DeletionRecord, subject: Subject) -> bool:
    if not record.live or subject.fault:
        return False
    if subject.generation is None:
        # A request that kept failing never got further; any later state has a message of its own.
        return record.state in _UNCLAIMED
    return subject.generation >= record.generation


def _as_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii")
