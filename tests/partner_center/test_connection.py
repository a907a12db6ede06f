"""Attempts and repeats on the wire: turns, the gate, the deadline, and what may have been done."""

import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from local.simulator import Fault, Simulator
from shared.errors import TipsweepError
from shared.partner_center import connection as connection_module
from shared.partner_center import errors
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.rate_limit import Rank
from shared.settings import PartnerCenterSettings
from tests.bench import UNHURRIED
from tests.local_budget import LocalBudget
from tests.trickling import BEGUN, ENDLESS_HEADER, TricklingServer

Read = Callable[..., PartnerCenterSettings]


class Stopped(TipsweepError):
    """The gate lets nothing leave."""


def open_gate() -> None:
    """Let everything leave."""


@pytest.fixture
def connect(partner_settings: Read) -> Callable[..., Connection]:
    """Return a connection whose pauses take no time."""

    def open_connection(
        budget: LocalBudget | None = None,
        sleep: Callable[[float], None] = lambda _: None,
        **environment: str,
    ) -> Connection:
        settings = partner_settings(**environment)
        limiter = budget or LocalBudget(UNHURRIED)
        base_url = settings.endpoints.base_url
        return Connection(base_url, TokenSource(settings), limiter, sleep=sleep)

    return open_connection


Connect = Callable[..., Connection]


def sent(simulator: Simulator) -> list[str]:
    return [call.method for call in simulator.calls if call.path.startswith("/v1/")]


def test_a_gate_that_closes_after_the_first_attempt_stops_the_repeat(
    connect: Connect, simulator: Simulator
) -> None:
    asked = count()

    def gate() -> None:
        if next(asked):
            raise Stopped

    simulator.add_fault(Fault(method="DELETE", drop=True, times=None))

    with pytest.raises(errors.NoResponse) as caught:
        PartnerCenter(connect(), "c", gate=gate).delete_customer("c")

    assert isinstance(caught.value.__cause__, Stopped)
    assert sent(simulator) == ["DELETE"]


def test_the_gate_is_asked_after_the_token_and_the_wait_for_a_turn(
    connect: Connect, simulator: Simulator
) -> None:
    now = [0.0]
    limiter = LocalBudget(1, monotonic=lambda: now[0])
    limiter.turn(Rank.PERSON, Deadline.after(), patient=False)
    now[0] = 59.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    def gate() -> None:
        assert slept == [pytest.approx(1)]
        assert [call.path for call in simulator.calls if call.path.endswith("/token")]
        raise Stopped

    with pytest.raises(Stopped):
        PartnerCenter(connect(limiter, sleep), "c", gate=gate).delete_customer("c")

    assert "DELETE" not in sent(simulator)


def test_a_call_that_waited_at_the_gate_keeps_to_a_pause_that_came_meanwhile(
    connect: Connect, simulator: Simulator
) -> None:
    limiter = LocalBudget(10, monotonic=lambda: 0.0)

    client = PartnerCenter(connect(limiter), "c", gate=lambda: limiter.pause(60))

    with pytest.raises(errors.HeldBack) as caught:
        client.delete_customer("c")

    assert caught.value.retry_after == 60
    assert "DELETE" not in sent(simulator)


def test_a_turn_that_ended_at_the_gate_is_taken_again_and_the_gate_asked_again(
    connect: Connect, simulator: Simulator
) -> None:
    now = [0.0]
    limiter = LocalBudget(10, monotonic=lambda: now[0])
    limiter.usable_seconds = 1.0
    slow = iter([1.5, 0.5])

    def gate() -> None:
        now[0] += next(slow)

    client = PartnerCenter(connect(limiter), "c", gate=gate)
    with suppress(errors.ErrorStatus):
        client.delete_customer("c")

    assert next(slow, None) is None
    assert len(limiter.ranks) == 2
    assert (client.calls, sent(simulator)) == (1, ["DELETE"])


