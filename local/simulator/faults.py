"""Trouble on demand: answers that replace the real one, dropped connections, delays."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Lock

from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next calls that match.

    `path` is a glob over the path without the query, `method` a verb or `*`. A fault with
    `performed` carries the call out first. `status` replaces the answer, with `body` (text as it
    is, anything else as JSON; None gives the gateway's form) and `headers`; `drop` closes the
    connection instead of answering; `delay_seconds` waits first and, alone, changes nothing else.
    It strikes `times` times; None means always.
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
        """Whether the caller does not get the real answer."""
        return self.drop or self.status is not None

    def matches(self, method: str, path: str) -> bool:
        """Return whether a call is meant."""
        return self.method in {"*", method} and fnmatchcase(path, self.path)

    def response(self) -> Response:
        """Return the answer that stands in for the real one."""
        status = self.status or 500
        if isinstance(self.body, str):
            return Response(self.body, status, self.headers)
        body = self.body
        if body is None and status >= 400:  # noqa: PLR2004 - the first of the error statuses
            body = {"statusCode": status, "message": "Injected by the simulator."}
        content = "" if body is None else json.dumps(body)
        return Response(content, status, {"Content-Type": "application/json", **self.headers})


class FaultQueue:
    """The faults still to strike, first added first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault."""
        with self._lock:
            self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first fault that matches and count it down."""
        with self._lock:
            for index, (fault, left) in enumerate(self._faults):
                if fault.matches(method, path):
                    if left is not None:
                        self._faults[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return None
