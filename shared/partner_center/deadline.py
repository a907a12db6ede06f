"""The time that one step may take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

from shared.partner_center.errors import OutOfTime

# The host kills a worker at functionTimeout, 5 minutes, with all the steps that run in it.
STEP_SECONDS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a step on a monotonic clock, in seconds; every wait is cut to what is left."""

    end: float
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def after(
        cls, seconds: float = STEP_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> Self:
        """Return the deadline this many seconds from now."""
        return cls(monotonic() + seconds, monotonic)

    @property
    def left(self) -> float:
        """The seconds left, 0 when the time is over."""
        return max(0.0, self.end - self.monotonic())

    def require(self, seconds: float, what: str) -> None:
        """Raise OutOfTime unless this many seconds are left for `what`."""
        left = self.left
        if left < seconds:
            message = (
                f"{what} was not started: it needs {seconds:.1f} s, and {left:.1f} s of the step's "
                "time are left"
            )
            raise OutOfTime(message)


_running: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def limited(deadline: Deadline) -> Iterator[None]:
    """Run a step within a deadline, which `running_deadline` returns to all that it calls."""
    token = _running.set(deadline)
    try:
        yield
    finally:
        _running.reset(token)


def running_deadline() -> Deadline | None:
    """Return the deadline of the step that runs in this thread, None outside of steps."""
    return _running.get()
