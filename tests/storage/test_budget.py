"""The budget that all processes share: the real table client on the model of storage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import pytest
import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableServiceClient
from hypothesis import given
from hypothesis import strategies as st

from shared.partner_center.deadline import Deadline
from shared.partner_center.rate_limit import Rank, RateLimited
from shared.storage.budget import SharedBudget
from shared.storage.budget_row import BudgetRow
from shared.storage.ledger import (
    USE_SECONDS,
    Ask,
    Ledger,
    Moment,
    claimed,
    crowded,
    decide,
    expecting,
    makes_sense,
    tick_of,
)
from shared.storage.names import BUDGET_ROW, SANDBOX_TABLE
from shared.storage.outages import is_outage
from shared.tenants import TenantId
from tests.simulation.storage.account import Storage
from tests.simulation.storage.sides import START, ModelAdapter, VirtualClock

PARTNER: Final = TenantId("00000000-0000-4000-8000-000000000001")
MINUTE: Final = 60.0
# Less than the guard, which covers the way of a call too.
LONGEST_WAY: Final = 0.9


@dataclass
class World:
    """The storage account, the virtual time, and the calls that Partner Center has counted."""

    limit: int
    seed: int = 0
    lost: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    away: bool = False
    date: str = ""

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.chance = Random(self.seed)  # noqa: S311 - a test
        self.storage = Storage(self.clock.now, Random(1))  # noqa: S311 - a test
        self.meanwhile: Callable[[], object] = lambda: None
        lost, self.lost = self.lost, 0.0
        date, self.date = self.date, ""
        self.sandbox.create_table()
        self.operations.clear()
        self.lost, self.date = lost, date

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (self.clock.now() - START).total_seconds()

    @property
    def sandbox(self) -> TableClient:
        """A client of the table, with connections of its own."""
        session = requests.Session()
        session.mount("http://", FaultyAdapter(self))
        transport = RequestsTransport(session=session, session_owner=False)
        service = TableServiceClient.from_connection_string(
            self.storage.connection_string,
            transport=transport,
            retry_total=2,
            retry_backoff_factor=0,
        )
        return service.get_table_client(SANDBOX_TABLE)

    def process(self, offset: float = 0.0) -> SharedBudget:
        """Start a process whose monotonic clock began at another time."""

        def monotonic() -> float:
            return self.now + offset

        row = BudgetRow(self.sandbox, PARTNER, monotonic)
        return SharedBudget(row, self.limit, monotonic=monotonic)

    def call(
        self, budget: SharedBudget, rank: Rank = Rank.STARTED, gate: float = 0.0, way: float = 0.0
    ) -> bool:
        """Send a call if there is a turn; whether it was sent."""
        try:
            until = budget.turn(rank, Deadline.after(), patient=True)
            self.clock.advance(gate)
            if not budget.require_usable(until):
                return False
        except (RateLimited, AzureError):
            return False
        self.arrivals.append(self.now + way)
        return True

    def fullest(self) -> int:
        """Return the most calls that any 60 seconds held."""
        times = sorted(self.arrivals)
        return max(
            (sum(each <= other < each + MINUTE for other in times) for each in times), default=0
        )


class FaultyAdapter(ModelAdapter):
    """Loses requests and responses, and lets others act while one is on its way."""

    def __init__(self, world: World) -> None:
        super().__init__(world.storage, world.clock)
        self._world = world

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> Any:
        world = self._world
        world.operations.append(request.method or "")
        world.meanwhile()
        if world.away or world.chance.random() < world.lost:
            raise requests.ConnectionError("lost")
        response = super().send(request)
        if world.date:
            response.headers["Date"] = world.date
        world.meanwhile()
        if world.chance.random() < world.lost:
            raise requests.ConnectionError("lost")
        return response


EVENTS: Final = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(Rank),
        st.sampled_from((0.0, 0.0, 0.0, 0.1, 0.7, 3.0, 20.0)),
        st.sampled_from((0.0, 0.0, 0.3, 0.9, 2.5)),
        st.floats(0, LONGEST_WAY),
        st.sampled_from(("call", "call", "call", "call", "burst", "crash", "throttled")),
    ),
    max_size=120,
)


@given(st.integers(1, 40), EVENTS, st.sampled_from((0.0, 0.1, 0.3)), st.integers(0, 1_000_000))
def test_no_minute_holds_more_calls_than_the_limit_whatever_crashes_or_is_lost(
    limit: int, events: list[tuple[int, Rank, float, float, float, str]], lost: float, seed: int
) -> None:
    world = World(limit, seed, lost)
    offsets = (0.0, -2.0, 2.0, 12345.678)
    processes = [world.process(offset) for offset in offsets]
    world.meanwhile = others_at_work(world, processes)
    for number, rank, pause, gate, way, what in events:
        world.clock.advance(pause)
        if what == "crash":
            processes[number] = world.process(offsets[number])
        elif what == "throttled":
            processes[number].pause(2.0)
        for _ in range(limit + 2 if what == "burst" else 1):
            world.call(processes[number], rank, gate, way)

    assert world.fullest() <= limit


def others_at_work(world: World, processes: list[SharedBudget]) -> Callable[[], None]:
    """Let another process send calls while a request is on its way, or a moment pass."""
    busy: list[SharedBudget] = []

    def act() -> None:
        world.clock.advance(world.chance.choice((0.0, 0.01, 0.4)))
        other = processes[world.chance.randrange(len(processes))]
        if busy or other._claiming.locked() or world.chance.random() < 0.7:
            return
        busy.append(other)
        try:
            world.call(other, world.chance.choice(list(Rank)), 0.0, LONGEST_WAY)
        finally:
            busy.pop()

    return act


def test_the_limit_is_broken_without_the_guard_of_the_etag(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test before can see: each process that counts for itself."""
    world = World(20)
    one, other = world.process(), world.process()
    monkeypatch.setattr(other._row, "_partner", TenantId("another row"))
    for _ in range(20):
        world.call(one, Rank.PERSON)
        world.call(other, Rank.PERSON)

    assert world.fullest() > 20


