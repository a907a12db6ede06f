"""Azurite, Microsoft's storage emulator, for the tests, the demo and the command line."""

import contextlib
import re
import secrets
import shutil
import subprocess
import sys
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import IO, Final, Self

ROOT: Final = Path(__file__).parents[1]
PROGRAM: Final = ROOT / "node_modules/azurite/dist/src/azurite.js"
DATA: Final = ROOT / ".run/azurite"
SERVICES: Final = ("Blob", "Queue", "Table")
DEFAULT_PORTS: Final = (10000, 10001, 10002)
FREE_PORTS: Final = (0, 0, 0)
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0

# The operating system closes the pipe when the parent dies, however it dies.
STOP_WITH_PARENT: Final = (
    "data:text/javascript,const stop = () => process.kill(process.pid, 'SIGTERM');"
    "process.stdin.on('end', stop).resume().unref()"
)


class AzuriteError(Exception):
    """Azurite cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Azurite:
    """A running Azurite with the connection strings of its accounts, which are empty at first."""

    connection_strings: tuple[str, ...]

    @property
    def connection_string(self) -> str:
        """The connection string of the first account."""
        return self.connection_strings[0]

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, *, accounts: int = 1, on_line: Callable[[str], None] | None = None
    ) -> Iterator[Self]:
        """Run Azurite in memory on free ports, with new accounts that share a random key.

        `on_line` gets each line of its access log. Raises AzuriteError if it does not start.
        """
        names = [f"account{number:04}" for number in range(accounts)]
        key = b64encode(secrets.token_bytes(32)).decode()
        environment = {"AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name in names)}
        options = ["--inMemoryPersistence"]
        with running(options, FREE_PORTS, environment, on_line) as (process, endpoints):
            try:
                yield cls(tuple(_connection_string(name, key, endpoints) for name in names))
            finally:
                process.kill()  # a clean stop waits for idle connections


@contextlib.contextmanager
def running(
    options: Sequence[str],
    ports: Sequence[int],
    environment: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run Azurite until the block ends; yield its process and the endpoint of each service."""
    command = [_node(), "--import", STOP_WITH_PARENT, _program(), *options]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    command += [] if on_line else ["--silent"]
    for service, port in zip(SERVICES, ports, strict=True):
        command += [f"--{service.lower()}Port", str(port)]
    with subprocess.Popen(  # noqa: S603 - the command contains no outside input
        command,
        env={**environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process, _endpoints(process, on_line)
        finally:
            _stop(process)


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise AzuriteError("Azurite needs Node.js 20 or later, and there is no node on PATH")
    return node


def _program() -> str:
    if not PROGRAM.is_file():
        raise AzuriteError(f"Azurite is missing: {PROGRAM} does not exist; run make setup")
    return str(PROGRAM)


def _endpoints(
    process: subprocess.Popen[str], on_line: Callable[[str], None] | None
) -> dict[str, str]:
    output = process.stdout
    if output is None:
        raise AzuriteError("Azurite was started without a pipe for its output")
    # Reading a pipe has no timeout; killing the process ends the read.
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        endpoints = _read_endpoints(output)
    finally:
        watchdog.cancel()
    # A full pipe would block Azurite, so its output is read to the end.
    lines = map(on_line, output) if on_line else output
    threading.Thread(target=deque, args=(lines, 0), daemon=True, name="azurite output").start()
    return endpoints


def _read_endpoints(output: IO[str]) -> dict[str, str]:
    endpoints: dict[str, str] = {}
    lines: list[str] = []
    for line in output:
        lines.append(line)
        if found := re.search(r"(\w+) service is successfully listening at (\S+)", line):
            endpoints[found[1]] = found[2]
        if len(endpoints) == len(SERVICES):
            return endpoints
    raise AzuriteError(f"Azurite exited before it was listening. Its output:\n{''.join(lines)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connection_string(name: str, key: str, endpoints: Mapping[str, str]) -> str:
    addresses = "".join(f"{service}Endpoint={endpoints[service]}/{name};" for service in SERVICES)
    return f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={key};{addresses}"


def main() -> int:
    """Run Azurite on the ports of `UseDevelopmentStorage=true`, and keep its data."""
    try:
        with running(["--location", str(DATA)], DEFAULT_PORTS, {}) as (process, _):
            print(
                f"Azurite is listening on ports {DEFAULT_PORTS[0]} to {DEFAULT_PORTS[-1]} "
                f"(UseDevelopmentStorage=true); its data is in {DATA}. Press Ctrl+C to stop.",
                flush=True,
            )
            return process.wait()
    except AzuriteError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
