"""Every kind of product is cancelled in its own way, and the customer is deleted."""

from dataclasses import replace
from typing import Any

import pytest

from local.simulator import Behaviour, Customer, Fault, ProductKind, Simulator
from shared.purchases.purchase import PurchaseKind
from shared.storage.names import CUSTOMERS_READY, ORDERS_TO_CHECK
from shared.storage.records import State
from tests.bench import Bench

DELETABLE = [kind for kind in ProductKind if kind is not ProductKind.SAVINGS_PLAN]


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    return simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")


@pytest.mark.parametrize("kind", DELETABLE)
def test_a_customer_with_one_purchase_is_deleted(
    bench: Bench, customer: Customer, kind: ProductKind
) -> None:
    customer.add_order(kind)

    bench.run(customer.tenant_id)

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert customer.deleted
    assert not bench.errors


@pytest.mark.parametrize("kind", DELETABLE)
def test_a_slow_cancellation_is_waited_for(
    bench: Bench, customer: Customer, kind: ProductKind
) -> None:
    customer.add_order(kind, cancel_after_seconds=100)

    bench.run(customer.tenant_id)

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert [call.status for call in bench.calls("DELETE")] == [204]


def test_a_customer_without_purchases_is_deleted_at_once(bench: Bench, customer: Customer) -> None:
    bench.run(customer.tenant_id)

    assert customer.deleted
    assert [call.method for call in bench.writes()] == ["DELETE"]


def test_all_kinds_together_are_deleted(bench: Bench, customer: Customer) -> None:
    bench.simulator.behaviour = replace(bench.simulator.behaviour, azure_cancel_seconds=60)
    for kind in DELETABLE[:6]:
        customer.add_order(kind)

    bench.run(customer.tenant_id)

    assert customer.deleted
    assert len(bench.calls("DELETE")) == 1


def test_an_azure_plan_is_suspended_only_after_its_azure_subscriptions(
    bench: Bench, customer: Customer
) -> None:
    bench.simulator.behaviour = replace(bench.simulator.behaviour, azure_cancel_seconds=600)
    customer.add_order(ProductKind.AZURE_PLAN, azure_subscriptions=2)

    bench.run(customer.tenant_id)

    writes = [(call.method, call.path.rsplit("/", 1)[-1]) for call in bench.writes()]
    assert [name for method, name in writes if method == "POST"] == ["cancel", "cancel"]
    assert [call.status for call in bench.calls("PATCH")] == [200]
    assert customer.deleted


def test_an_inactive_marketplace_subscription_is_activated_first(
    bench: Bench, customer: Customer
) -> None:
    customer.add_order(ProductKind.MARKETPLACE_SAAS, activated=False)

    bench.run(customer.tenant_id)

    methods = [call.method for call in bench.writes()]
    assert methods == ["PATCH", "POST", "PATCH", "DELETE"]
    assert customer.deleted


def test_a_legacy_order_that_is_rejected_is_suspended_by_subscription(
    bench: Bench, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.LEGACY_LICENCES)

    bench.run(customer.tenant_id)

    assert [call.code for call in bench.calls("PATCH", "/orders/")] == [800063]
    assert order.subscription is not None
    assert order.subscription.status == "suspended"


def test_licences_past_their_window_are_suspended(bench: Bench, customer: Customer) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES, age_days=20)

    bench.run(customer.tenant_id)

    assert [call.code for call in bench.calls("PATCH")] == [900117, None]
    assert order.subscription is not None
    assert order.subscription.status == "suspended"
    assert customer.deleted


def test_suspended_licences_that_block_end_as_stuck_with_the_reason(
    bench: Bench, customer: Customer
) -> None:
    bench.simulator.behaviour = replace(bench.simulator.behaviour, suspended_nce_blocks=True)
    customer.add_order(ProductKind.NCE_LICENCES, age_days=20)

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "900117" in record.reason


