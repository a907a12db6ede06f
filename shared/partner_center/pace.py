"""Our own ceiling on calls per minute, below Microsoft's of 500 for a partner tenant."""

import threading
import time
from collections.abc import Callable
from typing import Final

_BURST_SHARE: Final = 20
_MINUTE: Final = 60.0


class Pace:
    """Spreads calls so that no minute holds more than `calls_per_minute` of them.

    A twentieth of the calls may come at once, the others evenly. Source of the limit:
    Microsoft's page "API throttling guidance for partners".
    """

    def __init__(
        self, calls_per_minute: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        burst = max(1, calls_per_minute // _BURST_SHARE)
        self._gap = _MINUTE / max(1, calls_per_minute - burst)
        self._tolerance = (burst - 1) * self._gap
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._held_until = float("-inf")

    def wait_for_turn(self) -> float:
        """Take the next turn and return the seconds until it comes."""
        with self._lock:
            now = self._monotonic()
            turn = max(self._next, now)
            self._next = turn + self._gap
            return max(0.0, turn - self._tolerance - now)

    def hold(self, seconds: float) -> None:
        """Let nobody call for this many seconds, as Partner Center asked."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)

    def held_seconds(self) -> float:
        """Return for how many more seconds nobody may call."""
        with self._lock:
            return max(0.0, self._held_until - self._monotonic())