def test_a_minute_holds_the_whole_limit_and_opens_soon_after_it() -> None:
    world = World(475)
    budget = world.process()

    sent = sum(world.call(budget, Rank.PERSON) for _ in range(600))
    world.clock.advance(64)
    again = sum(world.call(budget, Rank.PERSON) for _ in range(600))

    assert (sent, again) == (475, 475)
    assert world.fullest() == 475


def test_what_one_process_has_sent_counts_for_the_others() -> None:
    world = World(100)
    first, second = world.process(), world.process(77.0)

    sent = sum(world.call(first, Rank.PERSON) for _ in range(60))
    rest = sum(world.call(second, Rank.PERSON) for _ in range(60))

    assert sent == 60
    # The first may still hold some that it has not used.
    assert 30 <= rest <= 40


def test_a_restart_forgets_nothing() -> None:
    world = World(50)
    for _ in range(50):
        world.call(world.process(), Rank.PERSON)

    assert len(world.arrivals) < 50
    assert not world.call(world.process(), Rank.PERSON)


def test_ranks_leave_a_part_to_those_above_them() -> None:
    world = World(475)
    budget = world.process()
    counts = [sum(world.call(budget, rank) for _ in range(600)) for rank in Rank]

    assert counts == [58, 465 - 58, 10]


def test_only_customers_are_started_for_which_there_is_room_until_they_end() -> None:
    world = World(475)
    one, other = world.process(), world.process()
    for _ in range(30):
        assert world.call(one, Rank.STARTING)
        assert sum(world.call(one) for _ in range(7)) == 7

    started = sum(world.call(other, Rank.STARTING) for _ in range(60))

    # Some of the others are claimed by the first process, which may send them at once.
    assert 20 <= started <= 28
    assert sum(world.call(other) for _ in range(300)) >= 7 * started


def test_room_that_started_customers_do_not_need_is_used_for_others() -> None:
    world = World(475)
    budget = world.process()
    while world.call(budget, Rank.STARTING):
        pass
    world.clock.advance(9)

    assert sum(world.call(budget, Rank.STARTING) for _ in range(600)) > 40


def test_customers_that_will_be_looked_at_keep_the_room_for_their_look_and_the_delete() -> None:
    world = World(475)
    budget = world.process()
    assert world.call(budget)
    for _ in range(50):
        budget.expect(10)

    assert sum(world.call(budget, Rank.STARTING) for _ in range(600)) == (465 - 1 - 100) // 8


def test_the_minute_is_crowded_once_half_of_it_is_used() -> None:
    world = World(475)
    budget = world.process()
    for _ in range(100):
        world.call(budget)

    quiet = budget.crowded
    for _ in range(200):
        world.call(budget)

    assert not quiet
    assert budget.crowded


def test_the_minute_is_crowded_when_started_customers_need_half_of_it() -> None:
    world = World(475)
    one, other = world.process(), world.process()
    for _ in range(40):
        world.call(one, Rank.STARTING)
    world.clock.advance(3)
    world.call(one)

    world.call(other)

    assert other.crowded


def test_a_minute_is_no_longer_crowded_when_it_has_opened() -> None:
    world = World(475)
    budget = world.process()
    for _ in range(400):
        world.call(budget)
    world.clock.advance(64)

    world.call(budget)

    assert not budget.crowded


