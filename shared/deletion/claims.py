"""Who may work on a deletion now: the in-progress guard, as pure decisions.

A message may be delivered twice, late, or beside its double. Generation and message ID tell
these apart: one message works on one generation, and only it may come back.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.deletion.messages import DeletionRequest, StepMessage
from shared.storage.records import DeletionRecord, State

# A crash may leave a message that is one generation above its record.
_ABOVE_ANY_MESSAGE: Final = 2
_TICK: Final = timedelta(microseconds=1)


class Claim(StrEnum):
    """What becomes of a message."""

    START = "start"
    CONTINUE = "continue"
    DUPLICATE = "duplicate"
    STALE = "stale"


def claim_request(
    record: DeletionRecord | None, message_id: str, inserted_at: datetime | None
) -> Claim:
    """Decide on a dropped message.

    A message that waited on the queue while the deletion ran asked for that same deletion.
    """
    if record is None:
        return Claim.START
    if record.state is State.REQUESTED or (record.live and record.claimed_by == message_id):
        return Claim.CONTINUE
    if record.live:
        return Claim.DUPLICATE
    if inserted_at is None or record.finished_at is None:
        return Claim.START
    ended = record.finished_at
    if record.state is not State.ABORTED:
        # Queues tell whole seconds; a repeated look does less harm than a lost request.
        ended = ended.replace(microsecond=0) - _TICK
    return Claim.START if inserted_at > ended else Claim.DUPLICATE


def claim_step(record: DeletionRecord | None, message: StepMessage, message_id: str) -> Claim:
    """Decide on one of our own messages."""
    if record is None or not record.live or message.generation < record.generation:
        return Claim.STALE
    taken = message.generation == record.generation and record.claimed_by not in {"", message_id}
    return Claim.DUPLICATE if taken else Claim.CONTINUE


def started(
    request: DeletionRequest,
    previous: DeletionRecord | None,
    *,
    correlation_id: str,
    now: datetime,
    deadline: datetime,
) -> DeletionRecord:
    """Return the record of a new deletion, above every generation of the one before."""
    known = previous is not None and previous.state is State.DELETED
    return DeletionRecord(
        tenant=request.tenant,
        state=State.REQUESTED,
        generation=previous.generation + _ABOVE_ANY_MESSAGE if previous else 1,
        correlation_id=correlation_id,
        requested_at=now,
        requested_by=request.requested_by,
        deadline=deadline,
        seen=known,
        domain=previous.domain if previous and known else "",
        etag=previous.etag if previous else "",
    )


def claimed(
    record: DeletionRecord, generation: int, message_id: str, now: datetime
) -> DeletionRecord:
    """Return the record as the message with this ID works on it.

    Its check is due now: where nothing follows, redrive takes the message for lost.
    """
    state = State.CANCELLING if record.state is State.REQUESTED else record.state
    return replace(
        record, generation=generation, claimed_by=message_id, state=state, next_check_at=now
    )


def first_message(record: DeletionRecord) -> StepMessage:
    """Return the message that begins a deletion which nobody has dropped on the queue."""
    return StepMessage(record.tenant, record.generation, record.correlation_id)


def step_message(record: DeletionRecord) -> StepMessage:
    """Return the message of the record's next generation."""
    return StepMessage(record.tenant, record.generation + 1, record.correlation_id)
