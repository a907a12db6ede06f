"""How long to wait before the next look."""

from datetime import timedelta
from typing import Final

from shared.settings import CheckSettings

_JITTER: Final = 0.25
_GROWTH: Final = 1.5
_GROWTH_STEPS: Final = 40


def next_delay(
    checks: CheckSettings, attempt: int, jitter: float, retry_after: float | None = None
) -> timedelta:
    """Return the delay before look number `attempt` (from 0), growing up to the longest.

    `jitter`, from 0 to 1, stretches the delay by up to a quarter, so that deletions which began
    together do not stay together. Partner Center's own Retry-After, in seconds, wins.
    """
    if retry_after is not None:
        base = timedelta(seconds=retry_after)
    else:
        base = min(checks.first_delay * _GROWTH ** min(attempt, _GROWTH_STEPS), checks.max_delay)
    return base * (1 + _JITTER * jitter)
