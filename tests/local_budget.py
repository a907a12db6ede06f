"""A budget of calls in memory, on a clock of its own, where a test is about something else."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from shared.partner_center.deadline import Deadline
from shared.partner_center.rate_limit import Fill, Rank, RateLimited

_WINDOW_SECONDS: Final = 60.0


class LocalBudget:
    """Lets at most `calls_per_minute` calls begin in any 60 seconds; implements `CallBudget`."""

    def __init__(
        self, calls_per_minute: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._calls: deque[float] = deque(maxlen=calls_per_minute)
        self.ranks: list[Rank] = []
        self.usable_seconds = float("inf")
        self.paused_until = float("-inf")

    def turn(self, rank: Rank, deadline: Deadline, *, patient: bool) -> float:  # noqa: ARG002
        """Take the turn of one call."""
        now = self._monotonic()
        self.require_usable(now)
        if len(self._calls) == self._calls.maxlen and now < self._calls[0] + _WINDOW_SECONDS:
            raise RateLimited(self._calls[0] + _WINDOW_SECONDS - now)
        self._calls.append(now)
        self.ranks.append(rank)
        return now + self.usable_seconds

    def require_usable(self, until: float) -> bool:
        """Whether a turn may still be used."""
        now = self._monotonic()
        if now < self.paused_until:
            raise RateLimited(self.paused_until - now)
        return now < until

    @property
    def crowded(self) -> bool:
        """Whether most of the minute is taken."""
        return 2 * len(self._calls) > (self._calls.maxlen or 0)

    def expect(self, seconds: float) -> None:
        """Leave no room for anybody."""

    def pause(self, seconds: float) -> None:
        """Hold all calls."""
        self.paused_until = max(self.paused_until, self._monotonic() + seconds)

    def fill(self) -> Fill:
        """Return how full the minute is."""
        return Fill(self._calls.maxlen or 0, len(self._calls))
