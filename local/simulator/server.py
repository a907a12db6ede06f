"""The TLS server: uvicorn in a thread, on the loopback interface only."""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.simulator.certificates import server_context

_START_SECONDS = 20


class _Droppable(H11Protocol):
    """A connection that the app may cut: the scope carries `abort`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        super().connection_made(transport)
        app = self.app

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "abort": transport.abort}, receive, send)

        self.app = with_abort

    def shutdown(self) -> None:
        """Cut the connection: a client that keeps it open would hold up the TLS farewell."""
        super().shutdown()
        self.transport.abort()


class _Announcing(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Server:
    """An ASGI app served over TLS on localhost until it is stopped."""

    def __init__(self, app: ASGIApp, sock: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=_Droppable,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_context_factory=lambda _config, _default: server_context(),
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Announcing(config)
        self._socket = sock
        self._thread = threading.Thread(
            target=self._server.run, args=([sock],), name="simulator", daemon=True
        )

    def start(self) -> None:
        """Return when the server listens; raises RuntimeError if it does not come up."""
        self._thread.start()
        if not self._server.listening.wait(_START_SECONDS):
            message = f"the simulator did not listen within {_START_SECONDS} seconds"
            raise RuntimeError(message)

    def stop(self) -> None:
        """Close every connection and wait for the thread."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def loopback_socket(port: int) -> socket.socket:
    """Bind a TCP port of 127.0.0.1; 0 lets the system choose."""
    # asyncio switches Nagle's algorithm off only where the protocol is named.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock
