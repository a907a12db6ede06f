"""One call for all who need its result; nobody waits longer than the own deadline."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.simulator import Fault, Simulator
from shared.partner_center.client import PartnerCenter
from shared.partner_center.credentials import TokenSource
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import OutOfTime, PartnerCenterError, Unavailable
from shared.partner_center.shared_call import FirstCall, SharedCall
from shared.settings import PartnerCenterSettings
from tests.partner_center.conftest import Connect

WAITERS = 12


def outcomes(ask: Callable[[], object]) -> list[object]:
    """Ask in twelve threads at once and return each result, or the type of each error."""
    together = threading.Barrier(WAITERS)

    def outcome(_: int) -> object:
        together.wait()
        try:
            return ask()
        except PartnerCenterError as error:
            return type(error)

    with ThreadPoolExecutor(WAITERS) as pool:
        return list(pool.map(outcome, range(WAITERS)))


def test_a_caller_waits_no_longer_than_its_deadline_and_the_call_goes_on() -> None:
    released = threading.Event()
    shared = SharedCall[str]("The listing")

    def slow() -> str:
        released.wait()
        return "done"

    with pytest.raises(OutOfTime, match="The listing did not end"):
        shared.result(slow, Deadline.after(0.05))
    late = threading.Timer(0.05, released.set)
    late.start()

    assert shared.result(lambda: "another", Deadline.after()) == "done"
    late.join()


def test_a_call_after_the_end_of_the_last_one_is_made_again() -> None:
    shared = SharedCall[int]("The listing")
    results = iter((1, 2))

    assert [shared.result(lambda: next(results), Deadline.after()) for _ in range(2)] == [1, 2]


def test_all_who_wait_for_a_listing_share_its_failure(
    connect: Connect, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="/v1/customers", status=500, delay_seconds=0.5, times=None))
    customers, connection = CustomerList(), connect()
    connection.tokens.token(Deadline.after())

    found = outcomes(lambda: customers.current(PartnerCenter(connection, "c")))

    assert found == [Unavailable] * WAITERS
    assert sum(call.path == "/v1/customers" for call in simulator.calls) == 1


def test_all_who_wait_for_a_listing_share_it(connect: Connect, simulator: Simulator) -> None:
    simulator.sandbox.add_customer("c.onmicrosoft.com")
    customers, connection = CustomerList(), connect()

    found = outcomes(lambda: len(customers.current(PartnerCenter(connection, "c"))))

    assert found == [1] * WAITERS
    assert sum(call.path == "/v1/customers" for call in simulator.calls) == 1


def test_all_who_need_a_token_share_one_sign_in(
    partner_settings: Callable[..., PartnerCenterSettings], simulator: Simulator
) -> None:
    tokens = TokenSource(partner_settings())

    found = outcomes(lambda: tokens.token(Deadline.after()))

    assert len(set(found)) == 1
    assert sum(call.path.endswith("/token") for call in simulator.calls) == 1


def test_a_sign_in_that_hangs_holds_nobody_past_the_deadline(
    partner_settings: Callable[..., PartnerCenterSettings], simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="*/oauth2/v2.0/token", delay_seconds=0.5))
    tokens = TokenSource(partner_settings())

    with pytest.raises(OutOfTime, match="The sign-in"):
        tokens.token(Deadline.after(0.1))

    assert tokens.token(Deadline.after())
    assert sum(call.path.endswith("/token") for call in simulator.calls) == 1


def test_a_key_vault_that_hangs_holds_nobody_past_the_deadline(
    partner_settings: Callable[..., PartnerCenterSettings], simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="*/secrets/*", delay_seconds=0.5))
    tokens = TokenSource(partner_settings("certificate"))

    with pytest.raises(OutOfTime, match="The sign-in"):
        tokens.token(Deadline.after(0.1))

    assert tokens.token(Deadline.after())


def test_the_first_of_many_alike_calls_goes_alone_and_the_others_follow_together() -> None:
    first = FirstCall("The first read")
    running: list[int] = []
    most: list[int] = []
    together = threading.Barrier(WAITERS - 1)

    def read() -> None:
        with first.alone(Deadline.after()):
            running.append(1)
            most.append(len(running))
            if len(most) > 1:
                together.wait()
            running.pop()

    outcomes(read)

    assert most[0] == 1
    assert max(most) > 1


def test_whoever_waits_for_the_first_call_waits_no_longer_than_its_deadline() -> None:
    first = FirstCall("The first read")

    with (
        first.alone(Deadline.after()),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(OutOfTime, match="The first read did not end"),
    ):
        pool.submit(lambda: first.alone(Deadline.after(0.01)).__enter__()).result()


def test_threads_that_start_together_find_out_with_one_call_that_entitlements_are_forbidden(
    connect: Connect, simulator: Simulator
) -> None:
    connection = connect()
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")

    found = outcomes(lambda: PartnerCenter(connection, "c").entitlements(customer.tenant_id))

    assert found == [[]] * WAITERS
    assert len([call for call in simulator.calls if call.path.endswith("/entitlements")]) == 1
