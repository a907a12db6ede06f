"""The host: loads an app, runs its trigger listeners and stops them in order."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, Protocol, Self

import azure.functions as func
import uvicorn
from starlette.applications import Starlette

from local.host.configuration import HostConfiguration, read_configuration
from local.host.errors import StartupError
from local.host.loading import Function, OnMessage, OnSchedule, load
from local.host.queue_listener import QueueListener
from local.host.timer_listener import TimerListener
from local.host.web import web_app
from local.host.worker import Worker

ROOT: Final = Path(__file__).parents[2]
ADDRESS: Final = "127.0.0.1"
# Short, so that the messages of a killed host are soon visible again; the real host takes 10 min.
LEASE_SECONDS: Final = 30
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
        app: func.FunctionRegister,
        settings: Mapping[str, str],
        *,
        configuration: HostConfiguration | None = None,
        port: int = 0,
        lease_seconds: int = LEASE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> Iterator[Self]:
        """Run an app until the block ends; an app object can be loaded only once.

        `settings` are the app settings that the host reads: the storage connection and those that
        triggers name between percent signs. The app itself reads the environment. A queue that
        does not exist yet is polled until it does. The default configuration is the project's
        host.json. On exit no new work is accepted, and functions have `grace_seconds` to finish.
        Raises StartupError if the real host would not run the app.
        """
        if lease_seconds not in LEASES:
            raise StartupError(
                f"a lease must last {LEASES[0]} to {LEASES[-1]} s, not {lease_seconds} s"
            )
        configuration = configuration or read_configuration(ROOT, settings)
        functions = load(app, settings)
        worker = Worker.from_settings(settings)
        # The port comes first: if it is taken, no message may have been leased yet.
        with _listening(port) as server:
            listeners = _listeners(functions, configuration, lease_seconds, worker)
            web = web_app(functions, route_prefix=configuration.route_prefix, worker=worker)
            listeners.append(WebListener(web, server, grace_seconds))
            for listener in listeners:
                listener.start()
            try:
                yield cls(
                    f"http://{ADDRESS}:{server.getsockname()[1]}",
                    tuple(function.name for function in functions),
                    tuple(
                        function.trigger.queue
                        for function in functions
                        if isinstance(function.trigger, OnMessage)
                    ),
                )
            finally:
                _stop(listeners, grace_seconds)
                worker.close()


def _listeners(
    functions: Sequence[Function],
    configuration: HostConfiguration,
    lease_seconds: int,
    worker: Worker,
) -> list[Listener]:
    listeners: list[Listener] = []
    for function in functions:
        match function.trigger:
            case OnMessage() as trigger:
                listeners.append(
                    QueueListener(
                        function,
                        trigger,
                        limits=configuration.queues,
                        lease_seconds=lease_seconds,
                        worker=worker,
                    )
                )
            case OnSchedule() as trigger:
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
