"""The time of one step, which TLS connections keep to, and a last question before a call leaves."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from shared.partner_center.errors import OutOfTime

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# The host kills a worker at functionTimeout, 5 minutes, with all the steps that run in it.
STEP_SECONDS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a step on a monotonic clock, in seconds; every wait is cut to what is left."""

    end: float
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def after(
        cls, seconds: float = STEP_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> Self:
        """Return the deadline this many seconds from now."""
        return cls(monotonic() + seconds, monotonic)

    @property
    def left(self) -> float:
        """The seconds left, 0 when the time is over."""
        return max(0.0, self.end - self.monotonic())

    def require(self, seconds: float, what: str) -> None:
        """Raise OutOfTime unless this many seconds are left for `what`."""
        left = self.left
        if left < seconds:
            message = (
                f"{what} was not started: it needs {seconds:.1f} s, and {left:.1f} s of the step's "
                "time are left"
            )
            raise OutOfTime(message)


_running: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def limited(deadline: Deadline) -> Iterator[None]:
    """Run a step within a deadline, which `running_deadline` returns to all that it calls."""
    token = _running.set(deadline)
    try:
        yield
    finally:
        _running.reset(token)


def running_deadline() -> Deadline | None:
    """Return the deadline of the step that runs in this thread, None outside of steps."""
    return _running.get()


def time_is_left() -> bool:
    """Whether what runs in this thread may begin something more; it may outside of deadlines."""
    deadline = running_deadline()
    return deadline is None or deadline.left > 0


_leaving: ContextVar[Callable[[], None] | None] = ContextVar("leaving", default=None)


@contextmanager
def asking_last(ask: Callable[[], None]) -> Iterator[None]:
    """Ask when a request over TLS has its connection and is about to leave.

    What `ask` raises keeps the request from leaving, and reaches the caller.
    """
    token = _leaving.set(ask)
    try:
        yield
    finally:
        _leaving.reset(token)


class _LimitedSocket(ssl.SSLSocket):
    """A TLS socket whose reads end with the running step, and that asks before a request leaves.

    The libraries' read timeout holds for each read, so a response that trickles never ends by it.
    """

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Send data, after the question of `asking_last` if this is the first of a request."""
        ask = _leaving.get()
        if ask is not None:
            # The question itself may need other requests.
            _leaving.set(None)
            ask()
        super().sendall(data, flags)

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """Read what has arrived; raises TimeoutError when the time is over."""
        deadline = running_deadline()
        if deadline is None:
            return super().recv_into(buffer, nbytes, flags)
        left, timeout = deadline.left, self.gettimeout()
        if not left:
            message = "the response was still arriving when its time was over"
            raise TimeoutError(message)
        self.settimeout(left if timeout is None else min(left, timeout))
        try:
            return super().recv_into(buffer, nbytes, flags)
        finally:
            self.settimeout(timeout)


class _DirectSession(requests.Session):
    """A session that never looks where a redirection points, because its bytes may be odd."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target."""


def limited_session(*, retries: int = 0, pool_size: int = DEFAULT_POOLSIZE) -> requests.Session:
    """Return a session that follows no redirection, and whose reads end with the running step."""
    session = _DirectSession()
    adapter = HTTPAdapter(max_retries=retries)
    limit_reads(adapter, pool_size)
    session.mount("https://", adapter)
    return session


def limit_reads(adapter: HTTPAdapter, pool_size: int = DEFAULT_POOLSIZE) -> None:
    """Have all that an adapter reads over TLS end with the running step."""
    context = create_urllib3_context()
    context.sslsocket_class = _LimitedSocket
    adapter.init_poolmanager(DEFAULT_POOLSIZE, pool_size, ssl_context=context)
