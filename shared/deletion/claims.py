"""Decides which message may work on a deletion.

A message may be delivered twice or late, or have a duplicate. Generation and message ID tell these
apart: one message works on each generation, and only that one may come back. Whether a dropped
message came before the end of a deletion is decided by times of one clock, that of the storage
account. The decisions are pure; `claim_request` and `claim_step` write them.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.deletion.deletion import ids
from shared.deletion.messages import BadMessage, DeletionRequest, StepMessage
from shared.events import Event, emit
from shared.storage.records import DeletionRecord, Records, State

# A crash may leave a message that is one generation above its record, so one more is not enough.
_ABOVE_ANY_MESSAGE: Final = 2
# These may have ended without running, if a message could not be handled.
_ENDED_FOR_US: Final = frozenset({State.REFUSED, State.STUCK})


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message arrived; `message_id` stays the same when it is delivered again.

    `inserted_at` is when a queue first took it, or the drop that it came from, to the whole second;
    None if nobody knows. `known_since` is then a time at which it was on a queue, if one is known.
    """

    message_id: str
    inserted_at: datetime | None = None
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TakenStep:
    """A claimed deletion; `again` says that an earlier delivery of the message had claimed it.

    That delivery may still be running. Each claim changes the ETag, which stops it at its next
    write, but not a call that has already left.
    """

    record: DeletionRecord
    again: bool


class Claim(StrEnum):
    """What a message may do."""

    START = "start"
    CONTINUE = "continue"
    DUPLICATE = "duplicate"
    STALE = "stale"
    ABORTED = "aborted"
    UNSURE = "unsure"


EXPECTED_STEP: Final = "a message that tipsweep has sent: nothing else belongs on this queue"
_EXPECTED_TIME: Final = "a drop of which it is known when it came; request the deletion again"
# What the log says of a message that may do nothing.
_DROPPED: Final = {
    Claim.DUPLICATE: "another message works on the deletion, or it may have ended after this drop",
    Claim.ABORTED: (
        "dropped before the deletion was aborted, or in the same second; request it again to start"
    ),
}


def claim_request(
    records: Records,
    request: DeletionRequest,
    delivery: Delivery,
    now: datetime,
    deadline: timedelta,
) -> DeletionRecord | None:
    """Claim the deletion that a dropped message asks for; None if it may not run.

    Raises BadMessage if a deletion has ended and nobody knows whether the drop came after that.
    """
    claim = Claim.DUPLICATE

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        nonlocal claim
        claim = request_claim(current, delivery)
        if current is not None and claim is Claim.UNSURE:
            raise _unsure(current)
        if claim in _DROPPED:
            return None
        known = None if claim is Claim.START else current
        record = known or started(request, current, now=now, deadline=deadline)
        return claimed(record, record.generation, delivery.message_id, now)

    update = records.update(request.tenant, change)
    if update.record is None or not update.written:
        _log_dropped(request, delivery, claim)
        return None
    requested_by = update.record.requested_by or None
    emit(Event.DELETION_STARTED, **ids(update.record), requested_by=requested_by)
    return update.record


def claim_step(
    records: Records, message: StepMessage, message_id: str, now: datetime
) -> DeletionRecord | None:
    """Claim the deletion that one of our own messages continues; None if it may not.

    Raises BadMessage for one that the deletion cannot have sent.
    """
    taken = take_step(records, message, message_id, now)
    return taken.record if taken else None


def take_step(
    records: Records, message: StepMessage, message_id: str, now: datetime
) -> TakenStep | None:
    """Claim as `claim_step` does, and tell whether the message had claimed the deletion before."""
    claim, again = Claim.STALE, False

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        nonlocal claim, again
        require_sent(current, message)
        claim = step_claim(current, message, message_id)
        if current is None or claim is not Claim.CONTINUE:
            return None
        again = current.claimed_by == message_id
        return claimed(current, message.generation, message_id, now)

    update = records.update(message.tenant, change)
    if update.record is not None and update.written:
        return TakenStep(update.record, again)
    event = Event.MESSAGE_STALE if claim is Claim.STALE else Event.DELETION_DUPLICATE
    emit(event, tenant=message.tenant, generation=message.generation, message=message_id)
    return None