@given(st.dictionaries(st.integers(1, 400), st.integers(1, 100)), st.integers(1, 600))
def test_more_use_never_makes_a_minute_less_crowded(used: dict[int, int], limit: int) -> None:
    before = Ledger(used=used)
    after = claimed(before, 1, 400, now=50.0)

    assert crowded(after, limit, 50.0) >= crowded(before, limit, 50.0)


def test_looks_far_ahead_keep_no_room() -> None:
    world = World(475)
    budget = world.process()
    for _ in range(50):
        budget.expect(300)

    assert sum(world.call(budget, Rank.STARTING) for _ in range(600)) == 58


def test_a_small_limit_still_starts_customers() -> None:
    world = World(6)
    budget = world.process()
    for _ in range(50):
        budget.expect(1)

    assert world.call(budget, Rank.STARTING)


def test_calls_under_load_share_claims() -> None:
    world = World(475)
    budget = world.process()
    world.meanwhile = lambda: world.clock.advance(0.005)

    for _ in range(400):
        world.clock.advance(0.01)
        assert world.call(budget)

    writes = [each for each in world.operations if each != "GET"]
    assert len(writes) <= 400 / 8


def test_a_step_alone_pays_two_claims_at_most() -> None:
    world = World(475)
    budget = world.process()

    for _ in range(8):
        assert world.call(budget)
        world.clock.advance(0.225)

    assert len([each for each in world.operations if each != "GET"]) <= 3


def test_without_storage_no_call_is_sent_and_few_ask_for_it() -> None:
    world = World(475)
    budget = world.process()
    world.away = True

    with pytest.raises(AzureError):
        budget.turn(Rank.PERSON, Deadline.after(), patient=True)
    world.operations.clear()
    with pytest.raises(RateLimited):
        budget.turn(Rank.PERSON, Deadline.after(), patient=True)

    assert world.operations == []
    world.away = False
    world.clock.advance(6)
    assert world.call(budget)


def test_a_lost_response_costs_a_grant_and_no_error() -> None:
    world = World(475)
    budget = world.process()
    assert world.call(budget)
    world.clock.advance(2)
    lose_next_response(world)

    assert world.call(budget)


@pytest.mark.parametrize("date", ["yesterday", "Sat, 99 Nov 2026 12:00:00 GMT", "9" * 5_000])
def test_a_date_that_cannot_be_read_is_an_outage_of_storage(date: str) -> None:
    world = World(475, date=date)

    with pytest.raises(AzureError) as caught:
        world.process().turn(Rank.STARTED, Deadline.after(), patient=True)

    assert is_outage(caught.value)


def test_a_date_of_another_age_tells_no_time() -> None:
    world = World(475)
    budget = world.process()
    assert world.call(budget)
    world.date = "Mon, 01 Jan 0001 00:00:00 GMT"
    world.clock.advance(3)

    assert world.call(budget)
    assert budget.fill().calls > 0


def lose_next_response(world: World) -> None:
    losses: Iterator[float] = iter([1.0, 0.0])

    class Chance(Random):
        def random(self) -> float:
            return next(losses, 1.0)

    world.chance, world.lost = Chance(), 0.5


def test_a_429_holds_all_processes_and_halves_the_limit_once() -> None:
    world = World(400)
    one, other = world.process(), world.process()
    assert world.call(other)

    one.pause(30)
    one.pause(30)
    other.pause(30)
    world.clock.advance(3)

    assert not world.call(other)
    assert one.fill().limit == 200
    assert one.fill().held_seconds == pytest.approx(27, abs=1.5)
    world.clock.advance(30)
    assert world.call(other)


def test_a_lowered_limit_rises_to_the_setting_after_ten_minutes() -> None:
    world = World(400)
    budget = world.process()
    budget.pause(1)

    limits = []
    for _ in range(20):
        limits.append(budget.fill().limit)
        world.clock.advance(60)

    assert limits[:10] == [200] * 10
    assert limits[12] == pytest.approx(242, abs=22)
    assert limits[-1] == 400


def test_a_row_that_cannot_be_read_counts_as_a_full_minute() -> None:
    world = World(10)
    row = {"PartitionKey": PARTNER, "RowKey": BUDGET_ROW, "used": "["}
    world.sandbox.create_entity(row)
    budget = world.process()

    assert not world.call(budget, Rank.STARTING)
    assert budget.fill().calls == 10
    world.clock.advance(64)
    assert world.call(budget, Rank.STARTING)


def test_steps_that_are_held_back_come_back_one_after_the_other_as_room_opens() -> None:
    world = World(475)
    budget = world.process()
    while world.call(budget):
        world.clock.advance(0.02)

    times = [round(world.now + held_back(budget), 1) for _ in range(20)]

    assert times == sorted(times)
    opened = 61 + USE_SECONDS
    assert opened - 2 <= times[0] <= opened + 2
    # 20 steps need 160 calls, which leave the minute about as fast as they came: 50 a second.
    assert 1 < times[-1] - times[0] < 2 * 160 / 50