def test_a_gate_that_takes_longer_than_any_turn_holds_the_call_back(
    connect: Connect, simulator: Simulator
) -> None:
    limiter = LocalBudget(10)
    limiter.usable_seconds = 0.0

    with pytest.raises(errors.HeldBack):
        PartnerCenter(connect(limiter), "c", gate=open_gate).delete_customer("c")

    assert sent(simulator) == []


def test_only_the_first_call_of_a_step_has_its_rank(connect: Connect, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    limiter = LocalBudget(10)
    client = PartnerCenter(connect(limiter), "c", rank=Rank.STARTING)

    client.orders(customer.tenant_id)
    client.subscriptions(customer.tenant_id)

    assert limiter.ranks == [Rank.STARTING, Rank.STARTED]


def test_reads_do_not_ask_the_gate(connect: Connect, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")

    def gate() -> None:
        raise Stopped

    assert PartnerCenter(connect(), "c", gate=gate).orders(customer.tenant_id) == []


def test_each_repeat_counts_and_takes_its_turn(connect: Connect, simulator: Simulator) -> None:
    simulator.add_fault(Fault(path="*/orders", status=502, times=None))
    limiter = LocalBudget(4, monotonic=lambda: 0)
    client = PartnerCenter(connect(limiter), "c")

    with pytest.raises(errors.Unavailable):
        client.orders("c")
    with pytest.raises(errors.Unavailable):
        client.orders("c")

    assert client.calls == 4
    assert len(sent(simulator)) == 4


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Fault(status=502), 3),
        (Fault(status=503), 3),
        (Fault(status=504), 3),
        (Fault(drop=True), 3),
        (Fault(status=503, headers={"Retry-After": "1"}), 3),
        (Fault(status=503, headers={"Retry-After": "30"}), 1),
        (Fault(status=500), 1),
        (Fault(status=429), 1),
        (Fault(status=409), 1),
    ],
    ids=lambda value: getattr(value, "status", value),
)
def test_only_what_passes_within_seconds_is_repeated(
    connect: Connect, simulator: Simulator, fault: Fault, attempts: int
) -> None:
    lasting = Fault(
        path="*/orders", status=fault.status, drop=fault.drop, headers=fault.headers, times=None
    )
    simulator.add_fault(lasting)

    with pytest.raises(errors.PartnerCenterError):
        PartnerCenter(connect(), "c").orders("c")

    assert len(sent(simulator)) == attempts


def test_a_timeout_is_not_repeated(
    connect: Connect, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.partner_center.connection.READ_TIMEOUT_SECONDS", 0.05)
    simulator.add_fault(Fault(path="*/orders", delay_seconds=0.5, times=None))
    client = PartnerCenter(connect(), "c")

    with pytest.raises(errors.TimedOut):
        client.orders("c")

    assert client.calls == 1


def test_a_call_waits_for_its_response_no_longer_than_the_deadline(
    connect: Connect, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect()
    connection.tokens.token(Deadline.after())
    monkeypatch.setattr("shared.partner_center.connection.LEAST_SECONDS", 0)
    simulator.add_fault(Fault(path="*/orders", delay_seconds=1))

    with pytest.raises(errors.TimedOut):
        PartnerCenter(connection, "c", Deadline.after(0.2)).orders("c")


def test_no_call_begins_when_hardly_any_time_is_left(
    connect: Connect, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=503, times=None))
    seconds = [0.0]
    deadline = Deadline.after(100, lambda: seconds[0])
    client = PartnerCenter(connect(), "c", deadline)

    seconds[0] = 96
    with pytest.raises(
        errors.OutOfTime, match=r"GET /v1/customers/c/orders was not started.*4\.0 s"
    ):
        client.orders("c")

    assert not simulator.calls


def test_no_repeat_begins_when_hardly_any_time_is_left(
    connect: Connect, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=503, times=None))
    deadline = Deadline.after(100, lambda: 96.0 * len(sent(simulator)))

    with pytest.raises(errors.Unavailable):
        PartnerCenter(connect(), "c", deadline).orders("c")

    assert len(sent(simulator)) == 1


