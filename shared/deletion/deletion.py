"""A claimed deletion: its record, and how it continues or ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from azure.core.exceptions import AzureError

from shared.deletion.journal import Journal
from shared.deletion.messages import StepMessage
from shared.events import Event, emit
from shared.partner_center.rate_limit import Rank
from shared.safety.switch import Switch
from shared.services import StorageServices
from shared.settings import CheckSettings
from shared.storage.history import EntryKind
from shared.storage.outages import SlowStorage, is_outage
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, RecordChanged, Records, State

# Error 900278 asks for this.
LONGEST_DOCUMENTED_WAIT: Final = timedelta(hours=24)
# What was asked longer ago says too little: another delivery may have taken over since.
_FRESH_SECONDS: Final = 2.0
_GATE_TRIES: Final = 3
_JITTER: Final = 0.25
_GROWTH: Final = 1.5
_CROWDED: Final = 2
# Enough to pass every maximum that the settings allow; without a bound the power overflows.
_GROWTH_STEPS: Final = 40

_END_EVENTS: Final = {
    State.DELETED: Event.DELETION_DELETED,
    State.STUCK: Event.DELETION_STUCK,
    State.REFUSED: Event.DELETION_REFUSED,
    State.ABORTED: Event.DELETION_ABORTED,
}


@dataclass(slots=True)
class Deletion:
    """A record that a message works on, and the storage that it is written to.

    `record` is what is stored, apart from what a step has learned about the customer: how the
    deletion goes on is in it only after `save`, `finish` or one of the methods that send a message
    has written it. Each of them writes against the ETag that was read and raises RecordChanged if
    an abort or another message was faster.
    """

    record: DeletionRecord
    records: Records
    queues: Queues
    switch: Switch
    journal: Journal
    checks: CheckSettings
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, services: StorageServices, record: DeletionRecord) -> Self:
        """Return the deletion of a record that is stored."""
        return cls(
            record,
            services.records,
            services.queues,
            services.switch,
            Journal(services.history, record, services.now),
            services.settings.checks,
            services.now,
            services.jitter,
        )

    @property
    def ids(self) -> dict[str, str]:
        """The fields that every log line of this deletion carries."""
        return ids(self.record)

    @property
    def rank(self) -> Rank:
        """The rank of its next step: what has begun goes before what starts."""
        begun = self.record.purchases or self.record.state is State.DELETING
        return Rank.STARTED if begun else Rank.STARTING

    def ends_late(self) -> bool:
        """Note that a step has found the deletion unfinished; whether it ends as too late.

        It does if an earlier step has found the same since the deadline: a deletion that nobody
        looked at, because the app was down or parked it, gets another chance.
        """
        late = self.was_late()
        self.record = replace(self.record, looked_at=self.now())
        return late

    def was_late(self) -> bool:
        """Whether a step has found the deletion unfinished since its deadline."""
        looked_at, deadline = self.record.looked_at, self.record.deadline
        return self.now() >= deadline and bool(looked_at and looked_at >= deadline)

    def require_writable(self) -> None:
        """Nobody has aborted the deletion or tripped the switch: the gate of every cancellation.

        Either may happen while a call waits, and a cancellation cannot be undone. Storage may be
        slow, so the questions are asked again until the responses are fresh. Raises RecordChanged,
        SwitchTripped, or SlowStorage.
        """
        for _ in range(_GATE_TRIES):
            asked_at = self.monotonic()
            self._require_unstopped()
            if self.monotonic() - asked_at <= _FRESH_SECONDS:
                return
        message = (
            f"no write was sent for customer {self.record.tenant}: storage took more than "
            f"{_FRESH_SECONDS:.0f} s to show abort and switch, {_GATE_TRIES} times"
        )
        raise SlowStorage(message)

    def _require_unstopped(self) -> None:
        if self.records.etag(self.record.tenant) != self.record.etag:
            message = f"The deletion of customer {self.record.tenant} was aborted or overtaken"
            raise RecordChanged(message)
        self.switch.require_untripped()

    def require_deletable(self) -> None:
        """Record that a DELETE may reach Partner Center: the gate of the DELETE.

        The write fails after an abort, and makes a later one too late. Raises RecordChanged or
        SwitchTripped.
        """
        if self.record.state is not State.DELETING:
            self.save(replace(self.record, state=State.DELETING))
        self.require_writable()

    def save(self, changed: DeletionRecord) -> None:
        """Write the record as it was changed."""
        self.record = self.records.replace(changed)

    def send_on(
        self,
        queue: str,
        delay: timedelta = timedelta(0),
        changed: DeletionRecord | None = None,
    ) -> None:
        """Send the next message after a step that worked."""
        self.send_again(queue, delay, replace(changed or self.record, failures=0))

    def send_again(
        self,
        queue: str,
        delay: timedelta = timedelta(0),
        changed: DeletionRecord | None = None,
    ) -> None:
        """Send the next message, then raise the generation; failed tries still count.

        A crash in between leaves two messages for one generation, and the claim lets only one of
        them work. The other order would leave no message at all.
        """
        self.save(self._sent(queue, delay, changed or self.record))

    def put_back(self, queue: str, delay: timedelta, changed: DeletionRecord) -> None:
        """Send the next message after trouble; it counts as sent even if the table is away.

        The claim of that message raises the generation then.
        """
        raised = self._sent(queue, delay, changed)
        try:
            self.save(raised)
        except AzureError as error:
            if not is_outage(error):
                raise

    def park(self, queue: str, delay: timedelta, changed: DeletionRecord) -> None:
        """Put the deletion back for a reason that says nothing about it: its deadline moves."""
        self.put_back(queue, delay, replace(changed, parked_since=self.now()))

    def unpark(self) -> None:
        """Move the deadline by the time that the deletion was parked, at the start of a step."""
        self.record = unparked(self.record, self.now())

    def grant(self, wait: timedelta) -> None:
        """Move the deadline by a wait that Partner Center asks for, within what it may ask.

        Otherwise a response that asks for ever would keep a deletion for ever.
        """
        most = max(self.checks.deadline, LONGEST_DOCUMENTED_WAIT)
        granted = min(wait, max(timedelta(0), most - self.record.granted))
        self.record = replace(
            self.record,
            deadline=self.record.deadline + granted,
            granted=self.record.granted + granted,
        )

    def _sent(self, queue: str, delay: timedelta, changed: DeletionRecord) -> DeletionRecord:
        """Send the next message and return the record of its generation, not written yet."""
        message = next_message(self.record)
        self.queues.send(queue, message.carrying(self.switch.unstored), delay)
        return replace(
            changed,
            generation=message.generation,
            claimed_by="",
            next_check_at=self.now() + delay,
        )

    def delay(self, retry_after: float | None = None, *, crowded: bool = False) -> timedelta:
        """Return how long to wait before the next check; `retry_after` is in seconds."""
        attempt, jitter = self.record.attempt, self.jitter()
        return next_delay(self.checks, attempt, jitter, retry_after, crowded=crowded)

    def finish(
        self, state: State, reason: str = "", remedy: str = "", retry_at: datetime | None = None
    ) -> None:
        """End the deletion in a terminal state."""
        record = ended(self.record, state, reason, remedy, self.now())
        self.save(replace(record, retry_at=retry_at))
        self.journal.note(EntryKind(state), reason)
        log_end(self.record)


def ids(record: DeletionRecord) -> dict[str, str]:
    """Return the fields that every log line about a deletion carries."""
    return {"tenant": record.tenant, "correlation": record.correlation_id}


def ended(
    record: DeletionRecord, state: State, reason: str, remedy: str, now: datetime
) -> DeletionRecord:
    """Return the record in a terminal state, not written yet."""
    return replace(
        record, state=state, reason=reason, remedy=remedy, finished_at=now, next_check_at=None
    )


def unparked(record: DeletionRecord, now: datetime) -> DeletionRecord:
    """Return the record with its deadline moved by the time that it has been parked until now.

    The remedy goes, because what a person had to do meanwhile is done.
    """
    if record.parked_since is None:
        return replace(record, remedy="")
    parked = max(timedelta(0), now - record.parked_since)
    return replace(
        record,
        parked_since=None,
        remedy="",
        parked=record.parked + parked,
        deadline=record.deadline + parked,
    )


def log_end(record: DeletionRecord) -> None:
    """Log the end of a deletion, once it is written."""
    finished_at = record.finished_at or record.requested_at
    emit(
        _END_EVENTS[record.state],
        **ids(record),
        seconds=round((finished_at - record.requested_at).total_seconds(), 1),
        reason=record.reason or None,
        remedy=record.remedy or None,
    )


def first_message(record: DeletionRecord) -> StepMessage:
    """Return the first message of a deletion that did not come over the queue.

    It carries the record's own generation, so that it is stale after an abort.
    """
    return StepMessage(record.tenant, record.generation, record.correlation_id)


def next_message(record: DeletionRecord) -> StepMessage:
    """Return the message of the record's next generation."""
    return StepMessage(record.tenant, record.generation + 1, record.correlation_id)


