"""Runs the functions in a worker process of their own, and replaces it as the real host does."""

import contextlib
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Final, Self

from local.host.calls import Call, Event, Outcome, Result
from local.host.errors import CallFailedError, StartupError
from local.host.triggers import Triggers

MODULE: Final = "local.host.worker_process"
START_SECONDS: Final = 60.0
# At this death within the life of the host it gives up.
LAST_DEATH: Final = 3

log = logging.getLogger(__name__)


class WorkerProcess:
    """A worker process and the connection to it."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl+C in a terminal is for the host alone
            )
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        threading.Thread(target=self._send_calls, name="calls to worker", daemon=True).start()

    @property
    def id(self) -> int:
        """The ID of the process."""
        return self._process.pid

    def load(self) -> Triggers:
        """Wait until the app is loaded; raises StartupError if it cannot run."""
        loaded: Triggers | StartupError
        try:
            if not self._connection.poll(START_SECONDS):
                raise StartupError(f"the app did not load within {START_SECONDS:.0f} s")
            loaded = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise StartupError(
                "the worker process ended before the app was loaded; its log says why"
            ) from error
        if isinstance(loaded, StartupError):
            raise loaded
        return loaded

    def send(self, call: Call) -> None:
        """Send a call, at once or when the process is ready; does not wait."""
        self._calls.put(call)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the end of each call until the process ends."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                yield self._connection.recv()

    def kill(self) -> None:
        """End the process with everything that runs in it."""
        self._process.kill()
        self._process.wait()
        self._calls.put(None)

    def _send_calls(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for call in iter(self._calls.get, None):
                self._connection.send(call)


@dataclass(frozen=True)
class Running:
    """A call that has not ended: its process, its result to come, and the timer of its limit."""

    call: Call
    process: WorkerProcess
    future: Future[Result]
    timer: threading.Timer | None


class Supervisor:
    """A worker in a process of its own, which is replaced when it dies.

    A call that runs for longer than `function_timeout` fails, and its process is killed. The other
    calls in that process fail when their own time is over, as those of the real host do.
    When the process dies by itself, its calls fail at once. At the third such death `give_up` is
    called, and further calls fail.
    """

    def __init__(self, function_timeout: timedelta | None, give_up: Callable[[], None]) -> None:
        self._function_timeout = function_timeout
        self._give_up = give_up
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}
        self._deaths = 0
        self._process: WorkerProcess | None = None
        self._triggers: Triggers = {}

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, function_timeout: timedelta | None, *, give_up: Callable[[], None]
    ) -> Iterator[Self]:
        """Start a process with the app in the current folder, and kill it after the block."""
        supervisor = cls(function_timeout, give_up)
        supervisor._process = WorkerProcess()
        try:
            yield supervisor
        finally:
            supervisor._close()

    @property
    def triggers(self) -> Triggers:
        """The functions, and what triggers each; empty until the app is loaded."""
        return self._triggers

    def load(self) -> None:
        """Wait until the app is loaded, before the first call; raises StartupError if it fails."""
        if self._process:
            self._triggers = self._process.load()
            self._in_background(self._follow, self._process)

    def submit(self, function: str, event: Event) -> Future[Result]:
        """Send a call to the process; a failed one raises CallFailedError from the future."""
        call = Call(str(uuid.uuid4()), function, event)
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._process is None:
                future.set_exception(CallFailedError(f"{function}: there is no worker process"))
                return future
            timer = self._timer(call)
            self._running[call.invocation_id] = Running(call, self._process, future, timer)
            self._process.send(call)
        return future

    def _timer(self, call: Call) -> threading.Timer | None:
        if self._function_timeout is None:
            return None
        seconds = self._function_timeout.total_seconds()
        timer = threading.Timer(seconds, self._expire, [call])
        timer.daemon = True
        timer.start()
        return timer

    def _expire(self, call: Call) -> None:
        with self._lock:
            running = self._running.get(call.invocation_id)
            if running is None:
                return
            # The process of a call that already died with another one is not the current one.
            if running.process is self._process:
                running.process.kill()
                self._replace_process()
        log.error(
            "%s exceeded the functionTimeout of %s (invocation %s)",
            call.function,
            self._function_timeout,
            call.invocation_id,
        )
        self._end(Outcome(call.invocation_id, failed=True))

    def _end(self, outcome: Outcome) -> None:
        with self._lock:
            running = self._running.pop(outcome.invocation_id, None)
        if running is None:
            return
        if running.timer:
            running.timer.cancel()
        if outcome.failed:
            running.future.set_exception(CallFailedError(f"{running.call.function} failed"))
        else:
            running.future.set_result(outcome.result)

    def _replace_process(self) -> None:
        self._process = WorkerProcess()
        self._in_background(self._reload, self._process)

    def _in_background(self, task: Callable[[WorkerProcess], None], process: WorkerProcess) -> None:
        name = f"worker process {process.id}"
        threading.Thread(target=task, args=(process,), name=name, daemon=True).start()

    def _reload(self, process: WorkerProcess) -> None:
        try:
            process.load()
        except StartupError as error:
            log.error("%s", error)  # noqa: TRY400 - a traceback would add nothing
            self._bury(process)
        else:
            log.info("worker process %d runs the functions", process.id)
            self._follow(process)

    def _follow(self, process: WorkerProcess) -> None:
        for outcome in process.outcomes():
            self._end(outcome)
        self._bury(process)

    def _bury(self, process: WorkerProcess) -> None:
        process.kill()
        with self._lock:
            if process is not self._process:
                return  # its end was wanted
            self._deaths += 1
            victims = self._running_in(process)
            if self._deaths < LAST_DEATH:
                self._replace_process()
            else:
                self._process = None
        log.error("worker process %d died with %d calls", process.id, len(victims))
        for invocation_id in victims:
            self._end(Outcome(invocation_id, failed=True))
        if self._deaths == LAST_DEATH:
            log.error("the host exits, because its worker process died %d times", LAST_DEATH)
            self._give_up()

    def _running_in(self, process: WorkerProcess) -> list[str]:
        return [each for each, running in self._running.items() if running.process is process]

    def _close(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            running = list(self._running)
        if process:
            process.kill()
        for invocation_id in running:
            self._end(Outcome(invocation_id, failed=True))
