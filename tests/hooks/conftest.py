"""A stand-in for Azure Resource Manager and the app over TLS, and one for azd on the path."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hooks.console import Clock
from local.simulator.certificates import authority, server_context

AZD = """#!/bin/sh
case "$1 $2" in
  "auth token") case $4 in api://unknown*) echo "ERROR: AADSTS500011"; exit 1 ;; esac
    echo "WARNING: your version of azd is out of date" >&2
    case $4 in api://odd*) echo "{\\"accessToken\\": \\"for $4\\"}" ;;
      *) echo "{\\"token\\": \\"for $4\\"}" ;; esac ;;
  "deploy api") echo "$*" >>"$AZD_CALLS"; line=$(head -n 1 "$AZD_OUTPUT"); sed -i 1d "$AZD_OUTPUT"
    echo "$line"; case $line in SUCCESS*) ;; *) exit 1 ;; esac ;;
esac
"""
APP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/func"


class Azure:
    """Responses by method and path, the last of which stays, and the calls that came."""

    def __init__(self) -> None:
        self.responses: dict[str, list[tuple[int, object]]] = {}
        self.calls: list[str] = []
        self.headers: dict[str, dict[str, str]] = defaultdict(dict)
        self.locations: dict[str, str] = {}
        self.url = ""

    def on(self, call: str, *responses: tuple[int, object]) -> None:
        self.responses[call] = list(responses)

    def respond(self, call: str, headers: dict[str, str]) -> tuple[int, object]:
        self.calls.append(call)
        self.headers[call] = headers
        left = self.responses.get(call, [(404, {"error": f"nothing at {call}"})])
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Azure]:
    azure = Azure()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = {name.lower(): value for name, value in self.headers.items()}
            self.rfile.read(int(names.get("content-length", 0)))
            call = f"{self.command} {self.path.partition('?')[0]}"
            status, body = azure.respond(call, names)
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            if location := azure.locations.get(call):
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name that the library looks for

        def log_message(self, *_arguments: object) -> None:
            """Keep the output of the tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    azure.url = f"https://localhost:{server.server_port}"
    trusted = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    yield azure
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def environment(azure: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give what azd passes to a hook after `azd provision`."""
    tool = tmp_path / "bin/azd"
    tool.parent.mkdir()
    tool.write_text(AZD)
    tool.chmod(0o755)
    path = f"{tool.parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", path)
    return {
        "PATH": path,
        "AZD_CALLS": str(tmp_path / "calls"),
        "AZD_OUTPUT": str(tmp_path / "output"),
        "AZURE_ENV_NAME": "dev",
        "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_LOCATION": "westeurope",
        "RESOURCE_MANAGER_URL": f"{azure.url}/",
        "SERVICE_API_RESOURCE_ID": APP,
        "SERVICE_API_URI": azure.url,
        "SERVICE_API_HOSTING_MODEL": "flex",
        "SERVICE_API_PYTHON_VERSION": "3.12",
        "SERVICE_API_CLIENT_ID": "",
    }


@pytest.fixture
def clock() -> Clock:
    """Give a clock that passes only while somebody sleeps."""
    seconds = [0.0]

    def sleep(duration: float) -> None:
        seconds[0] += duration

    return Clock(lambda: seconds[0], sleep)
