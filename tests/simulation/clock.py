"""The virtual time of a run; each process may see it with its own error."""

from datetime import UTC, datetime, timedelta
from typing import Final

from time_machine import Traveller, travel

START: Final = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
_MONOTONIC_START: Final = 1000.0


class Clock:
    """Seconds since the start of a run; `skew` is the error of the process that reads it.

    Only the time of day is wrong in a skewed process; the monotonic clock is not.
    """

    def __init__(self, traveller: Traveller) -> None:
        self._traveller = traveller
        self._shown = 0
        self.now = 0.0
        self.skew = 0.0

    def start(self) -> None:
        """Go back to the start of a run."""
        self.now = self.skew = 0.0
        self._show()

    def move(self, moment: float) -> None:
        """Jump to a later moment."""
        self.now = moment
        self._show()

    def look(self, skew: float) -> None:
        """Show the time of day with this error."""
        if skew != self.skew:
            self.skew = skew
            self._show()

    def monotonic(self) -> float:
        """Return what `time.monotonic` returns."""
        return _MONOTONIC_START + self.now

    def moment(self) -> datetime:
        """Return the true time of day."""
        return START + timedelta(seconds=self.now)

    def _show(self) -> None:
        # Whole microseconds, so that no rounding adds up from run to run.
        shown = round((self.now + self.skew) * 1e6)
        self._traveller.shift(timedelta(microseconds=shown - self._shown))
        self._shown = shown


def travelling() -> Clock:
    """Replace the time of day for the rest of this process, and return its clock."""
    return Clock(travel(START, tick=False).start())
