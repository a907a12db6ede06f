"""What triggers the functions of an app."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from local.host.route import Route
from local.host.schedule import Schedule

# The name of the poison queue is set by the real host, so it is not imported from the app.
POISON_SUFFIX: Final = "-poison"


@dataclass(frozen=True)
class OnMessage:
    """Triggered by a message on a queue; `binary` says that its body is taken as bytes."""

    queue: str
    connection_string: str
    binary: bool

    @property
    def poison_queue(self) -> str | None:
        """Where failed messages go; None for a poison queue."""
        return None if self.queue.endswith(POISON_SUFFIX) else self.queue + POISON_SUFFIX


@dataclass(frozen=True)
class OnSchedule:
    """Triggered by a schedule."""

    schedule: Schedule
    run_on_startup: bool


@dataclass(frozen=True)
class OnRequest:
    """Triggered by an HTTP request; no methods means all of them."""

    route: Route
    methods: frozenset[str]


Trigger = OnMessage | OnSchedule | OnRequest

# By the name of the function, in the order of the app.
Triggers = Mapping[str, Trigger]
