"""The call log, which never contains a token, a secret or a body."""

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

WRITES = {"DELETE", "PATCH", "POST"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to Partner Center, or one token request.

    `status` is None if the connection was dropped without a response. `app_only` is None if the
    call carried no valid token. `requested_status` is the `status` member of a PATCH body.
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
    """What a handler records about its call, for the log."""

    code: int | None = None
    partner_tenant_id: str | None = None
    app_only: bool | None = None
    requested_status: str | None = None


class CallLog:
    """The calls that began since the start or the last `clear`; sequence numbers never restart."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: list[Call] = []
        self._last = 0
        self._clearings = 0

    def mark(self) -> int:
        """Return what tells whether the log is cleared from now on."""
        with self._lock:
            return self._clearings

    def add(self, call: Call, begun: int) -> None:
        """Append a call with the next number, unless the log was cleared since its mark."""
        with self._lock:
            if begun == self._clearings:
                self._last += 1
                self._calls.append(replace(call, sequence=self._last))

    def clear(self) -> None:
        """Remove all calls, and those that have not ended yet."""
        with self._lock:
            self._clearings += 1
            self._calls.clear()

    def since(self, sequence: int) -> tuple[Call, ...]:
        """Return the calls with a higher sequence number."""
        with self._lock:
            return tuple(call for call in self._calls if call.sequence > sequence)