def next_delay(
    checks: CheckSettings,
    attempt: int,
    jitter: float,
    retry_after: float | None = None,
    *,
    crowded: bool = False,
) -> timedelta:
    """Return the delay before check number `attempt` (from 0), growing up to the maximum.

    `jitter`, from 0 to 1, lengthens the delay by up to a quarter, so that deletions that started
    together spread out. Partner Center's own Retry-After, in seconds, is the minimum; while the
    trouble lasts, the longer of the two applies. While the minute is `crowded`, a check takes its
    calls from somebody who needs them, and comes later.
    """
    if retry_after is None:
        base = _grown(checks, attempt)
        if crowded:
            base = min(_CROWDED * base, checks.max_delay)
    else:
        least = _grown(checks, attempt) if attempt else timedelta(0)
        base = max(timedelta(seconds=retry_after), least)
    return base * (1 + _JITTER * jitter)


def is_at_longest_delay(checks: CheckSettings, attempt: int) -> bool:
    """Whether the delay has reached its maximum, so that accepted calls are worth repeating."""
    return attempt > 0 and _grown(checks, attempt) >= checks.max_delay


def _grown(checks: CheckSettings, attempt: int) -> timedelta:
    growth = _GROWTH ** min(attempt, _GROWTH_STEPS)
    return min(checks.first_delay * growth, checks.max_delay)
