"""A claimed deletion: its record, and how it continues or ends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from shared.deletion.journal import Journal
from shared.deletion.messages import StepMessage
from shared.events import Event, emit
from shared.safety.switch import Switch
from shared.services import Services
from shared.settings import CheckSettings
from shared.storage.history import EntryKind
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, Records, State

_JITTER: Final = 0.25
_GROWTH: Final = 1.5
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

    A step changes `record` in memory and writes it with `save`, `send_on` or `finish`. Each of them
    writes against the ETag that was read and raises RecordChanged if an abort or another message
    was faster.
    """

    record: DeletionRecord
    records: Records
    queues: Queues
    switch: Switch
    journal: Journal
    checks: CheckSettings
    now: Callable[[], datetime]
    jitter: Callable[[], float]

    @classmethod
    def of(cls, services: Services, record: DeletionRecord) -> Self:
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
    def overdue(self) -> bool:
        """Whether the deletion has taken longer than its deadline."""
        return self.now() >= self.record.deadline

    def may_write(self) -> bool:
        """Whether nobody has aborted the deletion or tripped the switch.

        Either may happen between two calls, and a cancellation cannot be undone, so this is asked
        before every single write.
        """
        stored = self.records.get(self.record.tenant)
        overtaken = stored is None or stored.etag != self.record.etag
        return not overtaken and not self.switch.read().tripped

    def save(self) -> None:
        """Write the record."""
        self.record = self.records.replace(self.record)

    def send_on(self, queue: str, delay: timedelta = timedelta(0)) -> None:
        """Send the next message, then raise the generation.

        A crash in between leaves two messages for one generation, and the claim lets only one of
        them work. The other order would leave no message at all.
        """
        message = next_message(self.record)
        self.queues.send(queue, message.to_json(), delay)
        self.record = replace(
            self.record,
            generation=message.generation,
            claimed_by="",
            next_check_at=self.now() + delay,
        )
        self.save()

    def delay(self, retry_after: float | None = None) -> timedelta:
        """Return how long to wait before the next check; `retry_after` is in seconds."""
        return next_delay(self.checks, self.record.attempt, self.jitter(), retry_after)

    def finish(self, state: State, reason: str = "", remedy: str = "") -> None:
        """End the deletion in a terminal state."""
        self.record = ended(self.record, state, reason, remedy, self.now())
        self.save()
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
    checks: CheckSettings, attempt: int, jitter: float, retry_after: float | None = None
) -> timedelta:
    """Return the delay before check number `attempt` (from 0), growing up to the maximum.

    `jitter`, from 0 to 1, lengthens the delay by up to a quarter, so that deletions that started
    together spread out. Partner Center's own Retry-After, in seconds, is the minimum; while the
    trouble lasts, the longer of the two applies.
    """
    if retry_after is None:
        base = _grown(checks, attempt)
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
