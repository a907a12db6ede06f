"""Tells an outage of the storage account from a mistake of ours."""

from http import HTTPStatus
from typing import Final

from azure.core.exceptions import AzureError, HttpResponseError

from shared.errors import TipsweepError

# Roles and network rules that are not in place (yet), a table or queue that is missing, being
# removed or busy: all of this passes, or a person repairs it.
_PASSING: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class SlowStorage(TipsweepError):
    """Storage responds, but too late for what it says to be still true."""


def is_outage(error: AzureError) -> bool:
    """Whether the same call may succeed later; a 400, for one, is our own mistake."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return status is None or status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
