"""The simulated time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def machine_time() -> datetime:
    """Return the machine's time, in UTC."""
    return datetime.now(UTC)


class Clock:
    """The time of a source, by default the machine's clock, plus an offset."""

    def __init__(self, source: Callable[[], datetime] = machine_time) -> None:
        self._source = source
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward; raises ValueError if `seconds` is negative."""
        if seconds < 0:
            message = f"advance expects 0 or more seconds, not {seconds}; the clock cannot go back"
            raise ValueError(message)
        self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Remove the offset."""
        self._offset = timedelta()


def seven_digits(moment: datetime) -> str:
    """Format a time as in orders, with seven fractional digits."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def whole_seconds(moment: datetime) -> str:
    """Format a time as in the date members of subscriptions."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
