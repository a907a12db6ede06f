"""`python -m local.host`: runs the app in the current folder, as `func start` does."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from local.host.app_settings import connection_string, read_settings
from local.host.configuration import LEASE_SECONDS, read_configuration
from local.host.errors import StartupError
from local.host.logs import log_to_stderr
from local.host.supervisor import Supervisor

DEFAULT_PORT: Final = 7071
SETTINGS_FILE: Final = Path("local.settings.json")
STORAGE_SETTING: Final = "AzureWebJobsStorage"


def main() -> int:
    """Run the host until it is interrupted or terminated."""
    arguments = _arguments()
    log_to_stderr()
    try:
        _run(arguments)
    except StartupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    _add_settings(arguments)
    configuration = read_configuration(Path.cwd(), os.environ)
    storage = connection_string(STORAGE_SETTING, os.environ, where="the host")
    with Supervisor.start(configuration.function_timeout, give_up=stopped.set) as worker:
        # These imports take as long as the app does to load in the worker process.
        from local.host.host import Host

        _provision(storage)
        worker.load()
        with Host.start(
            worker, configuration, port=arguments.port, lease_seconds=arguments.lease_seconds
        ) as host:
            line = {"url": host.url, "functions": host.functions, "queues": host.queues}
            print(json.dumps(line), flush=True)
            stopped.wait()


def _provision(storage: str) -> None:
    from azure.core.exceptions import ServiceRequestError

    from local.provision import provision

    try:
        provision(storage)
    except ServiceRequestError as error:
        message = (
            f"the storage of {STORAGE_SETTING} cannot be reached; start Azurite with "
            "python -m local.azurite, or use another account"
        )
        raise StartupError(message) from error


def _add_settings(arguments: argparse.Namespace) -> None:
    if arguments.no_settings:
        return
    if not arguments.settings.is_file():
        if arguments.settings != SETTINGS_FILE:
            raise StartupError(
                f"{arguments.settings} does not exist; pass an existing settings file"
            )
        return
    for name, value in read_settings(arguments.settings).items():
        os.environ.setdefault(name, value)  # as with func start, the environment wins


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 picks a free port (default: %(default)s)"
    )
    parser.add_argument(
        "--lease-seconds",
        type=int,
        default=LEASE_SECONDS,
        help="seconds until a killed host's messages are visible again (default: %(default)s)",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--settings", type=Path, default=SETTINGS_FILE, metavar="FILE")
    source.add_argument("--no-settings", action="store_true", help="use only the environment")
    return parser.parse_args()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # a function still running after the grace period would keep the process alive
