"""The simulator's own time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def machine_time() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


class Clock:
    """The time of its source, the machine by default, moved forward by what was asked for."""

    def __init__(self, source: Callable[[], datetime] = machine_time) -> None:
        self._source = source
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds; raises ValueError when they are negative."""
        if seconds < 0:
            message = f"advance takes zero or more seconds, not {seconds}: the clock only goes on"
            raise ValueError(message)
        self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Go back to the time of the source."""
        self._offset = timedelta()


def seven_digits(moment: datetime) -> str:
    """Write a time as orders do, with seven digits after the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def whole_seconds(moment: datetime) -> str:
    """Write a time as the date members of subscriptions do."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
