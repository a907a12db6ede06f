"""Our own ceiling on calls per minute, below Microsoft's of 500 for a partner tenant."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
LONGEST_WAIT_SECONDS: Final = 2.0


class RateLimited(Exception):
    """No call may be sent for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"No call may be sent for {seconds:.0f} s")
        self.seconds = seconds


class RateLimiter:
    """Lets at most `calls_per_minute` calls begin in any 60 seconds.

    The calls come as fast as they are asked for until the minute is full. So long cancellations
    begin early, and a lone deletion never waits. Source of the limit: Microsoft's page "API
    throttling guidance for partners".
    """

    def __init__(
        self, calls_per_minute: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._turns: deque[float] = deque(maxlen=calls_per_minute)
        self._held_until = float("-inf")

    def acquire(self) -> float:
        """Take the next turn and return the seconds until it comes, two at the most.

        Raises RateLimited, and takes none, while calls are held or the turn is further away.
        """
        with self._lock:
            now = self._monotonic()
            if self._held_until > now:
                raise RateLimited(self._held_until - now)
            full = len(self._turns) == self._turns.maxlen
            turn = max(now, self._turns[0] + _WINDOW_SECONDS) if full else now
            if turn - now > LONGEST_WAIT_SECONDS:
                raise RateLimited(turn - now)
            self._turns.append(turn)
            return turn - now

    def hold(self, seconds: float) -> None:
        """Let nobody call for this many seconds, as Partner Center asked."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)
