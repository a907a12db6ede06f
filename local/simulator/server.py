"""The TLS server: uvicorn in a thread, on the loopback interface only."""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.simulator.certificates import server_context

_START_SECONDS = 20


class _Abortable(H11Protocol):
    """A connection that the app can abort, through `abort` in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        super().connection_made(transport)
        app = self.app

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "abort": transport.abort}, receive, send)

        self.app = with_abort

    def shutdown(self) -> None:
        """Abort the connection; a client that keeps it open would delay the TLS shutdown."""
        super().shutdown()
        self.transport.abort()


class _ObservableServer(uvicorn.Server):
    """A server with an event that is set once it listens."""

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
            http=_Abortable,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_context_factory=lambda _config, _default: server_context(),
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _ObservableServer(config)
        self._socket = sock
        self._thread = threading.Thread(
            target=self._server.run, args=([sock],), name="simulator", daemon=True
        )

    def start(self) -> None:
        """Start the thread and wait until the server listens; raises RuntimeError after 20 s."""
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
    """Bind a TCP port on 127.0.0.1; 0 picks a free port."""
    # asyncio disables Nagle's algorithm only on sockets that name the protocol.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock
