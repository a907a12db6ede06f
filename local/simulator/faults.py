"""Fault injection: replaced responses, dropped connections, delays."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Lock

from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for the next calls that match.

    `path` is a glob over the path without the query, `method` an HTTP method or `*`. With
    `performed` the call takes effect before the fault is returned. `status` replaces the response,
    with `body` (text as is, anything else as JSON; None means a gateway error body) and `headers`;
    `drop` closes the connection without a response; `delay_seconds` waits before the call and can
    be the only effect. The fault applies to `times` calls; None means every call.
    """

    method: str = "*"
    path: str = "*"
    status: int | None = None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = 1
    drop: bool = False
    performed: bool = False
    delay_seconds: float = 0.0

    @property
    def replaces(self) -> bool:
        """Whether the caller gets something other than the real response."""
        return self.drop or self.status is not None

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault applies to a call."""
        return self.method in {"*", method} and fnmatchcase(path, self.path)

    def response(self) -> Response:
        """Return the response that replaces the real one."""
        status = self.status or 500
        if isinstance(self.body, str):
            return Response(self.body, status, self.headers)
        body = self.body
        if body is None and status >= 400:  # noqa: PLR2004 - the lowest error status
            body = {"statusCode": status, "message": "Injected by the simulator."}
        content = "" if body is None else json.dumps(body)
        return Response(content, status, {"Content-Type": "application/json", **self.headers})


class FaultQueue:
    """The faults still to be injected, in the order they were added."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault."""
        with self._lock:
            self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first matching fault, if any, and use it up by one call."""
        with self._lock:
            for index, (fault, left) in enumerate(self._faults):
                if fault.matches(method, path):
                    if left is not None:
                        self._faults[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return None
