"""The Functions host of one process: the life of its messages, its timers and its end.

Batches, leases, dequeue counts and poison queues behave as observed on the real host.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import azure.functions as func

from tests.simulation.faults import Faults, Kind
from tests.simulation.log import Log, Service
from tests.simulation.process import (
    AppCopy,
    Environment,
    Function,
    message_of,
    timer_request,
)
from tests.simulation.scheduler import Actor, Scheduler
from tests.simulation.storage import Request, Response, Storage
from tests.simulation.storage.account import ACCOUNT, QUEUES_HOST
from tests.simulation.wire import Outages

LEASE_SECONDS: Final = 600
POISON: Final = "-poison"
LOGGED_SETTINGS: Final = (
    "CHECK_FIRST_DELAY_SECONDS",
    "PROTECTED_TENANTS",
    "SWEEP_MODE",
    "SWEEP_MIN_AGE_DAYS",
    "PARTNER_CENTER_RATE_LIMIT_PER_MINUTE",
    "CHECK_MAX_DELAY_SECONDS",
    "DELETION_DEADLINE_HOURS",
)
FUNCTION_TIMEOUT: Final = 300.0
QUEUE_URL: Final = f"http://{QUEUES_HOST}/{ACCOUNT}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What host.json says about queues."""

    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: int
    max_polling_interval: float

    @classmethod
    def read(cls, file: Path) -> "Limits":
        """Read host.json."""
        queues = json.loads(file.read_text(encoding="utf-8"))["extensions"]["queues"]
        return cls(
            queues["batchSize"],
            queues["newBatchThreshold"],
            queues["maxDequeueCount"],
            int(_seconds(queues["visibilityTimeout"])),
            _seconds(queues["maxPollingInterval"]),
        )


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a listener has received."""

    queue: str
    id: str
    receipt: str
    count: int
    inserted: datetime
    expires: datetime
    seen: datetime
    text: str


@dataclass(slots=True)
class Surroundings:
    """What all processes of a run share."""

    scheduler: Scheduler
    log: Log
    faults: Faults
    storage: Storage
    environment: Environment
    outages: Outages
    limits: Limits
    chance: Random
    announce: Callable[[str, float], None] = field(default=lambda _queue, _at: None)
    run_number: int = 0

    def queue(self, method: str, path: str, body: bytes = b"") -> Response | None:
        """Call the queue service as the host does; None during an outage that it shares."""
        if self.outages.of(Service.QUEUE) and not self.outages.spares_host:
            return None
        return self.storage.respond(Request(method, f"{QUEUE_URL}/{path}", {}, body))


@dataclass(slots=True)
class Run:
    """A running function, with its message if it has one."""

    actor: Actor
    message: Message | None
    started: float
    settle: Callable[[bool], None] = field(default=lambda _: None)


class Process:
    """One worker process with its host: a copy of the app, its settings, its clock."""

    def __init__(
        self,
        around: Surroundings,
        name: str,
        copy: AppCopy,
        settings: Mapping[str, str],
        skew: float,
    ) -> None:
        self.around = around
        self._copy = copy
        self._runs: dict[str, Run] = {}
        self._listeners = {
            queue: Listener(self, around, queue, function)
            for queue, function in copy.queues.items()
        }
        self._life = 0
        self._threads: list[Actor] = []
        self.name = name
        self.settings = dict(settings)
        self.skew = skew
        self.alive = False
        self.kept_down = False

    def adopt(self, thread: Actor) -> None:
        """Register a thread, which ends with the process."""
        self._threads = [each for each in self._threads if not each.ended]
        self._threads.append(thread)

    def enter(self) -> None:
        """Switch to the clock and the environment of this process."""
        self.around.environment.present = self.settings
        self.around.scheduler.clock.look(self.skew)

    def start(self) -> None:
        """Start or restart with the current settings, unless something keeps it down."""
        if self.alive or self.kept_down:
            return
        around = self.around
        self._copy.forget()
        self.alive = True
        around.log.note(around.scheduler.clock.now, "started", self.name, **self._facts())
        for listener in self._listeners.values():
            listener.begin()

    def _facts(self) -> dict[str, str]:
        return {
            "skew": f"{self.skew:.1f}",
            **{name: self.settings.get(name, "") for name in LOGGED_SETTINGS},
        }

    def die(self) -> None:
        """Die at once and restart after a while."""
        if not self.alive:
            return
        self.stop("died")
        around = self.around
        stream = around.faults.streams[Kind.DEATH]
        away = stream.uniform(0.5, 5) if stream.random() < 0.8 else stream.uniform(60, 1200)
        around.scheduler.after(away, self.start)

    def may_die(self, seconds: float) -> None:
        """Die within the next seconds, if the seed says so."""
        around = self.around
        if around.faults.strikes(Kind.DEATH):
            moment = around.faults.streams[Kind.DEATH].uniform(0, seconds)
            around.scheduler.after(moment, self._die_in(self._life))

    def _die_in(self, life: int) -> Callable[[], None]:
        return lambda: self.die() if life == self._life else None

    def stop(self, why: str) -> None:
        """Stop at once; every run is lost, and its lease runs out."""
        self.alive = False
        self._life += 1
        runs, self._runs = self._runs, {}
        around = self.around
        around.log.note(
            around.scheduler.clock.now, why, self.name, runs=", ".join(sorted(runs)) or "none"
        )
        threads, self._threads = self._threads, []
        for actor in (*(run.actor for run in runs.values()), *threads):
            actor.kill()

    def visible(self, queue: str, at: float) -> None:
        """Note the moment from which a message of a queue is visible."""
        if self.alive and queue in self._listeners:
            self._listeners[queue].look_at(at)

    def fire(self, timer: str) -> None:
        """Run a timer's function."""
        if self.alive and timer in self._copy.timers:
            self.run(self._copy.timers[timer], timer_request())

    def busy(self) -> bool:
        """Whether anything runs."""
        return bool(self._runs)

    def running(self) -> tuple[str, ...]:
        """Return the names of the runs in progress."""
        return tuple(self._runs)

    def request(
        self, method: str, route: str, *, tenant: str = "", body: object = None, **query: str
    ) -> None:
        """Send an HTTP request from a person; it is lost if the process is down."""
        function = self._copy.routes.get((method, route))
        if not self.alive or function is None:
            return
        path = "/api/" + route.replace("{tenantId}", tenant)
        facts = {"method": method, "path": path, "body": json.dumps(body), **query}
        request = func.HttpRequest(
            method=method,
            url=f"https://tipsweep.example{path}",
            headers={"Content-Type": "application/json"},
            params=query,
            route_params={"tenantId": tenant} if tenant else {},
            body=b"" if body is None else json.dumps(body).encode(),
        )
        self.run(function, request, asked=facts)

    def run(
        self,
        function: Function,
        argument: Any,
        *,
        message: Message | None = None,
        settle: Callable[[bool], None] = lambda _: None,
        asked: Mapping[str, str] | None = None,
    ) -> None:
        """Start a function as an actor; `settle` is called with whether it succeeded."""
        around = self.around
        around.run_number += 1
        name = f"{function.name}#{around.run_number}"
        clock = around.scheduler.clock
        life = self._life

        def finish(ok: bool) -> None:
            if self.alive and life == self._life:
                settle(ok)

        def work() -> None:
            facts = asked or ({"queue": message.queue, "id": message.id} if message else {})
            around.log.note(clock.now, "asked" if asked else "began", self.name, name, **facts)
            ok = True
            try:
                result = function.call(**{function.parameter: argument})
            except Exception as error:  # noqa: BLE001 - the host survives any error
                ok = False
                details = {"kind": type(error).__name__, "text": error, **facts}
                around.log.note(clock.now, "raised", self.name, name, **details)
            else:
                if asked is not None:
                    body = result.get_body().decode()
                    around.log.note(
                        clock.now, "responded", self.name, name, **facts,
                        status=result.status_code, response=body,
                    )  # fmt: skip
            self._runs.pop(name, None)
            pause = around.chance.uniform(0.001, 0.02)
            around.scheduler.hazard(actor, pause)
            around.scheduler.after(pause, lambda: finish(ok))

        actor = around.scheduler.start(work, name, self)
        run = Run(actor, message, clock.now, settle)
        self._runs[name] = run
        around.scheduler.after(FUNCTION_TIMEOUT, lambda: self._time_out(name, run))

    def _time_out(self, name: str, run: Run) -> None:
        """Act as the host does at functionTimeout: replace the worker and everything in it."""
        if self._runs.get(name) is not run:
            return
        around = self.around
        around.log.note(around.scheduler.clock.now, "timed out", self.name, name)
        victims = [each for key, each in self._runs.items() if key != name]
        self.stop("replaced")
        run.settle(False)
        for each in victims:
            around.scheduler.at(each.started + FUNCTION_TIMEOUT, partial(each.settle, False))
        around.scheduler.after(1.0, self.start)


