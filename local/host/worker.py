"""The worker: calls functions on a thread pool, as the Python worker of the real host does."""

import inspect
import logging
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, Self

from local.host.errors import StartupError
from local.host.loading import Function, OnRequest
from local.host.signatures import CONTEXT

THREADS_SETTING: Final = "PYTHON_THREADPOOL_THREAD_COUNT"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TraceContext:
    """The trace of one call; always empty here."""

    trace_parent: str = ""
    trace_state: str = ""


@dataclass(frozen=True)
class Context:
    """What a function with a `context` parameter learns about the call."""

    invocation_id: str
    function_name: str
    function_directory: str
    thread_local_storage: threading.local
    trace_context: TraceContext
    retry_context: None = None


class Worker:
    """A thread pool for the functions of one app."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._thread_local_storage = threading.local()

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Read the number of threads from its app setting; the default is Python's."""
        text = settings.get(THREADS_SETTING)
        if text is None:
            return cls()
        if not text.isdecimal() or int(text) == 0:
            raise StartupError(
                f"{THREADS_SETTING} must be a whole number of 1 or more, not {text!r}"
            )
        return cls(int(text))

    def submit(self, function: Function, argument: object) -> Future[object]:
        """Queue a call with the trigger's object; return a future of its result."""
        return self._pool.submit(self._call, function, argument)

    def close(self) -> None:
        """Accept no further calls, and cancel those that have not started."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, function: Function, argument: object) -> object:
        invocation_id = str(uuid.uuid4())
        arguments = {function.parameter: argument}
        if function.takes_context:
            arguments[CONTEXT] = self._context(function, invocation_id)
        self._thread_local_storage.invocation_id = invocation_id
        began = monotonic()
        try:
            result = function.call(**arguments)
            _check_result(function, result)
        except Exception:
            log.exception("%s failed (invocation %s)", function.name, invocation_id)
            raise
        milliseconds = (monotonic() - began) * 1000
        log.info("%s done in %.0f ms (invocation %s)", function.name, milliseconds, invocation_id)
        return result

    def _context(self, function: Function, invocation_id: str) -> Context:
        return Context(
            invocation_id,
            function.name,
            str(Path(inspect.getfile(inspect.unwrap(function.call))).parent),
            self._thread_local_storage,
            TraceContext(),
        )


def _check_result(function: Function, result: object) -> None:
    if result is not None and not isinstance(function.trigger, OnRequest):
        raise TypeError(
            f"{function.name} returned {result!r}, but it has no output binding; return None"
        )
