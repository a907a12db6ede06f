"""The gate, the deadline and the state of a deletion while its calls wait, fail or repeat."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.submission import NotAbortable, abort
from shared.partner_center.client import PartnerCenter
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.deadline import Deadline
from shared.partner_center.rate_limit import Rank
from shared.services import build
from shared.storage.budget_row import Stored
from shared.storage.names import CUSTOMERS_READY, CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.records import State
from shared.sweep.run import preview_sweep
from shared.tenants import TenantId
from tests.bench import Bench, unhurried


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


def aborted_elsewhere(bench: Bench, customer: Customer) -> None:
    abort(bench.services, TenantId(customer.tenant_id), "ann")


def tripped_elsewhere(bench: Bench, _: Customer) -> None:
    bench.switch_of_another_process().trip("ann", "looks odd")


STOPS = [aborted_elsewhere, tripped_elsewhere]


@pytest.mark.parametrize("stop", STOPS)
def test_what_happens_before_a_repeat_stops_it(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[Bench, Customer], None],
) -> None:
    simulator.add_fault(Fault(method="PATCH", drop=True))
    bench.drop(customer.tenant_id)
    while_it_sleeps(bench, monkeypatch, lambda: stop(bench, customer))

    bench.pump(passes=4)

    assert len(bench.calls("PATCH")) == 1
    assert bench.record(customer.tenant_id).state in {State.ABORTED, State.CANCELLING}


def test_a_trip_before_the_repeat_of_a_delete_stops_it_and_an_abort_is_too_late(
    bench: Bench, simulator: Simulator, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method="DELETE", drop=True))
    while_it_sleeps(bench, monkeypatch, lambda: tripped_elsewhere(bench, customer))

    bench.pump(passes=3)

    assert len(bench.calls("DELETE")) == 1
    assert bench.record(customer.tenant_id).state is State.DELETING
    with pytest.raises(NotAbortable):
        aborted_elsewhere(bench, customer)


@pytest.mark.parametrize("stop", STOPS)
def test_what_happens_while_a_subscription_is_read_stops_its_patch(
    bench: Bench,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[Bench, Customer], None],
) -> None:
    """The order is rejected, and its subscription was not read in this step."""
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.LEGACY_LICENCES)
    simulator.add_fault(Fault(method="PATCH", status=503, times=3))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    body = {"code": 800063, "description": "Suspend its subscriptions."}
    simulator.add_fault(Fault(method="PATCH", path="*/orders/*", status=400, body=body))
    simulator.add_fault(Fault(path="*/subscriptions/*", status=502))
    while_it_sleeps(bench, monkeypatch, lambda: stop(bench, customer))

    bench.pump(passes=3)

    assert [call.status for call in bench.calls("GET", "/subscriptions/")] == [502, 200]
    assert not bench.calls("PATCH", "/subscriptions/")


def while_it_sleeps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, event: Callable[[], object]
) -> None:
    """Make something happen elsewhere during the first pause of the connection."""
    events = iter([event])
    monkeypatch.setattr(bench.services.connection, "_sleep", lambda _: next(events, lambda: None)())


HELD_BACK = Fault(method="DELETE", status=429, headers={"Retry-After": "3600"})


@pytest.mark.parametrize("by", ["429", "our limit", "sign-in"])
def test_a_delete_that_was_not_done_can_be_aborted(
    bench: Bench, simulator: Simulator, customer: Customer, by: str
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    if by == "429":
        simulator.add_fault(HELD_BACK)
    elif by == "our limit":
        bench.budget.pause(3600)
    else:
        bench.services.connection.tokens.forget()
        simulator.add_fault(Fault(path="*/token", status=503, times=None))
    bench.pump(passes=1)
    assert bench.waiting(CUSTOMERS_READY) == 1
    assert bench.record(customer.tenant_id).state is State.CHECKING

    aborted_elsewhere(bench, customer)

    assert bench.record(customer.tenant_id).state is State.ABORTED


def test_a_429_after_a_lost_delete_leaves_an_abort_too_late(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method="DELETE", drop=True, times=3))
    simulator.add_fault(HELD_BACK)
    bench.pump(passes=2)

    assert [call.status for call in bench.calls("DELETE")] == [None, None, None, 429]
    assert bench.record(customer.tenant_id).state is State.DELETING


def test_the_log_claims_no_response_to_what_was_held_back(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    caplog.clear()
    bench.budget.pause(3600)

    bench.pump(passes=1)

    assert "was not sent: no call may be sent" in caplog.text
    assert re.search(r"\b429\b", caplog.text) is None


def test_a_second_failure_of_the_service_puts_the_step_back(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    for _ in range(5):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    simulator.add_fault(Fault(method="PATCH", status=504, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    assert len({call.request_id for call in bench.calls("PATCH")}) == 2
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert not bench.errors


LOST = Fault(method="PATCH", drop=True, times=None)
FAILED = Fault(method="PATCH", status=500, times=None)
LATE = Fault(method="PATCH", delay_seconds=0.2, drop=True, times=None)


@pytest.fixture
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.partner_center.connection.READ_TIMEOUT_SECONDS", 0.1)


@pytest.mark.usefixtures("short_reads")
@pytest.mark.parametrize("fault", [LOST, FAILED, LATE], ids=["lost", "failed", "late"])
@pytest.mark.parametrize("bad", [1, 3])
def test_orders_that_always_fail_starve_no_others(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault, bad: int
) -> None:
    """Each look stops at its second failure."""
    for _ in range(4):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    for order in customer.orders[:bad]:
        simulator.add_fault(replace(fault, path=f"*/orders/{order.id}"))
    bench.drop(customer.tenant_id)

    bench.pump(passes=3)

    assert [each.status for each in customer.orders[bad:]] == ["cancelled"] * (5 - bad)
    assert bench.record(customer.tenant_id).live


def test_an_order_that_recovers_is_not_starved_by_those_that_failed_with_it(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    for _ in range(2):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    *lasting, last = customer.orders
    for order in lasting:
        simulator.add_fault(replace(LOST, path=f"*/orders/{order.id}"))
    simulator.add_fault(replace(LOST, path=f"*/orders/{last.id}", times=6))
    bench.drop(customer.tenant_id)

    bench.pump(passes=9)

    assert last.status == "cancelled"


def test_an_order_without_a_response_is_tried_again_and_says_so(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    order = customer.orders[0]
    simulator.add_fault(replace(LOST, path=f"*/orders/{order.id}", times=3))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)
    waiting = bench.record(customer.tenant_id)
    bench.pump()

    assert "got no response" in waiting.purchases[0].trouble
    assert waiting.attempt == 1
    assert bench.record(customer.tenant_id).state is State.DELETED


def test_twelve_messages_behind_a_listing_that_hangs_wait_for_one_call(
    bench: Bench, simulator: Simulator
) -> None:
    """As many as the host hands out at once; each in turn would outlive `functionTimeout`."""
    tenants = [
        simulator.sandbox.add_customer(f"tipdemo{number:03}.onmicrosoft.com").tenant_id
        for number in range(12)
    ]
    for tenant in tenants:
        bench.drop(tenant)
    messages = [bench.take(CUSTOMERS_TO_DELETE) for _ in tenants]
    together, current = threading.Barrier(len(tenants), timeout=120), CustomerList.current

    def current_together(listing: CustomerList, client: PartnerCenter) -> Any:
        together.wait()
        return current(listing, client)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(tenants)) as pool:
        patch.setattr(CustomerList, "current", current_together)
        simulator.add_fault(Fault("GET", "/v1/customers", 500, delay_seconds=2))
        for done in [
            pool.submit(bench.deliver, CUSTOMERS_TO_DELETE, each) for each in messages if each
        ]:
            done.result()

    assert len(bench.calls()) == 1
    for tenant in tenants:
        assert "status 500" in bench.record(tenant).last_error


def test_a_step_whose_time_is_over_goes_back_with_what_it_learned(
    bench: Bench, customer: Customer
) -> None:
    """Each call takes 15 s, so the third PATCH is cut off and no other begins."""
    for _ in range(7):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    bench.put(replace(bench.services, deadline=lambda: slow_calls(bench)))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    record = bench.record(customer.tenant_id)
    done = [each for each in record.purchases if each.status == "cancelled"]
    assert (len(done), len(bench.calls("PATCH"))) == (2, 3)
    assert "the step's time" in record.last_error
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.calls("PATCH")) == 8
    assert not bench.errors


def slow_calls(bench: Bench) -> Deadline:
    return Deadline.after(100, lambda: 15.0 * len(bench.calls()))


def test_a_delete_for_which_no_time_is_left_is_not_sent_and_can_be_aborted(
    bench: Bench, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    bench.put(replace(bench.services, deadline=lambda: Deadline.after(4)))

    bench.pump(passes=1)

    assert not bench.calls("DELETE")
    assert bench.record(customer.tenant_id).state is State.CHECKING
    assert bench.waiting(CUSTOMERS_READY) == 1
    assert not bench.errors


def test_what_has_begun_goes_before_what_starts(bench: Bench, customer: Customer) -> None:
    bench.forget_customer_list()
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    first = list(bench.budget.ranks)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert first[0] is Rank.STARTING
    assert {*first[1:], *bench.budget.ranks[len(first) :]} == {Rank.STARTED}


def test_a_dry_run_and_the_preview_of_a_sweep_are_for_people(
    bench: Bench, customer: Customer
) -> None:
    bench.drop(f'{{"tenantId": "{customer.tenant_id}", "dryRun": true}}')
    bench.pump()
    preview_sweep(bench.services)

    assert set(bench.budget.ranks[:1]) == {Rank.PERSON}
    assert Rank.STARTING not in bench.budget.ranks


def test_a_step_that_is_held_back_comes_back_when_it_was_told(
    bench: Bench, customer: Customer
) -> None:
    bench.budget.pause(40)
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    record = bench.record(customer.tenant_id)
    assert record.next_check_at is not None
    assert record.attempt == 0
    delay = record.next_check_at - bench.services.now()
    assert timedelta(seconds=35) < delay <= timedelta(seconds=40)


def test_a_deletion_runs_on_the_budget_in_the_table(bench: Bench, customer: Customer) -> None:
    bench.put(unhurried(bench.services.settings, budget=build(bench.services.settings).budget))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert len(bench.calls()) <= bench.services.budget.fill().calls <= 475


def test_without_the_row_of_the_budget_no_call_is_sent(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Stored:
        raise ServiceRequestError("storage is away")

    services = build(bench.services.settings)
    monkeypatch.setattr(services.budget_row, "read", away)
    bench.put(unhurried(bench.services.settings, budget=services.budget))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    assert not bench.calls()
    record = bench.record(customer.tenant_id)
    assert record.parked_since is not None
    assert not bench.errors
