"""The worker process: `python -m local.host.worker_process <file descriptor>`.

It runs the app in the current folder, and ends when the host closes its end of the connection,
which the operating system does when the host dies.
"""

import logging
import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from local.host.calls import Call, Outcome, Result
from local.host.errors import StartupError
from local.host.loading import find_app, load
from local.host.logs import log_to_stderr
from local.host.worker import ThreadPoolWorker


def main() -> None:
    """Tell the host what the app contains, then make the calls that it asks for."""
    log_to_stderr()
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # what a function starts must not keep it open
    host = HostConnection(Connection(descriptor))
    try:
        functions = load(find_app(Path.cwd()), os.environ)
        worker = ThreadPoolWorker.from_settings(functions, os.environ)
    except StartupError as error:
        host.send(error)
        return
    host.send(worker.triggers)
    while call := host.receive():
        done = worker.submit(call.function, call.event, call.invocation_id)
        done.add_done_callback(partial(host.report, call.invocation_id))


class HostConnection:
    """The connection to the host; calls that end at once take turns to report."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> Call | None:
        """Wait for a call; return None when the host has gone."""
        try:
            call: Call = self._connection.recv()
        except (EOFError, ConnectionResetError):
            return None
        return call

    def report(self, invocation_id: str, done: Future[Result]) -> None:
        """Tell the host how a call ended."""
        if done.exception() is None:
            self.send(Outcome(invocation_id, done.result()))
        else:
            self.send(Outcome(invocation_id, failed=True))

    def send(self, message: object) -> None:
        """Send an object; nobody misses it when the host has gone."""
        with self._sending, suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(message)


if __name__ == "__main__":
    main()
    logging.shutdown()
    os._exit(0)  # running functions end with the host
