"""Customers with very many purchases, and responses that are odd for one purchase only."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.dry_run import dry_run
from shared.purchases.plan import Standing, make_plan
from shared.purchases.purchase import Purchase
from shared.storage import memory
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

MANY = 120
ODD = "odd"
NOT_FOUND = {"code": 1000, "description": "Not found."}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    simulator.behaviour = replace(
        simulator.behaviour, requests_per_minute=None, savings_plan_subscriptions=False
    )
    return simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")


def patches(bench: Bench) -> Counter[str]:
    """Return how often each purchase was sent a PATCH."""
    return Counter(call.path for call in bench.calls("PATCH"))


def purchase(bench: Bench, customer: Customer, purchase_id: str) -> Purchase:
    purchases = bench.record(customer.tenant_id).purchases
    return next(each for each in purchases if each.id == purchase_id)


def end_at_deadline(bench: Bench, customer: Customer) -> None:
    bench.move_clock_to(bench.record(customer.tenant_id).deadline)
    bench.pump(passes=3)


def test_each_of_120_refused_orders_is_tried_once_and_one_delete_is_sent(
    bench: Bench, customer: Customer
) -> None:
    for _ in range(MANY):
        customer.add_order(ProductKind.SAVINGS_PLAN)

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert set(patches(bench).values()) == {1}
    assert len(patches(bench)) == MANY
    assert len(bench.calls("DELETE")) == 1
    assert "No API call cancels these" in record.remedy
    assert len(record.purchases) == MANY


def test_refused_orders_are_not_tried_again_because_the_delete_is_busy(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.SAVINGS_PLAN)
    busy = {"code": 800060, "description": "In progress."}
    simulator.add_fault(Fault(method="DELETE", status=409, body=busy, times=3))

    bench.run(customer.tenant_id)

    assert len(bench.calls("DELETE")) == 4
    assert len(bench.calls("PATCH")) == 1


def test_each_of_250_orders_that_take_long_is_cancelled_once(
    bench: Bench, customer: Customer
) -> None:
    for _ in range(250):
        customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_seconds=140)

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert len(bench.calls("GET", "/orders")) >= 5
    assert set(patches(bench).values()) == {1}
    assert len(patches(bench)) == 250


def test_more_than_a_record_can_hold_ends_before_anything_is_cancelled(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_START_BYTES", 500)
    for _ in range(20):
        customer.add_order(ProductKind.RESERVED_INSTANCE)

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "the customer has 20 orders and subscriptions, more than a record can hold" in (
        record.reason
    )
    assert record.remedy
    assert not bench.writes()
    assert not bench.errors


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404, body=NOT_FOUND, times=None),
        Fault(status=404, body="<html>", times=None),
        Fault(status=200, body="", times=None),
        Fault(status=200, body={"id": ODD}, times=None),
        Fault(status=200, body=["odd"], times=None),
        Fault(status=302, body="", times=None),
    ],
    ids=["404/1000", "404", "empty", "no-status", "no-object", "302"],
)
def test_one_odd_response_to_a_patch_concerns_that_order_only(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault
) -> None:
    odd, *others = [customer.add_order(ProductKind.PERPETUAL_SOFTWARE) for _ in range(4)]
    simulator.add_fault(replace(fault, method="PATCH", path=f"*/orders/{odd.id}"))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)

    assert [each.status for each in others] == ["cancelled"] * 3
    assert purchase(bench, customer, odd.id).trouble
    assert not bench.errors

    end_at_deadline(bench, customer)
    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert odd.id in record.reason
    assert "cancel_order" in record.reason
    assert not bench.calls("DELETE")


@pytest.mark.parametrize("status", [404, 200])
def test_an_odd_response_that_comes_once_does_not_end_the_deletion(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    simulator.add_fault(Fault(method="PATCH", status=status, body={}, performed=status == 200))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert not bench.errors


def test_a_customer_that_goes_while_its_orders_are_cancelled_ends_as_deleted(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    for _ in range(3):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    bench.run(simulator.sandbox.add_customer("other.onmicrosoft.com").tenant_id)
    simulator.add_fault(Fault(method="PATCH", status=404, body=NOT_FOUND, times=None))
    # The step starts with the listing of a moment ago, which still holds the customer.
    simulator.add_fault(Fault(path="/v1/customers", status=200, body={"items": []}))
    simulator.add_fault(Fault(method="GET", path=f"/v1/customers/{customer.tenant_id}", status=404))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert record.reason == "the customer was already gone"


def test_a_listed_order_without_a_status_is_cancelled_like_the_others(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    orders = [customer.add_order(ProductKind.PERPETUAL_SOFTWARE) for _ in range(2)]
    items: list[dict[str, Any]] = [{"id": each.id, "status": "completed"} for each in orders]
    items[0]["status"] = None
    simulator.add_fault(Fault(method="GET", path="*/orders", status=200, body={"items": items}))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert not bench.errors


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"code": 3000, "description": "Invalid."}),
        (403, {"code": 900308, "description": "Insufficient privileges."}),
        (404, NOT_FOUND),
        (404, {"code": 800111, "description": "Not found."}),
        (200, ""),
        (500, {"code": 800003, "description": "Failed."}),
    ],
)
def test_an_azure_plan_that_cannot_be_read_keeps_only_itself_from_being_cancelled(
    bench: Bench, simulator: Simulator, customer: Customer, status: int, body: Any
) -> None:
    other = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    plan = customer.add_order(ProductKind.AZURE_PLAN).subscription
    assert plan is not None
    path = "*/azureEntitlements"
    simulator.add_fault(Fault(method="GET", path=path, status=status, body=body, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=5)

    assert other.status == "cancelled"
    assert plan.status == "active"
    assert bench.record(customer.tenant_id).live
    assert not bench.calls("DELETE")
    assert not bench.errors

    end_at_deadline(bench, customer)
    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert f"azure subscription {plan.id} (" in record.reason


def test_an_azure_plan_that_can_be_read_again_is_cancelled(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.AZURE_PLAN)
    simulator.add_fault(Fault(path="*/azureEntitlements", status=403, times=3))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert not any(each.status == "unreadable" for each in record.purchases)


def test_what_is_known_of_an_azure_plan_survives_a_failed_read(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.behaviour = replace(simulator.behaviour, azure_cancel_seconds=100)
    customer.add_order(ProductKind.AZURE_PLAN)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(path="*/azureEntitlements", status=400))

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.calls("POST", "/cancel")) == 1


def test_a_dry_run_shows_an_azure_plan_that_cannot_be_read(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.AZURE_PLAN)
    simulator.add_fault(Fault(path="*/azureEntitlements", status=403))

    plan = dry_run(bench.services, TenantId(customer.tenant_id)).plan

    assert not plan.clear
    assert [each.standing for each in plan.entries if "403" in each.reason] == [Standing.WAITING]


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
def test_a_subscription_that_cannot_be_read_is_tried_again_and_the_others_go_on(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    """A partial look reads no subscriptions; each is read before its PATCH."""
    orders = [
        customer.add_order(ProductKind.LEGACY_LICENCES, cancel_after_seconds=0) for _ in range(2)
    ]
    odd, other = (order.subscription for order in orders)
    assert odd is not None
    assert other is not None
    busy = {"code": 800060, "description": "In progress."}
    for order in orders:
        simulator.add_fault(Fault(method="PATCH", path=f"*/{order.id}", status=409, body=busy))
    path = f"*/subscriptions/{odd.id}"
    body = "" if status == 200 else NOT_FOUND
    simulator.add_fault(Fault(method="GET", path=path, status=status, body=body, times=2))
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)

    assert other.status == "suspended"
    assert odd.status == "active"
    assert not purchase(bench, customer, odd.id).rejected
    plan = make_plan(bench.record(customer.tenant_id).purchases, bench.services.now())
    # A failure of the service is noted for the whole step.
    noted = bench.record(customer.tenant_id).last_error if status == 500 else plan.open[0].reason
    assert len(plan.open) == 1
    assert ("expected a JSON object" if status == 200 else str(status)) in noted

    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED
    assert not bench.errors
