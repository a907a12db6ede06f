"""One call for all threads that need its result, or what it shows, at the same time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from shared.partner_center.deadline import Deadline, limited
from shared.partner_center.errors import OutOfTime

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Runs a call once for all threads that ask while it runs; they share its failure too.

    The call runs in a thread of its own, so that each caller waits no longer than its own deadline,
    whatever the libraries below do. It has a deadline of its own too, or one that hangs would hold
    up those that ask later.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._running: Future[T] | None = None

    def result(self, call: Callable[[], T], deadline: Deadline) -> T:
        """Return the result of the call that runs, started now if none does.

        Raises its error, or OutOfTime if the deadline comes first; the call then goes on.
        """
        running = self._join(call, deadline.monotonic)
        wait([running], deadline.left)
        if not running.done():
            message = f"{self._name} did not end within the step's time"
            raise OutOfTime(message)
        return running.result()

    def _join(self, call: Callable[[], T], monotonic: Callable[[], float]) -> "Future[T]":
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                arguments = (call, self._running, Deadline.after(monotonic=monotonic))
                threading.Thread(target=_run, args=arguments, name=self._name, daemon=True).start()
            return self._running


def _run(call: Callable[[], T], future: "Future[T]", deadline: Deadline) -> None:
    try:
        with limited(deadline):
            future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised again in each thread that waits
        future.set_exception(error)


class FirstCall:
    """Lets the first of many alike calls go alone, because its outcome may spare the others."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._done = False

    @contextmanager
    def alone(self, deadline: Deadline) -> Iterator[None]:
        """Run the first call, whatever its outcome, before any other; raises OutOfTime."""
        first = self._is_first(deadline)
        try:
            yield
        finally:
            if first:
                self._done = True
                self._lock.release()

    def _is_first(self, deadline: Deadline) -> bool:
        if self._done:
            return False
        if not self._lock.acquire(timeout=deadline.left):
            message = f"{self._name} did not end within the step's time"
            raise OutOfTime(message)
        if self._done:
            self._lock.release()
        return not self._done
