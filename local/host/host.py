"""The host: listens to the triggers of an app, and stops listening in order."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, Self

import uvicorn
from starlette.applications import Starlette

from local.host.calls import Worker
from local.host.configuration import LEASE_SECONDS, HostConfiguration
from local.host.errors import StartupError
from local.host.queue_listener import QueueListener
from local.host.timer_listener import TimerListener
from local.host.triggers import OnMessage, OnSchedule
from local.host.web import web_app

ADDRESS: Final = "127.0.0.1"
LEASES: Final = range(1, 7 * 24 * 60 * 60 + 1)
GRACE_SECONDS: Final = 10.0


class Listener(Protocol):
    """Waits for the events of one trigger."""

    def start(self) -> None:
        """Start to listen."""

    def take_no_more(self) -> None:
        """Accept no further events."""

    def join(self, deadline: float) -> None:
        """Wait for the events in progress, until `deadline` (monotonic seconds)."""


@dataclass(frozen=True)
class Host:
    """A running host: its URL, functions and queues."""

    url: str
    functions: tuple[str, ...]
    queues: tuple[str, ...]

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        worker: Worker,
        configuration: HostConfiguration,
        *,
        port: int = 0,
        lease_seconds: int = LEASE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> Iterator[Self]:
        """Let a worker run its functions until the block ends.

        A queue that does not exist yet is polled until it does. On exit no new work is accepted,
        and functions have `grace_seconds` to finish; the worker stays open.
        """
        if lease_seconds not in LEASES:
            raise StartupError(
                f"a lease must last {LEASES[0]} to {LEASES[-1]} s, not {lease_seconds} s"
            )
        # The port comes first: if it is taken, no message may have been leased yet.
        with _listening(port) as server:
            listeners = _listeners(worker, configuration, lease_seconds)
            web = web_app(worker, route_prefix=configuration.route_prefix)
            listeners.append(WebListener(web, server, grace_seconds))
            for listener in listeners:
                listener.start()
            try:
                url = f"http://{ADDRESS}:{server.getsockname()[1]}"
                yield cls(url, tuple(worker.triggers), _queues(worker))
            finally:
                _stop(listeners, grace_seconds)


def _queues(worker: Worker) -> tuple[str, ...]:
    triggers = worker.triggers.values()
    return tuple(each.queue for each in triggers if isinstance(each, OnMessage))


def _listeners(
    worker: Worker, configuration: HostConfiguration, lease_seconds: int
) -> list[Listener]:
    listeners: list[Listener] = []
    for function, trigger in worker.triggers.items():
        match trigger:
            case OnMessage():
                listeners.append(
                    QueueListener(
                        function,
                        trigger,
                        limits=configuration.queues,
                        lease_seconds=lease_seconds,
                        worker=worker,
                    )
                )
            case OnSchedule():
                listeners.append(TimerListener(function, trigger, worker=worker))
    return listeners


def _stop(listeners: Sequence[Listener], grace_seconds: float) -> None:
    # All stop accepting before the first wait, so that they share one grace period.
    for listener in listeners:
        listener.take_no_more()
    deadline = monotonic() + grace_seconds
    for listener in listeners:
        listener.join(deadline)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        server = socket.create_server((ADDRESS, port))
    except OSError as error:
        raise StartupError(f"cannot listen on port {port}: {error.strerror}") from error
    with server:
        yield server


class WebListener:
    """Serves HTTP on a listening socket."""

    def __init__(self, web: Starlette, server: socket.socket, grace_seconds: float) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                web,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=math.ceil(grace_seconds),
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([server],), name="host web server", daemon=True
        )

    def start(self) -> None:
        """Start to serve; requests that arrived since the socket was opened are waiting."""
        self._thread.start()

    def take_no_more(self) -> None:
        """Accept no further requests."""
        self._server.should_exit = True

    def join(self, deadline: float) -> None:
        """Wait for the requests in progress, until `deadline` (monotonic seconds)."""
        self._thread.join(max(0.0, deadline - monotonic()))
