"""Our own limit on calls per minute, below Microsoft's of 500 for a partner tenant."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
# A longer wait would only hold a thread: the step puts its message back instead.
LONGEST_WAIT_SECONDS: Final = 2.0


class RateLimited(Exception):
    """No call may be sent for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"No call may be sent for {seconds:.0f} s")
        self.seconds = seconds


class RateLimiter:
    """Lets at most `calls_per_minute` calls begin in any 60 seconds.

    Calls are not spaced evenly: slow cancellations begin early, and a lone deletion never waits.
    Source of the limit: Microsoft's page "API throttling guidance for partners".
    """

    def __init__(
        self, calls_per_minute: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._calls: deque[float] = deque(maxlen=calls_per_minute)
        self._paused_until = float("-inf")

    def acquire(self) -> float:
        """Reserve the next call and return the seconds until it may begin, two at the most.

        Raises RateLimited, and reserves nothing, while calls are paused or the wait is longer.
        """
        self.require_unpaused()
        with self._lock:
            now = self._monotonic()
            full = len(self._calls) == self._calls.maxlen
            start = max(now, self._calls[0] + _WINDOW_SECONDS) if full else now
            if start - now > LONGEST_WAIT_SECONDS:
                raise RateLimited(start - now)
            self._calls.append(start)
            return start - now

    def require_unpaused(self) -> None:
        """Raise RateLimited while calls are paused."""
        with self._lock:
            left = self._paused_until - self._monotonic()
        if left > 0:
            raise RateLimited(left)

    def pause(self, seconds: float) -> None:
        """Hold all calls for this many seconds, as Partner Center asked."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._monotonic() + seconds)