def test_what_was_held_back_is_not_said_to_have_a_response(
    connect: Connect, simulator: Simulator
) -> None:
    limiter = LocalBudget(UNHURRIED)
    limiter.pause(30)

    with pytest.raises(errors.HeldBack) as caught:
        PartnerCenter(connect(limiter), "c", gate=open_gate).delete_customer("c")

    assert str(caught.value) == "DELETE /v1/customers/c was not sent: no call may be sent for 30 s"
    assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert not caught.value.may_be_done
    assert "DELETE" not in sent(simulator)


LOST = Fault(method="DELETE", drop=True)


@pytest.mark.parametrize(
    ("faults", "may_be_done"),
    [
        ([Fault(method="DELETE", status=429)], False),
        ([Fault(method="DELETE", status=401)], False),
        ([Fault(method="DELETE", status=403)], False),
        ([Fault(path="*/token", status=503, times=None)], False),
        ([Fault(method="DELETE", status=500)], True),
        ([Fault(method="DELETE", status=504, times=3)], True),
        ([Fault(method="DELETE", status=302)], True),
        ([LOST, LOST, LOST], True),
        ([LOST, Fault(method="DELETE", status=429)], True),
        ([LOST, Fault(method="DELETE", status=401)], True),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else f"{value[-1].status}-{len(value)}",
)
def test_an_error_says_whether_the_call_may_have_been_done(
    connect: Connect, simulator: Simulator, faults: list[Fault], may_be_done: bool
) -> None:
    for fault in faults:
        simulator.add_fault(fault)

    with pytest.raises(errors.PartnerCenterError) as caught:
        PartnerCenter(connect(), "c", gate=open_gate).delete_customer("c")

    assert caught.value.may_be_done is may_be_done


def test_a_call_without_a_connection_was_not_done(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}"

        client = PartnerCenter(connect(PARTNER_CENTER_BASE_URL=url), "c", gate=open_gate)

        with pytest.raises(errors.NoResponse, match="was not sent") as caught:
            client.delete_customer("c")

    assert not caught.value.may_be_done
    assert client.calls == 3


@pytest.mark.parametrize("beginning", [BEGUN, ENDLESS_HEADER], ids=["body", "header"])
def test_a_response_that_trickles_ends_with_the_deadline(
    partner_settings: Read, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    """Each byte comes in time for the read timeout of the library."""
    monkeypatch.setattr(connection_module, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(TokenSource, "token", lambda *_: "token")
    with TricklingServer(beginning) as server:
        tokens = TokenSource(partner_settings())
        connection = Connection(f"https://{server.address}", tokens, LocalBudget(UNHURRIED))
        client = PartnerCenter(connection, "c", Deadline.after(0.4), gate=open_gate)

        with pytest.raises(errors.TimedOut) as caught:
            client.delete_customer("c")

    assert caught.value.may_be_done
    assert server.requests == 1


def test_a_response_that_is_too_long_is_not_kept(
    connect: Connect, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MOST_BYTES", 1_000)
    simulator.add_fault(Fault(path="*/orders", status=200, body={"items": ["x" * 2_000]}))

    with pytest.raises(errors.UnexpectedResponse, match="more than 1000 bytes"):
        PartnerCenter(connect(), "c").orders("c")


def test_an_error_that_is_too_long_is_read_as_far_as_it_is_kept(
    connect: Connect, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MOST_BYTES", 1_000)
    body = "<title>Too busy</title>" + "x" * 200_000
    simulator.add_fault(Fault(path="*/orders", status=500, body=body))

    with pytest.raises(errors.Unavailable, match="Too busy"):
        PartnerCenter(connect(), "c").orders("c")
