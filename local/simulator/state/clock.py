"""The simulator's own time."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's time, moved forward by as much as anyone asked for."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds; raises ValueError when they are negative."""
        if seconds < 0:
            message = f"advance takes zero or more seconds, not {seconds}: the clock only goes on"
            raise ValueError(message)
        self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Go back to the machine's time."""
        self._offset = timedelta()


def seven_digits(moment: datetime) -> str:
    """Write a time as orders do, with seven digits after the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def whole_seconds(moment: datetime) -> str:
    """Write a time as the date members of subscriptions do."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