def request_claim(record: DeletionRecord | None, delivery: Delivery) -> Claim:
    """Decide on a dropped message.

    A message that waited on the queue while the deletion ran belongs to that deletion.
    """
    if record is None:
        return Claim.START
    mine = bool(record.claimed_by) and record.claimed_by == delivery.message_id
    if record.state is State.REQUESTED or (record.live and mine):
        return Claim.CONTINUE
    if record.live or mine:
        return Claim.DUPLICATE
    return _claim_after_end(record, delivery)


def _claim_after_end(record: DeletionRecord, delivery: Delivery) -> Claim:
    """Decide on a message that another deletion, which has ended, may have answered.

    The queue tells whole seconds. Within the second of the end, a repeated deletion does less harm
    than a lost request; after an abort it is the other way round. A message of which is only known
    since when it was on a queue may be from before the end, or before an abort that preceded it.
    """
    aborted = record.state is State.ABORTED
    inserted_at = delivery.inserted_at
    if record.ended_at is None or inserted_at is None:
        if delivery.known_since is not None and not _never_ran(record):
            return Claim.UNSURE
        return Claim.ABORTED if aborted else Claim.START
    second = record.ended_at.replace(microsecond=0)
    if aborted:
        return Claim.START if inserted_at > second else Claim.ABORTED
    later = inserted_at >= second or _never_ran(record)
    return Claim.START if later else Claim.DUPLICATE


def _never_ran(record: DeletionRecord) -> bool:
    """Whether the record only says that a message could not be handled.

    No earlier deletion, and so no abort, precedes the first generation.
    """
    return record.generation == 1 and not record.claimed_by and record.state in _ENDED_FOR_US


def require_sent(record: DeletionRecord | None, message: StepMessage) -> None:
    """Require a generation that the record can have sent; raises BadMessage.

    Claimed, a higher one would make the true message of the deletion stale.
    """
    if record is None or message.generation < record.generation + _ABOVE_ANY_MESSAGE:
        return
    highest = record.generation + _ABOVE_ANY_MESSAGE - 1
    text = (
        f"The message of customer {message.tenant} has generation {message.generation}: expected "
        f"at most {highest}, because the deletion has sent none above it"
    )
    raise BadMessage(text, message.tenant, expected=EXPECTED_STEP)


def _unsure(record: DeletionRecord) -> BadMessage:
    text = (
        f"The request for customer {record.tenant} had to wait until nobody knew any more when it "
        f"was dropped: expected one from after the last deletion ended as {record.state}. If the "
        f"customer is to be deleted, request it again"
    )
    return BadMessage(text, record.tenant, expected=_EXPECTED_TIME)


def step_claim(record: DeletionRecord | None, message: StepMessage, message_id: str) -> Claim:
    """Decide on one of our own messages."""
    if record is None or not record.live or message.generation < record.generation:
        return Claim.STALE
    taken = message.generation == record.generation and record.claimed_by not in {"", message_id}
    return Claim.DUPLICATE if taken else Claim.CONTINUE


def _log_dropped(request: DeletionRequest, delivery: Delivery, claim: Claim) -> None:
    emit(
        Event.DELETION_DUPLICATE,
        tenant=request.tenant,
        message=delivery.message_id,
        requested_by=request.requested_by or None,
        reason=_DROPPED.get(claim),
    )


def started(
    request: DeletionRequest,
    previous: DeletionRecord | None,
    *,
    now: datetime,
    deadline: timedelta,
) -> DeletionRecord:
    """Return the record of a new deletion, with a generation above those of the last one."""
    # A customer deleted here counts as seen: "not found" must end as deleted, not as refused.
    known = previous is not None and previous.state is State.DELETED
    return DeletionRecord(
        tenant=request.tenant,
        state=State.REQUESTED,
        generation=previous.generation + _ABOVE_ANY_MESSAGE if previous else 1,
        correlation_id=str(uuid.uuid4()),
        requested_at=now,
        requested_by=request.requested_by,
        deadline=now + deadline,
        seen=known,
        domain=previous.domain if previous and known else "",
    )


def claimed(
    record: DeletionRecord, generation: int, message_id: str, now: datetime
) -> DeletionRecord:
    """Return the record as claimed by the message with this ID.

    Its check is due now: if nothing follows, redrive treats the message as lost.
    """
    state = State.CANCELLING if record.state is State.REQUESTED else record.state
    return replace(
        record,
        generation=generation,
        claimed_by=message_id,
        state=state,
        next_check_at=now,
        told=False,
        resumed=record.interrupted,
    )
