"""A status that reaches its target after a number of reads or seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.simulator.state.clock import Clock


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a change takes: API reads that still show `pending`, and seconds."""

    polls: int = 0
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return self.polls > 0 or self.seconds > 0


@dataclass
class _Transition:
    target: str
    ready_at: datetime
    polls_left: int


class ChangingStatus:
    """A status, the change in progress, and a version that grows with both.

    `settled` is called with the status once a change is complete.
    """

    def __init__(
        self, clock: Clock, status: str, settled: Callable[[str], None] | None = None
    ) -> None:
        self._clock = clock
        self._status = status
        self._settled = settled
        self._transition: _Transition | None = None
        self._version = 1

    @property
    def now(self) -> str:
        """The current status: `pending` while a change is in progress."""
        self._settle()
        return "pending" if self._transition else self._status

    @property
    def version(self) -> int:
        """A number that grows with each change."""
        self._settle()
        return self._version

    def read(self) -> str:
        """Return the status for an API read, which counts as a poll."""
        # Counted after the status is taken: `polls` is the number of reads that show `pending`.
        shown = self.now
        if self._transition:
            self._transition.polls_left = max(0, self._transition.polls_left - 1)
        return shown

    def change(self, target: str, delay: Delay) -> None:
        """Start a change to another status; without a delay it completes at once."""
        ready_at = self._clock.now() + timedelta(seconds=delay.seconds)
        self._transition = _Transition(target, ready_at, delay.polls)
        self._version += 1
        self._settle()

    def _settle(self) -> None:
        transition = self._transition
        if not transition or transition.polls_left or self._clock.now() < transition.ready_at:
            return
        self._transition = None
        self._status = transition.target
        self._version += 1
        if self._settled:
            self._settled(transition.target)
