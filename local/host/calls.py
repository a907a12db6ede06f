"""What the host and its worker tell each other about the calls of functions."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from local.host.triggers import Triggers


@dataclass(frozen=True)
class Message:
    """A message of a queue, its body decoded."""

    id: str
    body: bytes
    dequeue_count: int | None
    expiration_time: datetime | None
    insertion_time: datetime | None
    time_next_visible: datetime | None
    pop_receipt: str | None


@dataclass(frozen=True)
class Tick:
    """An occurrence of a schedule."""

    past_due: bool = False


@dataclass(frozen=True)
class Request:
    """An HTTP request; repeated headers and parameters are joined by commas."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    route_params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """An HTTP response; each cookie is a Set-Cookie header of its own."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes


Event = Message | Tick | Request

# A function that is not triggered by a request returns nothing.
Result = Response | None


@dataclass(frozen=True)
class Call:
    """A function to be called with an event."""

    invocation_id: str
    function: str
    event: Event


@dataclass(frozen=True)
class Outcome:
    """The end of a call; the worker has logged why it failed."""

    invocation_id: str
    result: Result = None
    failed: bool = False


class Worker(Protocol):
    """Runs the functions of one app."""

    @property
    def triggers(self) -> Triggers:
        """The functions, and what triggers each."""

    def submit(self, function: str, event: Event) -> Future[Result]:
        """Start a call of the function with this name; a failed one raises from the future."""
