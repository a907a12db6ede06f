"""Waits that Partner Center asks for: they move the deadline, but not for ever."""

from dataclasses import replace
from datetime import timedelta

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.deletion import LONGEST_DOCUMENTED_WAIT, first_message
from shared.storage.names import CUSTOMERS_READY, ORDERS_TO_CHECK, QUEUES
from shared.storage.records import DeletionRecord, State
from tests.bench import Bench

HOUR = timedelta(hours=1)
LOOKS = 60
SIX_HOURS = {"Retry-After": "21600"}
BUSY = {"code": 800060, "description": "In progress."}
WAITS_24_HOURS = {"code": 900278, "description": "Pending operation, try after 24 hours."}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


def look_when_due(bench: Bench, tenant: str, queue: str) -> DeletionRecord:
    """Take each step when it is due, although its message is still invisible, until the end."""
    for _ in range(LOOKS):
        record = bench.record(tenant)
        if not record.live:
            return record
        assert record.next_check_at is not None
        for each in QUEUES:
            bench.queues.get_queue_client(each).clear_messages()
        bench.move_clock_to(record.next_check_at)
        bench.budget.paused_until = float("-inf")
        bench.drop(first_message(record).to_json(), queue)
        bench.pump(passes=1)
    raise AssertionError(record)


@pytest.mark.parametrize(
    ("fault", "queue"),
    [
        (Fault(method="PATCH", status=409, headers=SIX_HOURS), ORDERS_TO_CHECK),
        (Fault(method="PATCH", status=409, body=WAITS_24_HOURS), ORDERS_TO_CHECK),
        (Fault(method="DELETE", status=409, body=BUSY, headers=SIX_HOURS), CUSTOMERS_READY),
        (Fault(path="*/orders", status=429, headers=SIX_HOURS), ORDERS_TO_CHECK),
        (Fault(path="*/orders", status=503, headers=SIX_HOURS), ORDERS_TO_CHECK),
    ],
    ids=["PATCH", "900278", "DELETE", "429", "503"],
)
def test_a_wait_that_is_asked_for_again_and_again_ends_as_stuck(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault, queue: str
) -> None:
    """The deadline moves by one deadline at most, or by 24 hours if that is more."""
    bench.use(DELETION_DEADLINE_HOURS="12")
    simulator.add_fault(replace(fault, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=2 if queue == CUSTOMERS_READY else 1)

    record = look_when_due(bench, customer.tenant_id, queue)

    assert record.state is State.STUCK
    assert record.granted == LONGEST_DOCUMENTED_WAIT
    assert record.deadline - record.requested_at == 12 * HOUR + LONGEST_DOCUMENTED_WAIT
    assert record.finished_at is not None
    assert record.finished_at - record.deadline < 2 * 30 * HOUR
    assert not bench.errors


def test_the_bound_grows_with_the_deadline(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    fault = Fault(method="PATCH", status=409, headers=SIX_HOURS, times=None)
    simulator.add_fault(fault)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)

    record = look_when_due(bench, customer.tenant_id, ORDERS_TO_CHECK)

    assert record.state is State.STUCK
    assert record.deadline - record.requested_at == 96 * HOUR


def test_the_documented_wait_of_24_hours_fits_into_a_short_deadline(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.use(DELETION_DEADLINE_HOURS="1")
    simulator.add_fault(Fault(method="PATCH", status=409, body=WAITS_24_HOURS))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    due = bench.record(customer.tenant_id).next_check_at
    assert due is not None
    bench.move_clock_to(due)
    bench.drop(first_message(bench.record(customer.tenant_id)).to_json(), ORDERS_TO_CHECK)

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("header", ["999999", "Fri, 31 Dec 2049 23:59:59 GMT"])
def test_a_429_that_asks_for_days_is_tried_again_within_two_hours(
    bench: Bench, simulator: Simulator, customer: Customer, header: str
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=429, headers={"Retry-After": header}))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    due = bench.record(customer.tenant_id).next_check_at
    assert due is not None
    assert due - bench.services.now() < 2 * HOUR


def test_time_under_a_tripped_switch_uses_up_no_wait(bench: Bench, customer: Customer) -> None:
    bench.services.switch.trip("ann", "looks odd")
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    bench.move_clock_to(bench.services.now() + 60 * HOUR)
    bench.services.switch.reset("ann", "was nothing")

    bench.pump()

    record = bench.record(customer.tenant_id)
    assert record.granted == timedelta(0)
    assert record.parked >= 59 * HOUR
