"""A TLS server on localhost whose response never ends."""

import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

from local.simulator.certificates import server_context

_PAUSE_SECONDS: Final = 0.02
BEGUN: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
ENDLESS_HEADER: Final = b"HTTP/1.1 200 OK\r\nX-Odd: "


class TricklingServer:
    """Sends the beginning of a response, and then one byte at a time until the caller gives up."""

    def __init__(self, beginning: bytes) -> None:
        self.requests = 0
        self._beginning = beginning
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """The host and port to call."""
        return f"localhost:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        try:
            while True:
                connection = self._listener.accept()[0]
                threading.Thread(target=self._trickle, args=(connection,), daemon=True).start()
        except OSError:
            return

    def _trickle(self, connection: socket.socket) -> None:
        try:
            with server_context().wrap_socket(connection, server_side=True) as secure:
                secure.recv(65_536)
                self.requests += 1
                secure.sendall(self._beginning)
                while True:
                    secure.sendall(b" ")
                    time.sleep(_PAUSE_SECONDS)
        except OSError:
            return
