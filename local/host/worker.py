"""Calls functions on a thread pool, as the Python worker of the real host does."""

import inspect
import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import SimpleCookie
from pathlib import Path
from time import monotonic
from typing import Final, Self

from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.timer import TimerRequest

from local.host.calls import Event, Message, Request, Response, Result, Tick
from local.host.errors import StartupError
from local.host.loading import Function
from local.host.queue_message import decoded
from local.host.signatures import CONTEXT
from local.host.triggers import OnMessage, OnRequest, Triggers

THREADS_SETTING: Final = "PYTHON_THREADPOOL_THREAD_COUNT"
# The default of the real host. With fewer, calls would wait for a thread while their time runs.
THREADS: Final = 1000

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


class ThreadPoolWorker:
    """A thread pool for the functions of one app."""

    def __init__(self, functions: Sequence[Function], threads: int = THREADS) -> None:
        self._functions = {function.name: function for function in functions}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._thread_local_storage = threading.local()

    @classmethod
    def from_settings(cls, functions: Sequence[Function], settings: Mapping[str, str]) -> Self:
        """Read the number of threads from its app setting."""
        text = settings.get(THREADS_SETTING, str(THREADS))
        if not text.isdecimal() or int(text) == 0:
            raise StartupError(
                f"{THREADS_SETTING} must be a whole number of 1 or more, not {text!r}"
            )
        return cls(functions, int(text))

    @property
    def triggers(self) -> Triggers:
        """The functions, and what triggers each."""
        return {name: function.trigger for name, function in self._functions.items()}

    def submit(
        self, function: str, event: Event, invocation_id: str | None = None
    ) -> Future[Result]:
        """Queue a call; without an ID it gets one of its own."""
        invocation_id = invocation_id or str(uuid.uuid4())
        return self._pool.submit(self._call, self._functions[function], event, invocation_id)

    def close(self) -> None:
        """Accept no further calls, and cancel those that have not started."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, function: Function, event: Event, invocation_id: str) -> Result:
        self._thread_local_storage.invocation_id = invocation_id
        began = monotonic()
        try:
            arguments = {function.parameter: _argument(function, event)}
            if function.takes_context:
                arguments[CONTEXT] = self._context(function, invocation_id)
            result = _result(function, function.call(**arguments))
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


def _argument(function: Function, event: Event) -> object:
    """Return the object of azure.functions that the function receives.

    Raises ValueError for a message that the Python worker cannot pass on.
    """
    match event:
        case Message():
            trigger = function.trigger
            binary = isinstance(trigger, OnMessage) and trigger.binary
            return decoded(event, binary=binary)
        case Tick(past_due):
            return TimerRequest(past_due=past_due)
        case Request():
            return HttpRequest(**vars(event), body_type="bytes")


def _result(function: Function, returned: object) -> Result:
    """Convert what a function returned; raises TypeError if its trigger does not allow it."""
    if isinstance(function.trigger, OnRequest):
        return _response(function, returned)
    if returned is not None:
        raise TypeError(
            f"{function.name} returned {returned!r}, but it has no output binding; return None"
        )
    return None


def _response(function: Function, returned: object) -> Response:
    if isinstance(returned, str):
        content_type = {"content-type": "text/plain; charset=utf-8"}
        return Response(HTTPStatus.OK, content_type, (), returned.encode())
    try:
        sent = HttpResponseConverter.encode(returned, expected_type=None).value
    except NotImplementedError as error:
        raise TypeError(
            f"{function.name} returned {returned!r}; expected HttpResponse or str"
        ) from error
    cookies: list[SimpleCookie] = sent["cookies"] or []
    return Response(
        int(sent["status_code"].value),
        {name: header.value for name, header in sent["headers"].items()},
        tuple(morsel.OutputString() for cookie in cookies for morsel in cookie.values()),
        sent["body"].value,
    )
