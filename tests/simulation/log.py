"""The log of a run: every call that crossed the wire and every event around the app.

The oracle judges this log alone, so it can judge the log of a real run as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """The service that was called."""

    PARTNER_CENTER = "partner-center"
    SIGN_IN = "sign-in"
    QUEUE = "queue"
    TABLE = "table"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its response.

    `left`, `served` and `returned` are positions in the order of everything that happened: when the
    request left, when it took effect (0: never) and when the caller learned the outcome (0: never).
    `status` and `received` are the response as the caller got it, None and empty if it was lost;
    `served_status` and `served_body` are the response as the service sent it. `retry_after` is in
    seconds, 0 if there was none.
    """

    left: int
    served: int
    returned: int
    left_at: float
    served_at: float
    returned_at: float
    process: str
    run: str
    service: Service
    method: str
    path: str
    sent: bytes
    status: int | None
    served_status: int
    received: bytes
    served_body: bytes
    retry_after: float
    fault: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened around the calls; `facts` are its details."""

    place: int
    at: float
    process: str
    run: str
    name: str
    facts: tuple[tuple[str, str], ...]

    def fact(self, name: str) -> str:
        """Return one of the details, empty if there is none."""
        return next((value for key, value in self.facts if key == name), "")


class Log:
    """Everything that happened, in the order in which it became known."""

    def __init__(self) -> None:
        self.entries: list[Call | Event] = []
        self._places = 0

    def place(self) -> int:
        """Return the next position in the order of everything that happens."""
        self._places += 1
        return self._places

    def note(self, at: float, name: str, process: str = "", run: str = "", **facts: object) -> None:
        """Record an event."""
        texts = tuple((key, str(value)) for key, value in facts.items())
        self.entries.append(Event(self.place(), at, process, run, name, texts))

    def calls(self) -> Iterator[Call]:
        """Yield the calls."""
        return (entry for entry in self.entries if isinstance(entry, Call))
