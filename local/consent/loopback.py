"""A web server on the loopback interface that receives one response of Entra ID."""

import hmac
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl

from shared.errors import TipsweepError

_HOST: Final = "127.0.0.1"
_LONGEST_BODY: Final = 65_536
_RECEIVED: Final = "tipsweep has received the sign-in. The terminal says whether it is accepted."
_FOREIGN: Final = "This is not the response that tipsweep waits for."


class NoResponseArrived(TipsweepError):
    """Nobody finished the sign-in in time."""


class Loopback:
    """Waits for the response that carries a state; anything else is turned away.

    The response comes as a form, so that the code appears in no address and no history.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._received: queue.Queue[Mapping[str, str]] = queue.Queue()
        self._state = ""
        self.port: int = server.server_address[1]
        self.redirect_uri = f"http://localhost:{self.port}"

    def expect(self, state: str) -> None:
        """Accept the response with this state, and no other."""
        self._state = state

    def wait(self, seconds: float) -> dict[str, str]:
        """Return the members of the response; raises NoResponseArrived."""
        try:
            return dict(self._received.get(timeout=seconds))
        except queue.Empty as error:
            message = f"Nobody signed in within {seconds:.0f} s: run the command again"
            raise NoResponseArrived(message) from error

    def take(self, host: str | None, body: bytes) -> bool:
        """Keep a response if it is ours; another page cannot know the state."""
        # A host name that resolves to this machine must not make a foreign page ours.
        if host not in {f"localhost:{self.port}", f"{_HOST}:{self.port}"} or not self._state:
            return False
        members = dict(parse_qsl(body.decode(errors="replace")))
        if not hmac.compare_digest(members.get("state", "").encode(), self._state.encode()):
            return False
        self._received.put(members)
        return True


@contextmanager
def listening(port: int) -> Iterator[Loopback]:
    """Serve on a port of the loopback interface, 0 for a free one; raises OSError if taken."""
    with ThreadingHTTPServer((_HOST, port), BaseHTTPRequestHandler) as server:
        loopback = Loopback(server)
        server.RequestHandlerClass = _handler(loopback)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield loopback
        finally:
            server.shutdown()
            thread.join()


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            body = b""
            if length.isdecimal() and int(length) <= _LONGEST_BODY:
                body = self.rfile.read(int(length))
            if loopback.take(self.headers.get("Host"), body):
                self._respond(HTTPStatus.OK, _RECEIVED)
            else:
                self._respond(HTTPStatus.BAD_REQUEST, _FOREIGN)

        def do_GET(self) -> None:
            self._respond(HTTPStatus.NOT_FOUND, _FOREIGN)

        def _respond(self, status: HTTPStatus, text: str) -> None:
            body = f"<!doctype html><title>tipsweep</title><p>{text}</p>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
            """Log nothing: the terminal belongs to the person."""

    return Handler
