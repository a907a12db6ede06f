"""The limit on calls per minute for each partner tenant ("API throttling guidance")."""

import math
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from local.simulator.partner_center.errors import GatewayError
from local.simulator.state.behaviour import Behaviour, RetryAfter
from local.simulator.state.clock import Clock

_WINDOW = timedelta(seconds=60)


class Throttle:
    """Counts the calls of each tenant in the last 60 seconds, rejected ones included."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def count(self, tenant_id: str, behaviour: Behaviour) -> None:
        """Count a call; raises GatewayError 429 if the window is full."""
        limit = behaviour.requests_per_minute
        if limit is None:
            return
        now = self._clock.now()
        calls = self._calls[tenant_id]
        while calls and calls[0] <= now - _WINDOW:
            calls.popleft()
        calls.append(now)
        if len(calls) > limit:
            # Rejected calls count as well, so a caller that retries too early waits longer.
            free_at = calls[-limit] + _WINDOW if limit else now + _WINDOW
            raise _too_many(now, free_at, behaviour.retry_after)

    def clear(self) -> None:
        """Clear the window of every tenant."""
        self._calls.clear()


def _too_many(now: datetime, free_at: datetime, form: RetryAfter) -> GatewayError:
    seconds = max(1, math.ceil((free_at - now).total_seconds()))
    headers = {}
    if form is RetryAfter.SECONDS:
        headers["Retry-After"] = str(seconds)
    elif form is RetryAfter.DATE:
        # The caller compares the date with the machine's clock, not the simulated one.
        date = datetime.now(UTC) + timedelta(seconds=seconds + 1)
        headers["Retry-After"] = format_datetime(date, usegmt=True)
    return GatewayError(
        429, f"Rate limit is exceeded. Try again in {seconds} seconds.", headers=headers
    )