@pytest.mark.parametrize("kind", [ProductKind.PERPETUAL_SOFTWARE, ProductKind.RESERVED_INSTANCE])
def test_an_order_over_60_days_gets_one_delete_and_ends_as_stuck(
    bench: Bench, customer: Customer, kind: ProductKind
) -> None:
    order = customer.add_order(kind, age_days=61)

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert order.id in record.reason
    assert "older than 60 days" in record.reason
    assert record.remedy
    assert [call.method for call in bench.writes()] == ["DELETE"]


def test_a_savings_plan_gets_one_delete_and_ends_as_stuck(bench: Bench, customer: Customer) -> None:
    order = customer.add_order(ProductKind.SAVINGS_PLAN)
    assert order.subscription is not None

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert f"{order.subscription.id} (no API call cancels a savings plan" in record.reason
    assert record.remedy.startswith("No API call cancels a savings plan. Cancel it in the Azure")
    assert [call.method for call in bench.writes()] == ["DELETE"]
    assert not bench.calls("GET", "/azureEntitlements")


def test_a_customer_whose_savings_plan_does_not_block_is_deleted(
    bench: Bench, customer: Customer
) -> None:
    bench.simulator.behaviour = Behaviour(active_subscription_blocks=False)
    customer.add_order(ProductKind.SAVINGS_PLAN)

    bench.run(customer.tenant_id)

    assert customer.deleted
    assert [call.method for call in bench.writes()] == ["DELETE"]


def test_what_else_a_customer_with_a_savings_plan_holds_is_cancelled(
    bench: Bench, customer: Customer
) -> None:
    customer.add_order(ProductKind.SAVINGS_PLAN)
    plan = customer.add_order(ProductKind.AZURE_PLAN, azure_subscriptions=1)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=70)

    record = bench.run(customer.tenant_id)

    assert plan.subscription is not None
    assert plan.subscription.status == "suspended"
    assert record.state is State.STUCK
    assert "A savings plan can only be cancelled in the Azure portal" in record.remedy


def test_a_savings_plan_without_a_subscription_ends_as_stuck_with_partner_centers_reason(
    bench: Bench, customer: Customer
) -> None:
    bench.simulator.behaviour = Behaviour(savings_plan_subscriptions=False)
    customer.add_order(ProductKind.SAVINGS_PLAN)

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "Azure portal" in record.reason


def test_the_young_orders_are_cancelled_even_where_an_old_one_stays(
    bench: Bench, customer: Customer
) -> None:
    young = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=90)

    bench.run(customer.tenant_id)

    assert young.status == "cancelled"
    assert bench.record(customer.tenant_id).state is State.STUCK


def test_each_order_is_patched_once_however_many_entitlements_name_it(
    simulator: Simulator, bench: Bench, customer: Customer
) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, lines=4)

    bench.run(customer.tenant_id)

    assert len(bench.calls("GET", "/entitlements")) == 1
    assert len(bench.calls("PATCH", "/orders/")) == 1
    assert customer.deleted


def test_an_order_that_only_an_entitlement_names_is_cancelled(
    simulator: Simulator, bench: Bench, customer: Customer
) -> None:
    simulator.behaviour = replace(
        simulator.behaviour, app_only_entitlements=True, order_list_lag_seconds=900
    )
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=0)

    bench.run(customer.tenant_id)

    assert [call.status for call in bench.calls("DELETE")] == [204]


def test_an_order_that_shows_up_late_is_seen_after_a_rejected_delete(
    simulator: Simulator, bench: Bench, customer: Customer
) -> None:
    simulator.behaviour = replace(simulator.behaviour, order_list_lag_seconds=100)
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=0)

    bench.run(customer.tenant_id)

    statuses = [call.status for call in bench.calls("DELETE")]
    assert statuses[0] == 400
    assert statuses[-1] == 204
    assert customer.deleted


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"drop": True}], ids=str)
def test_a_look_that_fails_after_a_rejected_delete_is_made_before_the_next_one(
    simulator: Simulator, bench: Bench, customer: Customer, fault: dict[str, Any]
) -> None:
    """A purchase that nothing cancels is left, and a late order may be what blocks the DELETE."""
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=70)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    urls = f"/v1/customers/{customer.tenant_id}/subscriptions"
    simulator.add_fault(Fault(method="GET", path=urls, times=None, **fault))

    bench.pump(passes=1)

    assert [call.status for call in bench.calls("DELETE")] == [400]
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert bench.waiting(CUSTOMERS_READY) == 0
    assert not bench.errors


