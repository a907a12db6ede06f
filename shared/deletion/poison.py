"""What could not be handled: put aside at once, and written down with its reason."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.deletion.admission import in_hand, new_record
from shared.deletion.messages import BadMessage, DeletionRequest, parse_request, parse_step
from shared.events import Event, emit
from shared.services import Services
from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_SUFFIX
from shared.storage.records import DeletionRecord, RecordChanged, RecordExists, State
from shared.tenants import TenantId

POISONED_ROW_PREFIX: Final = "poisoned-"
_UNKNOWN_REASON: Final = "the message failed every time; the log says why"
_REMEDY: Final = "Mend the reason, then request the deletion again."
_UNCLAIMED: Final = frozenset({State.REQUESTED, State.CANCELLING})


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A message from a poison queue; `queue` is the name without the poison suffix."""

    queue: str
    message_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """What a poisoned message was about; `generation` is None for a dropped request."""

    tenant: TenantId | None
    generation: int | None
    fault: str


def reject(services: Services, queue: str, body: bytes, error: BadMessage) -> None:
    """Move a message that can never be handled to its poison queue at once."""
    emit(Event.MESSAGE_REJECTED, queue=queue, tenant=error.tenant, reason=str(error))
    services.queues.send_text(queue + POISON_SUFFIX, _as_text(body))


def record_poisoned(services: Services, poisoned: Poisoned) -> None:
    """Write down a message from a poison queue, and end the deletion it belonged to."""
    subject = _subject(poisoned)
    reason = subject.fault or _failure(services, subject) or _UNKNOWN_REASON
    _keep(services, poisoned, subject, reason)
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


def _failure(services: Services, subject: Subject) -> str:
    record = services.records.get(subject.tenant) if subject.tenant else None
    return record.last_error if record else ""


def _keep(services: Services, poisoned: Poisoned, subject: Subject, reason: str) -> None:
    services.sandbox.upsert_entity(
        {
            "PartitionKey": services.settings.partner_center.tenant_id,
            "RowKey": POISONED_ROW_PREFIX + poisoned.message_id,
            "queue": poisoned.queue,
            "body": poisoned.body,
            "tenant": subject.tenant or "",
            "reason": reason,
            "at": datetime.now(UTC).isoformat(),
        }
    )


def _end(services: Services, tenant: TenantId, subject: Subject, reason: str) -> None:
    """Leave the reason in the customer's record, unless a later message carries it on."""
    record = services.records.get(tenant)
    state = State.REFUSED if subject.fault else State.STUCK
    try:
        if record is None:
            _insert_ended(services, tenant, state, reason)
        elif _belongs(record, subject):
            in_hand(services, record).finish(state, reason, _REMEDY)
    except (RecordExists, RecordChanged):
        _end(services, tenant, subject, reason)


def _belongs(record: DeletionRecord, subject: Subject) -> bool:
    if not record.live or subject.fault:
        return False
    if subject.generation is None:
        return record.state in _UNCLAIMED
    return subject.generation >= record.generation


def _insert_ended(services: Services, tenant: TenantId, state: State, reason: str) -> None:
    record = services.records.insert(new_record(services, DeletionRequest(tenant), None))
    in_hand(services, record).finish(state, reason, _REMEDY)


def _as_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii")
