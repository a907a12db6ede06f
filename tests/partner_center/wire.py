"""Requests of two threads that meet on their way."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
from requests.adapters import HTTPAdapter


@contextmanager
def meeting(monkeypatch: pytest.MonkeyPatch, request: str, barrier: Barrier) -> Iterator[None]:
    """Hold requests back until as many are there as the barrier asks for, the first time only.

    `request` is a method and a part of the path.
    """
    method, _, part = request.partition(" ")
    send = HTTPAdapter.send
    met: set[int] = set()

    def send_together(self: HTTPAdapter, prepared: Any, *rest: Any, **named: Any) -> Any:
        # The library asks a vault without a token first.
        asks = "/secrets/" in prepared.url and "Authorization" not in prepared.headers
        if prepared.method == method and part in prepared.url and not asks and id(self) not in met:
            met.add(id(self))
            barrier.wait()
        return send(self, prepared, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send_together)
        yield