class Listener:
    """Receives the messages of one queue for one process."""

    def __init__(
        self, process: Process, around: Surroundings, queue: str, function: Function
    ) -> None:
        self._process = process
        self._around = around
        self._queue = queue
        self._function = function
        self._life = 0
        self._running = 0

    def begin(self) -> None:
        """Start polling."""
        self._life += 1
        self._running = 0
        self.look_at(self._around.scheduler.clock.now)

    def look_at(self, moment: float) -> None:
        """Poll at the first poll after a moment; how long that takes is random."""
        faults, chance = self._around.faults, self._around.chance
        longest = self._around.limits.max_polling_interval
        gap = 0.1 if chance.random() < 0.5 else chance.uniform(0.1, longest)
        if faults.strikes(Kind.LATE_DELIVERY):
            gap += faults.streams[Kind.LATE_DELIVERY].expovariate(1 / 300)
        self._look_then(moment + gap)

    def _look_then(self, moment: float) -> None:
        life = self._life

        def look() -> None:
            if life == self._life and self._process.alive:
                self._look()

        self._around.scheduler.at(moment, look)

    def _look(self) -> None:
        around = self._around
        limits = around.limits
        if self._running > limits.new_batch_threshold:
            return
        lease = self._lease()
        path = f"{self._queue}/messages?numofmessages={limits.batch_size}&visibilitytimeout={lease}"
        response = around.queue("GET", path)
        if response is None:
            self._look_then(around.scheduler.clock.now + limits.max_polling_interval)
            return
        messages = _messages(self._queue, response.body)
        for message in messages:
            self.take(message)
        if messages:
            around.announce(self._queue, around.scheduler.clock.now + lease)
            self._look_then(around.scheduler.clock.now + 0.1)

    def _lease(self) -> int:
        """Return the lease in seconds; a short one simulates lost renewals."""
        faults = self._around.faults
        if faults.strikes(Kind.DOUBLE_DELIVERY):
            return int(faults.streams[Kind.DOUBLE_DELIVERY].choice((1, 1, 2, 5, 30)))
        return LEASE_SECONDS

    def take(self, message: Message) -> None:
        """Call the function with a message, unless its tries are used up."""
        # On a poison queue, the host calls the function at every count, ten minutes apart.
        limit = self._around.limits.max_dequeue_count
        if message.count > limit and not self._queue.endswith(POISON):
            self._fail(message)
            return
        self._running += 1
        life = self._life

        def settle(ok: bool) -> None:
            if life == self._life:
                self._running -= 1
                self._look_then(self._around.scheduler.clock.now + 0.1)
            if ok:
                self._delete(message, "done")
            else:
                self._fail(message)

        argument = message_of(
            message.text.encode(),
            {
                "id": message.id,
                "pop_receipt": message.receipt,
                "dequeue_count": message.count,
                "insertion_time": message.inserted,
                "expiration_time": message.expires,
                "time_next_visible": message.seen,
            },
        )
        self._process.run(self._function, argument, message=message, settle=settle)

    def _delete(self, message: Message, why: str, **facts: str) -> None:
        response = self._around.queue("DELETE", _path(message))
        if response is not None and response.status == 204:
            self._note(message, why, **facts)

    def _fail(self, message: Message) -> None:
        limits = self._around.limits
        if self._queue.endswith(POISON):
            return
        if message.count >= limits.max_dequeue_count:
            body = f"<QueueMessage><MessageText>{escape(message.text)}</MessageText></QueueMessage>"
            copy = self._around.queue("POST", f"{self._queue}{POISON}/messages", body.encode())
            if copy:
                self._around.announce(self._queue + POISON, self._around.scheduler.clock.now)
                self._delete(message, "poisoned", copy=identifier(copy))
            return
        timeout = limits.visibility_timeout
        self._around.queue("PUT", f"{_path(message)}&visibilitytimeout={timeout}")
        self._around.announce(self._queue, self._around.scheduler.clock.now + timeout)

    def _note(self, message: Message, name: str, **facts: str) -> None:
        around = self._around
        around.log.note(
            around.scheduler.clock.now,
            name,
            self._process.name,
            queue=message.queue,
            id=message.id,
            text=message.text,
            **facts,
        )


def identifier(response: Response) -> str:
    """Return the ID of a message from the response to its sending."""
    return response.body.decode().partition("<MessageId>")[2].partition("<")[0]


def _path(message: Message) -> str:
    return f"{message.queue}/messages/{message.id}?popreceipt={quote(message.receipt, safe='')}"


def _messages(queue: str, body: bytes) -> list[Message]:
    if b"<QueueMessage>" not in body:
        return []
    return [
        Message(
            queue=queue,
            id=_text(each, "MessageId"),
            receipt=_text(each, "PopReceipt"),
            count=int(_text(each, "DequeueCount")),
            inserted=parsedate_to_datetime(_text(each, "InsertionTime")),
            expires=parsedate_to_datetime(_text(each, "ExpirationTime")),
            seen=parsedate_to_datetime(_text(each, "TimeNextVisible")),
            text=_text(each, "MessageText"),
        )
        for each in ElementTree.fromstring(body).iter("QueueMessage")  # noqa: S314 - our own model
    ]


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(name) or ""
