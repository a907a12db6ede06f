"""Deaths, losses and reordering come where the real ones do."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from urllib3.connectionpool import HTTPConnectionPool

from tests.simulation.chance import Chance
from tests.simulation.clock import START, Clock
from tests.simulation.faults import Faults, Kind
from tests.simulation.host import Limits, Listener, Process, Surroundings
from tests.simulation.host import Message as Received
from tests.simulation.locks import LOCKS, Lock
from tests.simulation.log import Log, Service
from tests.simulation.order import Order
from tests.simulation.partner_center import Reply
from tests.simulation.process import AppCopy, Environment, Function
from tests.simulation.scheduler import Actor, Scheduler
from tests.simulation.storage import Storage
from tests.simulation.storage.messages import Message
from tests.simulation.wire import Ask, Wire

SEEDS = 300
KINDS = (Kind.REQUEST_LOST, Kind.RESPONSE_LOST, Kind.SLOW)


class StillTraveller:
    """Takes the jumps of the clock, which no test here looks at."""

    def shift(self, _: timedelta) -> None:
        pass


class Nowhere:
    """A process without an app."""

    name = "p1"

    def adopt(self, thread: Actor) -> None:
        pass

    def enter(self) -> None:
        pass

    def may_die(self, seconds: float) -> None:
        pass


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(Clock(StillTraveller()))  # type: ignore[arg-type]
    LOCKS.scheduler = scheduler
    yield scheduler
    LOCKS.scheduler = None


@pytest.fixture
def process(scheduler: Scheduler) -> Process:
    faults = Faults(Chance(1))
    around = Surroundings(
        scheduler=scheduler,
        log=Log(),
        faults=faults,
        storage=Storage(lambda: START, Random(1)),
        environment=Environment(),
        outages=wire_of(scheduler, faults).outages,
        limits=Limits.read(Path(__file__).parents[2] / "host.json"),
        chance=Random(1),
    )
    process = Process(around, "p1", AppCopy({"function_app": NoApp()}), {}, 0.0)  # type: ignore[dict-item]
    process.start()
    return process


class NoApp:
    """An app without functions."""

    def __init__(self) -> None:
        self.app = self

    def get_functions(self) -> list[Any]:
        return []


def hold(lock: Lock) -> None:
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda scheduler: scheduler.sleep(5), id="in a sleep"),
        pytest.param(lambda _: hold(Lock()), id="at a lock"),
    ],
)
def test_an_actor_dies_where_it_waits_and_sends_nothing_more(
    scheduler: Scheduler, wait: Callable[[Scheduler], None]
) -> None:
    done: list[str] = []

    def work() -> None:
        try:
            wait(scheduler)
            done.append("went on")
        finally:
            scheduler.sleep(1)
            done.append("sent something")

    actor = scheduler.start(work, "f#1", Nowhere())
    scheduler.hazard = lambda dying, seconds: scheduler.after(seconds / 2, dying.kill)
    scheduler.run(60)
    assert actor.ended
    assert done == []


@pytest.mark.parametrize("dies", [True, False])
def test_a_process_that_dies_after_a_function_has_not_settled_its_message(
    scheduler: Scheduler, process: Process, *, dies: bool
) -> None:
    settled: list[bool] = []
    function = Function("f", lambda message: None, "message")  # noqa: ARG005 - called by name
    if dies:
        scheduler.hazard = lambda _, seconds: scheduler.after(seconds / 2, process.die)

    process.run(function, None, settle=settled.append)
    scheduler.run(0.3)

    assert settled == ([] if dies else [True])


@pytest.mark.parametrize(("queue", "called"), [("checks", False), ("checks-poison", True)])
def test_only_a_poison_queue_calls_its_function_at_every_count(
    scheduler: Scheduler, process: Process, queue: str, *, called: bool
) -> None:
    calls: list[object] = []

    def call(message: object) -> None:
        calls.append(message)

    moment = START.replace(tzinfo=UTC)
    sixth = Received(queue, "m1", "receipt", 6, moment, moment, moment, "text")

    Listener(process, process.around, queue, Function("f", call, "message")).take(sixth)
    scheduler.run(1)

    assert bool(calls) is called


def test_a_request_may_arrive_although_its_sender_has_died(scheduler: Scheduler) -> None:
    arrived = [one_death(scheduler, seed) for seed in range(40)]

    assert 10 < sum(arrived) < 40


def one_death(scheduler: Scheduler, seed: int) -> bool:
    """Kill the sender of a request on its way; return whether the request takes effect."""
    log = Log()
    wire = wire_of(scheduler, Faults(Chance(seed), without=list(Kind)), log, seed)

    def work() -> None:
        wire.carry(ask())

    actor = scheduler.start(work, "f#1", Nowhere())
    scheduler.after(0.001, actor.kill)
    scheduler.run(scheduler.clock.now + 60)
    calls = list(log.calls())
    assert {(call.returned, call.status) for call in calls} == {(0, None)}
    return any(call.served for call in calls)


def wire_of(scheduler: Scheduler, faults: Faults, log: Log | None = None, seed: int = 1) -> Wire:
    return Wire(scheduler, log or Log(), faults, Random(seed), lambda _: Reply(204, {}, b""))


def ask() -> Ask:
    pool = HTTPConnectionPool("anywhere")
    return Ask(pool, Service.TABLE, "PUT", "/rows", {}, b"{}", 5, 10)


def strikes(seed: int, *, without: Kind | None = None) -> dict[int, Kind]:
    """Return what strikes each of the requests."""
    faults = Faults(Chance(seed), without=[without] if without else [])
    found = {number: faults.first(KINDS) for number in range(SEEDS)}
    return {number: kind for number, kind in found.items() if kind}


@pytest.mark.parametrize("off", KINDS)
def test_a_kind_that_is_off_does_not_move_the_others(off: Kind) -> None:
    seed = next(each for each in range(SEEDS) if set(strikes(each).values()) == set(KINDS))
    whole, less = strikes(seed), strikes(seed, without=off)

    assert {number: kind for number, kind in whole.items() if kind is not off} == {
        number: kind for number, kind in less.items() if whole.get(number) is not off
    }


def test_a_later_message_overtakes_one_that_is_held_back(scheduler: Scheduler) -> None:
    seed = next(each for each in range(SEEDS) if Faults(Chance(each)).may(Kind.REORDERED))
    again: list[float] = []
    order = Order(scheduler.clock, Faults(Chance(seed)), lambda _, at: again.append(at))
    messages = [message(str(number)) for number in range(60)]

    first = order.pick("queue", messages)
    assert 0 < len(first) < len(messages)
    assert first != [each for each in messages if each in first]

    scheduler.clock.now = max(again)
    rest = order.pick("queue", [each for each in messages if each not in first])
    assert len(first) + len(rest) == len(messages)


def test_messages_keep_their_order_where_nothing_is_reordered(scheduler: Scheduler) -> None:
    order = Order(scheduler.clock, Faults(Chance(1), without=[Kind.REORDERED]), lambda *_: None)
    messages = [message(str(number)) for number in range(9)]

    assert order.pick("queue", messages) == messages


def message(name: str) -> Message:
    moment = datetime(2026, 3, 2)  # noqa: DTZ001 - no time is compared
    return Message(name, "text", moment, None, moment, "receipt")
