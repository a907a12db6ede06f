"""The time of the storage account, which all processes share, told by its responses."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from azure.core.exceptions import ServiceResponseError

# A `Date` header shows whole seconds.
_STEP_SECONDS: Final = 1.0
# How far two clocks drift apart at worst, in seconds a second.
_DRIFT: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Moment:
    """The time in seconds since 1970: it lies between the two."""

    earliest: float
    latest: float


class UnknownTime(ServiceResponseError):
    """No response of the storage account has told the time yet."""


class StorageClock:
    """Narrows the difference between the storage account's clock and the monotonic one.

    The time of day of this process counts nowhere. Not safe to share between threads.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._least = float("-inf")
        self._most = float("inf")
        self._learned_at = monotonic()

    def learn(self, date: datetime, asked_at: float) -> None:
        """Take a `Date` header into account that came for a request sent at a monotonic time."""
        now = self._monotonic()
        drifted = (now - self._learned_at) * _DRIFT
        self._least, self._most = self._least - drifted, self._most + drifted
        self._learned_at = now
        least = date.timestamp() - now
        most = date.timestamp() + _STEP_SECONDS - asked_at
        # Its servers differ a little, and this process may have stood still for a while.
        if least > self._most or most < self._least:
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)

    def now(self) -> Moment:
        """Return the time; raises UnknownTime."""
        if self._most == float("inf"):
            message = "no response of the table service had a Date header: expected one in each"
            raise UnknownTime(message)
        now = self._monotonic()
        return Moment(now + self._least, now + self._most)

    def monotonic_of(self, time: float) -> float:
        """Return the monotonic time at which it is certainly not later than `time`."""
        return time - self._most