def test_a_customer_that_was_worked_on_comes_back_before_those_that_start() -> None:
    world = World(475)
    budget = world.process()
    while world.call(budget):
        world.clock.advance(0.02)
    starting = [world.now + held_back(budget) for _ in range(20)]

    started = [world.now + held_back(budget, Rank.STARTED) for _ in range(20)]

    assert max(started) < starting[-1]


def test_a_step_that_is_held_back_does_not_wait_for_looks_in_an_hour() -> None:
    now = START.timestamp()
    # Two calls leave the minute every quarter of a second.
    full_minute = Ledger(used={tick_of(now) - ticks: 2 for ticks in range(238)})
    waiting = expecting(full_minute, [(now + 3600, 400)], 0, now)

    decisions = [
        decide(ledger, Ask(Rank.STARTED), 475, Moment(now, now))
        for ledger in (full_minute, waiting)
    ]

    assert decisions[0].grant is None
    assert decisions[0].wait == decisions[1].wait < 10


@pytest.mark.parametrize("rank", [Rank.STARTING, Rank.STARTED])
@pytest.mark.parametrize("seconds_between", [0.01, 1.0, 3.0])
def test_the_row_holds_what_thousands_of_steps_come_back_for(
    seconds_between: float, rank: Rank
) -> None:
    """As after a drop of all customers of production: the table takes no longer column."""
    now = START.timestamp()
    ledger = Ledger()
    ask = Ask(rank, 1, 1, USE_SECONDS, patient=False)
    for _ in range(6_000):
        now += seconds_between
        full_minute = replace(ledger, used={tick_of(now) + 4: 475})
        ledger = decide(full_minute, ask, 475, Moment(now, now)).ledger
        ledger = expecting(ledger, [(now + 86_400, 3), (now + 900, 3)], 0, now)
        assert len(ledger.promised) + len(ledger.expected) < 1_500

    assert makes_sense(ledger, now)


def held_back(budget: SharedBudget, rank: Rank = Rank.STARTING) -> float:
    with pytest.raises(RateLimited) as caught:
        budget.turn(rank, Deadline.after(), patient=False)
    return caught.value.seconds


def test_whoever_is_patient_waits_for_the_opening_without_a_promise() -> None:
    world = World(20)
    budget = world.process()
    while world.call(budget, Rank.STARTED):
        pass
    world.clock.advance(60)
    world.operations.clear()

    with pytest.raises(RateLimited) as caught:
        budget.turn(Rank.STARTED, Deadline.after(), patient=True)

    assert caught.value.seconds <= 3


NEXT_TICKS: Final = int(START.timestamp()) * 4 + 8
TOO_LARGE: Final = "9" * 400
EMPTY_MINUTE: Final = {
    "used": "{}",
    "promised": "{}",
    "expected": "{}",
    "heldUntil": 0.0,
    "loweredTo": 0,
    "loweredAt": 0.0,
}


@pytest.mark.parametrize(
    "odd",
    [
        {"used": f'{{"{NEXT_TICKS}": -1000}}'},
        {"used": f'{{"{TOO_LARGE}": 1}}'},
        {"used": f'{{"{NEXT_TICKS + 40_000}": 1}}'},
        {"used": f'{{"{NEXT_TICKS}": {TOO_LARGE}}}'},
        {"promised": f'{{"{TOO_LARGE}": 8}}'},
        {"promised": f'{{"{NEXT_TICKS}": -8}}'},
        {"expected": f'{{"{NEXT_TICKS}": -300}}'},
        {"expected": f'{{"{TOO_LARGE}": 3}}'},
        {"heldUntil": float("inf")},
        {"heldUntil": float("nan")},
        {"heldUntil": START.timestamp() + 1e9},
        {"loweredTo": -5, "loweredAt": START.timestamp()},
        {"loweredTo": 60, "loweredAt": float("inf")},
        {"loweredTo": 60, "loweredAt": float("nan")},
    ],
    ids=str,
)
@pytest.mark.parametrize("rank", Rank)
def test_a_row_that_makes_no_sense_counts_as_a_full_minute_and_no_longer(
    odd: dict[str, object], rank: Rank
) -> None:
    world = World(10)
    row = {"PartitionKey": PARTNER, "RowKey": BUDGET_ROW, **EMPTY_MINUTE, **odd}
    world.sandbox.create_entity(row)
    budget = world.process()

    assert budget.fill().calls == 10
    with pytest.raises(RateLimited) as held:
        budget.turn(rank, Deadline.after(), patient=True)
    assert 60 < held.value.seconds < 120
    world.clock.advance(held.value.seconds + 2)

    assert world.call(budget, rank)
