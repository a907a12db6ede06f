"""Members of another type than documented concern their own item, and nothing is sent for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.simulator import Customer, Fault, Order, ProductKind, Simulator
from shared.deletion.dry_run import dry_run
from shared.partner_center.resources import UNREAD
from shared.purchases.plan import Standing
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    return simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")


def member(name: str, value: object) -> Change:
    return lambda item: {**item, name: value}


def whole(value: object) -> Change:
    return lambda _: value


def read(bench: Bench, customer: Customer, part: str) -> dict[str, Any]:
    """Return a listing of a customer as Partner Center gives it."""
    found: dict[str, Any] = bench.services.connection.call(
        "GET",
        f"customers/{customer.tenant_id}/{part}",
        correlation_id="c",
        deadline=bench.services.deadline(),
        gate=lambda: None,
    ).body
    return found


def make_odd(bench: Bench, customer: Customer, part: str, item_id: str, change: Change) -> None:
    """Change one item of a listing, until the faults are cleared."""
    page = read(bench, customer, part)
    items = [change(each) if each["id"] == item_id else each for each in page["items"]]
    bench.simulator.add_fault(
        Fault(
            method="GET",
            path=f"*/{customer.tenant_id}/{part}",
            status=200,
            body=json.dumps({**page, "items": items}),
            times=None,
        )
    )


ANY_ITEM = {
    "null": whole(None),
    "text": whole("odd"),
    "number": whole(7),
    "array": whole([]),
    "without an id": lambda item: {name: each for name, each in item.items() if name != "id"},
    "id null": member("id", None),
    "id as number": member("id", 7),
    "id empty": member("id", ""),
    "id leaves the path": member("id", ".."),
    "id with half a character": member("id", "a\ud83d"),
    "id without end": member("id", "x" * 5000),
    "status as number": member("status", 7),
    "status as object": member("status", {"value": "active"}),
    "status as array": member("status", ["active"]),
}
NO_OBJECT = {"null", "text", "number", "array"}
ODD_ORDERS = {
    **ANY_ITEM,
    "alternateId as number": member("alternateId", 7),
    "creationDate as number": member("creationDate", 1_700_000_000),
    "creationDate as object": member("creationDate", {}),
}
ODD_SUBSCRIPTIONS = {
    **{name: change for name, change in ANY_ITEM.items() if name not in NO_OBJECT},
    "orderId as object": member("orderId", {"id": "x"}),
    "productType as text": member("productType", "Azure"),
    "productType as array": member("productType", [{"id": "Azure"}]),
    "productType id as number": member("productType", {"id": 7}),
    "isMicrosoftProduct as text": member("isMicrosoftProduct", "false"),
    "isMicrosoftProduct as number": member("isMicrosoftProduct", 0),
    "attributes as text": member("attributes", "etag"),
    "etag as number": member("attributes", {"etag": 7}),
    "etag that no header can hold": member("attributes", {"etag": "a\nb"}),
    "NaN, which cannot be sent back": member("x", {"y": [float("nan")]}),
    "a number of thousands of digits": member("x", float("inf")),
}
HARMLESS = {
    "lineItems of null": member("lineItems", [None]),
    "lineItems as text": member("lineItems", "x"),
    "lineItems as object": member("lineItems", {"0": {}}),
    "friendlyName as object": member("lineItems", [{"friendlyName": {"a": 1}}]),
    "a member that nobody knows": member("x", [[[float("nan")]]]),
    "links as text": member("links", "x"),
}


@pytest.mark.parametrize("change", ODD_ORDERS.values(), ids=ODD_ORDERS.keys())
def test_an_odd_order_waits_and_the_others_are_cancelled(
    bench: Bench, simulator: Simulator, customer: Customer, change: Change
) -> None:
    odd, *others = [customer.add_order(ProductKind.PERPETUAL_SOFTWARE) for _ in range(3)]
    make_odd(bench, customer, "orders", odd.id, change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)

    assert [each.status for each in others] == ["cancelled"] * 2
    assert_waits(bench, customer, odd.id)

    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("change", ODD_SUBSCRIPTIONS.values(), ids=ODD_SUBSCRIPTIONS.keys())
@pytest.mark.parametrize("kind", [ProductKind.NCE_LICENCES, ProductKind.SOFTWARE_SUBSCRIPTION])
def test_an_odd_subscription_waits_and_the_others_are_cancelled(
    bench: Bench, simulator: Simulator, customer: Customer, kind: ProductKind, change: Change
) -> None:
    odd, other = (subscription_id(customer.add_order(kind)) for _ in range(2))
    make_odd(bench, customer, "subscriptions", odd, change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)

    open_ids = {each.id for each in customer.subscriptions if each.status == "active"}
    assert other not in open_ids
    assert_waits(bench, customer, odd)

    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("name", sorted(NO_OBJECT))
def test_a_subscription_that_is_no_object_keeps_the_customer_from_being_deleted(
    bench: Bench, customer: Customer, name: str
) -> None:
    """Nobody knows what it is, nor how many licences it has."""
    odd = subscription_id(customer.add_order(ProductKind.NCE_LICENCES))
    make_odd(bench, customer, "subscriptions", odd, ANY_ITEM[name])
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)

    assert bench.record(customer.tenant_id).state is not State.DELETED
    assert not [call for call in bench.writes() if odd in call.path]
    assert not bench.calls("DELETE")
    assert not bench.errors


@pytest.mark.parametrize("change", ANY_ITEM.values(), ids=ANY_ITEM.keys())
def test_a_plan_with_an_odd_azure_subscription_is_not_suspended(
    bench: Bench, simulator: Simulator, customer: Customer, change: Change
) -> None:
    plan = customer.add_order(ProductKind.AZURE_PLAN, azure_subscriptions=2).subscription
    assert plan is not None
    odd, other = plan.azure_subscriptions
    part = f"subscriptions/{plan.id}/azureEntitlements"
    make_odd(bench, customer, part, odd.id, change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)

    assert other.status == "inactive"
    assert plan.status == "active"
    assert_waits(bench, customer, odd.id)

    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_is_only_shown_may_be_of_any_type(
    bench: Bench, customer: Customer, change: Change
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    make_odd(bench, customer, "orders", order.id, change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)

    assert order.status == "cancelled"
    assert not bench.errors


def test_an_order_is_not_cancelled_over_the_head_of_its_odd_subscription(
    bench: Bench, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION)
    change = member("productType", "Azure")
    make_odd(bench, customer, "subscriptions", subscription_id(order), change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)

    assert order.status == "completed"
    assert not bench.writes()


def test_an_order_that_stays_odd_ends_as_stuck_with_what_was_found(
    bench: Bench, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    make_odd(bench, customer, "orders", order.id, member("status", 7))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    bench.move_clock_to(bench.record(customer.tenant_id).deadline)
    bench.pump(passes=3)

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert f"order {order.id} (order {order.id} has member status 7: expected text" in record.reason
    assert not bench.writes()


def test_a_subscription_that_has_ended_may_be_odd(bench: Bench, customer: Customer) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES, subscription_status="deleted")
    change = member("productType", "OnlineServicesNCE")
    make_odd(bench, customer, "subscriptions", subscription_id(order), change)

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_dry_run_shows_an_odd_order_as_waited_for(bench: Bench, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    make_odd(bench, customer, "orders", order.id, member("id", 7))

    (entry,) = dry_run(bench.services, TenantId(customer.tenant_id)).plan.entries

    assert entry.standing is Standing.WAITING
    assert "member id 7: expected text" in entry.reason


def test_half_a_character_in_a_name_is_replaced(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    page = {"items": [{"id": customer.tenant_id, "companyProfile": {"companyName": "A \ud83d B"}}]}
    simulator.add_fault(Fault(path="/v1/customers", status=200, body=json.dumps(page)))

    found = dry_run(bench.services, TenantId(customer.tenant_id)).customer

    assert found.company_name == "A \ufffd B"


def assert_waits(bench: Bench, customer: Customer, item_id: str) -> None:
    """Nothing was sent for the item, and the record says why."""
    record = bench.record(customer.tenant_id)
    assert record.live
    assert [each.trouble != "" for each in record.purchases if each.status == UNREAD] == [True]
    assert not [call for call in bench.writes() if item_id in call.path]
    assert not bench.calls("DELETE")
    assert not bench.errors


def subscription_id(order: Order) -> str:
    assert order.subscription is not None
    return order.subscription.id


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_entitlements_that_fail_for_a_while_keep_only_the_delete_waiting(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    simulator.add_fault(Fault(path="*/entitlements", status=status, times=2 * 3))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)

    assert order.status == "cancelled"
    assert bench.record(customer.tenant_id).live

    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED
    assert not bench.errors


@pytest.mark.parametrize("order_id", [{"id": "x"}, 7, "a\ud83d", None, "", "elsewhere"])
def test_the_order_of_a_subscription_that_shows_neither_is_left_alone(
    bench: Bench, customer: Customer, order_id: Any
) -> None:
    order = customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION)
    assert order.subscription is not None

    def change(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "orderId": order_id, "productType": "text"}

    make_odd(bench, customer, "subscriptions", order.subscription.id, change)
    bench.drop(customer.tenant_id)
    bench.pump(passes=5)

    assert bench.record(customer.tenant_id).live
    assert not bench.writes()
    assert not bench.errors
    bench.simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED
