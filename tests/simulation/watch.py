"""Judges a run while it goes on, so that it stops at its first violation."""

from typing import Final

from tests.simulation.clock import Clock
from tests.simulation.faults import Faults
from tests.simulation.known import known_as
from tests.simulation.log import Log
from tests.simulation.oracle import History, judge_so_far

EVERY: Final = 100
# Seconds after which every call that was on its way is in the log, with its response.
SETTLED: Final = 300.0


class Watch:
    """The oracle beside a run; it does not stop for what is known."""

    def __init__(self, log: Log, clock: Clock, faults: Faults) -> None:
        self._log = log
        self._clock = clock
        self._faults = faults
        self._seen = 0

    def sees_violation(self) -> bool:
        """Return whether a rule that holds at every moment was broken; looked for now and then."""
        if len(self._log.entries) < self._seen + EVERY:
            return False
        self._seen = len(self._log.entries)
        history = History(self._log.entries)
        struck = {kind for kind, _ in self._faults.struck}
        settled = self._clock.now - SETTLED
        return any(
            history.time_of(each.place) < settled and known_as(each, struck) is None
            for each in judge_so_far(history)
        )
