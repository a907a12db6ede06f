"""Locks, threads, queues and executors that hand over to another actor instead of blocking."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from random import Random
from types import TracebackType
from typing import Any, Self

from greenlet import getcurrent

from tests.simulation.scheduler import Act, Scheduler


class Locks:
    """What the locks need: the scheduler of the run, and the stream that picks who is next."""

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None
        self.chance = Random(0)


LOCKS = Locks()


class Lock:
    """Like `threading.Lock`, for actors."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[Act] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, once it is released if another actor holds it."""
        if self._held and not (blocking and self._wait(None if timeout < 0 else timeout)):
            return False
        self._held = True
        return True

    def release(self) -> None:
        """Release the lock and wake one of the waiting actors."""
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        if self._waiting and LOCKS.scheduler:
            next_one = self._waiting.pop(LOCKS.chance.randrange(len(self._waiting)))
            LOCKS.scheduler.after(0.0, next_one)

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return self._held

    def _wait(self, timeout: float | None) -> bool:
        scheduler = LOCKS.scheduler
        if scheduler is None or scheduler.actor is None:
            raise RuntimeError("no actor is left that could release this lock")
        end = None if timeout is None else scheduler.clock.now + timeout
        while self._held:
            left = None if end is None else end - scheduler.clock.now
            if left is not None and left <= 0:
                return False
            waker = scheduler.park(left)
            self._waiting.append(waker)
            scheduler.wait()
            if waker in self._waiting:
                self._waiting.remove(waker)
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class RLock(Lock):
    """Like `threading.RLock`, owned by an actor."""

    def __init__(self) -> None:
        super().__init__()
        self._owner: object = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock once more, or for the first time."""
        if self._owner is not getcurrent() and not super().acquire(blocking, timeout):
            return False
        self._owner = getcurrent()
        self._depth += 1
        return True

    def release(self) -> None:
        """Release the lock as often as it was taken."""
        if self._owner is not getcurrent():
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            super().release()

    def _is_owned(self) -> bool:
        return self._owner is getcurrent()

    def _release_save(self) -> int:
        depth, self._depth, self._owner = self._depth, 0, None
        super().release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        super().acquire()
        self._owner, self._depth = getcurrent(), depth


class Executor(futures.Executor):
    """Runs each task at once, as part of the actor that submits it.

    The app has none. azure-core prepares and reads the parts of a table transaction in one, which
    waits for nothing; a task that waits would have to be an actor, and is an error.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Run a task."""
        future: futures.Future[Any] = futures.Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - the future carries it
                future.set_exception(error)

        before = _waits()
        work()
        if _waits() != before:
            raise RuntimeError(f"{fn} waits: a task of an executor runs as part of its actor")
        return future

    def __enter__(self) -> Self:
        return self


def _waits() -> int:
    return LOCKS.scheduler.waits if LOCKS.scheduler else 0


class Thread:
    """Like `threading.Thread`, as an actor of the process that starts it.

    Its calls belong to the run that started it. Outside a run, it executes at once.
    """

    def __init__(
        self,
        *,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        name: str = "",
        daemon: bool = False,
    ) -> None:
        self._target = target
        self._args = args
        self.name = name
        self.daemon = daemon

    def start(self) -> None:
        """Start without blocking the starter."""
        scheduler = LOCKS.scheduler
        if scheduler is None or scheduler.actor is None:
            self._work()
            return
        starter = scheduler.actor
        thread = scheduler.start(self._work, starter.name, starter.process)
        starter.process.adopt(thread)

    def _work(self) -> None:
        self._target(*self._args)


def sleep(seconds: float) -> None:
    """Suspend the running actor; others run in the meantime."""
    if LOCKS.scheduler is None:
        raise RuntimeError("sleep was called outside a run")
    LOCKS.scheduler.sleep(seconds)


def install(monotonic: Callable[[], float]) -> None:
    """Replace locks, threads and sleep in this process, for everything created from now on."""
    time.sleep = sleep  # type: ignore[assignment]
    time.monotonic = monotonic
    names: dict[str, Any] = {
        "Lock": Lock,
        "RLock": RLock,
        "Thread": Thread,
        "_allocate_lock": Lock,
    }
    for name, replacement in names.items():
        setattr(threading, name, replacement)
    queue.SimpleQueue = queue._PySimpleQueue  # type: ignore[misc, attr-defined]
    futures.ThreadPoolExecutor = Executor  # type: ignore[misc, assignment]
