"""The header Retry-After, as Partner Center, Entra ID and Key Vault send it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

# One odd header must not park a deletion for weeks.
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return a Retry-After header in seconds, at most a day; None if it cannot be read.

    The header holds seconds, or an HTTP date.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_RETRY_AFTER_SECONDS)
    try:
        timestamp = parsedate_to_datetime(header)
    except ValueError:
        return None
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    seconds = (timestamp - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_SECONDS)
