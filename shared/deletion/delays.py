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
    together do not stay together. Partner Center's own Retry-After, in seconds, is kept to; where
    the trouble lasts, the longer of both.
    """
    if retry_after is None:
        base = _grown(checks, attempt)
    else:
        least = _grown(checks, attempt) if attempt else timedelta(0)
        base = max(timedelta(seconds=retry_after), least)
    return base * (1 + _JITTER * jitter)


def is_at_longest_delay(checks: CheckSettings, attempt: int) -> bool:
    """Whether looks have become as rare as they get, so that a call is worth sending again."""
    return attempt > 0 and _grown(checks, attempt) >= checks.max_delay


def _grown(checks: CheckSettings, attempt: int) -> timedelta:
    growth = _GROWTH ** min(attempt, _GROWTH_STEPS)
    return min(checks.first_delay * growth, checks.max_delay)
