"""Our own ceiling on calls per minute, below Microsoft's of 500 for a partner tenant."""

import threading
import time
from collections.abc import Callable
from typing import Final

_BURST_SHARE: Final = 40
_MINUTE: Final = 60.0
LONGEST_WAIT_SECONDS: Final = 10.0


class NoTurn(Exception):
    """No call may be sent for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"No call may be sent for {seconds:.0f} s")
        self.seconds = seconds


class Pace:
    """Spreads calls so that no minute holds more than `calls_per_minute` of them.

    A fortieth of the calls may come at once, the others evenly. Source of the limit:
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

    def take_turn(self) -> float:
        """Take the next turn and return the seconds until it comes.

        Raises NoTurn, and takes none, while calls are held or the turn is far away.
        """
        with self._lock:
            now = self._monotonic()
            if self._held_until > now:
                raise NoTurn(self._held_until - now)
            turn = max(self._next, now)
            wait = max(0.0, turn - self._tolerance - now)
            if wait > LONGEST_WAIT_SECONDS:
                raise NoTurn(wait)
            self._next = turn + self._gap
            return wait

    def hold(self, seconds: float) -> None:
        """Let nobody call for this many seconds, as Partner Center asked."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)