@pytest.mark.parametrize("follows", [False, True])
def test_an_order_counts_as_ended_once_its_subscriptions_are(
    simulator: Simulator, bench: Bench, customer: Customer, follows: bool
) -> None:
    simulator.behaviour = replace(simulator.behaviour, order_cancelled_with_subscriptions=follows)
    customer.add_order(ProductKind.NCE_LICENCES)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_polls=2)

    bench.run(customer.tenant_id)

    assert customer.deleted


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(subscription_patch_accepted=True),
        Behaviour(azure_cancel_status=202),
        Behaviour(byte_order_mark=False),
        Behaviour(active_subscription_blocks=False),
        Behaviour(next_link_version=True, customers_page_size=2),
        Behaviour(legacy_etags=False),
    ],
    ids=str,
)
def test_what_microsoft_leaves_open_does_not_matter(
    simulator: Simulator, bench: Bench, customer: Customer, behaviour: Behaviour
) -> None:
    simulator.behaviour = behaviour
    for number in range(5):
        simulator.sandbox.add_customer(f"other{number}.onmicrosoft.com")
    for kind in (ProductKind.AZURE_PLAN, ProductKind.NCE_LICENCES, ProductKind.LEGACY_LICENCES):
        customer.add_order(kind)

    bench.run(customer.tenant_id)

    assert customer.deleted


@pytest.mark.parametrize("kind", DELETABLE)
@pytest.mark.parametrize("accepted", [False, True], ids=["at once", "in progress"])
def test_orders_that_are_named_by_their_alternate_id_are_the_same_orders(
    simulator: Simulator, bench: Bench, customer: Customer, kind: ProductKind, accepted: bool
) -> None:
    simulator.behaviour = Behaviour(
        references_by_alternate_id=True,
        subscription_patch_accepted=accepted,
        app_only_entitlements=True,
    )
    order = customer.add_order(kind, cancel_after_seconds=40 if accepted else 0)

    bench.run(customer.tenant_id)

    assert customer.deleted
    patched = [call.path.rsplit("/", 1)[-1] for call in bench.calls("PATCH", "/orders/")]
    by_order = kind not in {
        ProductKind.NCE_LICENCES,
        ProductKind.MARKETPLACE_SAAS,
        ProductKind.AZURE_PLAN,
    }
    assert patched == [order.id] * by_order


def test_an_order_that_is_listed_late_is_the_one_that_its_entitlement_named(
    simulator: Simulator, bench: Bench, customer: Customer
) -> None:
    simulator.behaviour = Behaviour(
        references_by_alternate_id=True, app_only_entitlements=True, order_list_lag_seconds=100
    )
    order = customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION, age_days=0)

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert [each.id for each in record.purchases if each.kind is PurchaseKind.ORDER] == [order.id]


def test_an_order_that_shows_up_between_two_checks_is_read_with_its_subscriptions(
    bench: Bench, customer: Customer
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=100)
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)
    customer.add_order(ProductKind.NCE_LICENCES)

    bench.pump()

    assert customer.deleted
    assert [call.status for call in bench.calls("DELETE")] == [204]
    assert 800061 not in [call.code for call in bench.calls("PATCH")]


def test_the_subscription_of_a_cancelled_order_is_not_cancelled_again(
    bench: Bench, customer: Customer
) -> None:
    customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION)

    bench.run(customer.tenant_id)

    assert not bench.calls("PATCH", "/subscriptions/")
    assert len(bench.calls("PATCH", "/orders/")) == 1


def test_an_order_with_an_unset_date_is_not_too_old_to_cancel(
    bench: Bench, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    listed = {"id": order.id, "status": "completed", "creationDate": "0001-01-01T00:00:00Z"}
    bench.simulator.add_fault(Fault(path="*/orders", status=200, body={"items": [listed]}))

    bench.run(customer.tenant_id)

    assert order.status == "cancelled"
    assert customer.deleted
