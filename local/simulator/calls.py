"""The log of calls, which never holds a token, a secret or a body."""

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

WRITES = {"DELETE", "PATCH", "POST"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of Partner Center, or one request for a token.

    `status` is None when the connection was dropped instead of an answer. `app_only` is None
    when no valid token came. `requested_status` is the `status` member of a PATCH.
    """

    time: datetime
    method: str
    path: str
    query: str
    status: int | None
    code: int | None
    request_id: str | None
    correlation_id: str | None
    partner_tenant_id: str | None
    app_only: bool | None
    is_write: bool
    requested_status: str | None
    fault: bool
    sequence: int = 0


@dataclass(slots=True)
class Notes:
    """What a handler learns about the call that it answers, for the log."""

    code: int | None = None
    partner_tenant_id: str | None = None
    app_only: bool | None = None
    requested_status: str | None = None


class CallLog:
    """Every call since the start or the last clearing; sequence numbers go on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: list[Call] = []
        self._last = 0

    def add(self, call: Call) -> None:
        """Write down a call under the next sequence number."""
        with self._lock:
            self._last += 1
            self._calls.append(replace(call, sequence=self._last))

    def clear(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._calls.clear()

    def since(self, sequence: int) -> tuple[Call, ...]:
        """Return the calls with a higher sequence number."""
        with self._lock:
            return tuple(call for call in self._calls if call.sequence > sequence)
