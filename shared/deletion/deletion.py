"""One deletion in hand: its record, its client, and the ways it can go on."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.deletion.claims import step_message
from shared.deletion.delays import next_delay
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.services import Services
from shared.storage.records import DeletionRecord, State

_END_EVENTS = {
    State.DELETED: Event.DELETION_DELETED,
    State.STUCK: Event.DELETION_STUCK,
    State.REFUSED: Event.DELETION_REFUSED,
    State.ABORTED: Event.DELETION_ABORTED,
}


@dataclass(slots=True)
class Deletion:
    """A claimed record and the client that works for it.

    Every change is written against the ETag that was read, so each method may raise
    RecordChanged.
    """

    services: Services
    record: DeletionRecord
    client: PartnerCenter

    @property
    def ids(self) -> dict[str, str]:
        """The fields that every log line of this deletion carries."""
        return {"tenant": self.record.tenant, "correlation": self.record.correlation_id}

    @property
    def overdue(self) -> bool:
        """Whether the deletion has taken longer than its deadline."""
        return self.services.now() >= self.record.deadline

    @property
    def age(self) -> timedelta:
        """How long ago the deletion was requested."""
        return self.services.now() - self.record.requested_at

    def save(self, **changes: Any) -> None:  # noqa: ANN401 - fields of the record
        """Write the record with these fields changed."""
        self.record = self.services.records.replace(replace(self.record, **changes))

    def send_on(self, queue: str, delay: timedelta, **changes: Any) -> None:  # noqa: ANN401
        """Send the next message, then raise the generation.

        A crash in between doubles a message, which the generation tells apart; the other order
        could lose the deletion.
        """
        message = step_message(self.record)
        self.services.queues.send_step(queue, message, delay)
        self.save(
            generation=message.generation,
            claimed_by="",
            next_check_at=self.services.now() + delay,
            **changes,
        )

    def delay(self, retry_after: float | None = None) -> timedelta:
        """Return how long to wait before the next look."""
        checks = self.services.settings.checks
        return next_delay(checks, self.record.attempt, self.services.jitter(), retry_after)

    def finish(self, state: State, reason: str = "", remedy: str = "") -> None:
        """End the deletion in a terminal state."""
        now = self.services.now()
        self.save(state=state, reason=reason, remedy=remedy, finished_at=now, next_check_at=None)
        emit(
            _END_EVENTS[state],
            **self.ids,
            seconds=round(self.age.total_seconds(), 1),
            reason=reason or None,
            remedy=remedy or None,
        )
