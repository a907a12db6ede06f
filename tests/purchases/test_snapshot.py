"""What is remembered between two snapshots."""

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from shared.errors import TipsweepError
from shared.partner_center.client import PartnerCenter
from shared.partner_center.resources import (
    AzureSubscription,
    Entitlement,
    Order,
    Subscription,
    subscription,
)
from shared.purchases.cancellation import Sender, carry_out
from shared.purchases.plan import Plan, make_plan
from shared.purchases.products import Action, Product, product_of
from shared.purchases.purchase import UNLISTED, Purchase, PurchaseKind, follow_orders, forget_sent
from shared.purchases.snapshot import (
    PurchaseReader,
    Snapshot,
    merge_snapshot,
    products_of,
    take_snapshot,
)
from shared.tenants import TenantId

ORDER = Purchase(PurchaseKind.ORDER, "o", "completed", sent=frozenset({Action.CANCEL_ORDER}))
SUBSCRIPTION = Purchase(PurchaseKind.SUBSCRIPTION, "s", "active", "o", Product.SOFTWARE)
CANCELLED = Order("o", "cancelled")


def statuses(purchases: tuple[Purchase, ...]) -> dict[str, str]:
    return {purchase.id: purchase.status for purchase in purchases}


def test_what_was_sent_is_remembered_and_what_was_read_is_fresh() -> None:
    (order,) = merge_snapshot(Snapshot(orders=[Order("o", "pending")]), [ORDER])

    assert order.status == "pending"
    assert order.sent == {Action.CANCEL_ORDER}


def test_an_order_that_is_no_longer_listed_is_forgotten() -> None:
    assert merge_snapshot(Snapshot(orders=[]), [ORDER]) == ()


def test_an_order_that_only_an_entitlement_named_is_kept() -> None:
    unlisted = replace(ORDER, status=UNLISTED)

    assert merge_snapshot(Snapshot(orders=[]), [unlisted]) == (unlisted,)


def test_an_order_that_is_listed_replaces_what_an_entitlement_named_by_its_alternate_id() -> None:
    unlisted = replace(ORDER, id="SHORT", status=UNLISTED)
    order = Order("long", "completed", alternate_id="short")

    assert statuses(merge_snapshot(Snapshot(orders=[order]), [unlisted])) == {"long": "completed"}


def test_a_subscription_that_was_not_read_follows_its_order() -> None:
    found = merge_snapshot(Snapshot(orders=[CANCELLED]), [ORDER, SUBSCRIPTION])

    assert statuses(found) == {"o": "cancelled", "s": "cancelled"}


def test_a_subscription_that_was_read_keeps_its_status() -> None:
    fresh = Subscription("s", "o", "active", product_type="Software")

    found = merge_snapshot(
        Snapshot(orders=[CANCELLED], subscriptions=[fresh], products=products_of([fresh])),
        [ORDER, SUBSCRIPTION],
    )

    assert statuses(found) == {"o": "cancelled", "s": "active"}


def test_a_subscription_read_after_its_order_was_cancelled_stays_as_it_was_read() -> None:
    cancelled = replace(ORDER, status="cancelled")

    found = merge_snapshot(Snapshot(orders=[CANCELLED]), [cancelled, SUBSCRIPTION])

    assert statuses(found)["s"] == "active"


def test_only_the_subscriptions_of_the_cancelled_order_follow_it() -> None:
    other = replace(SUBSCRIPTION, id="t", parent="p")

    assert statuses(follow_orders([SUBSCRIPTION, other], {"o"})) == {
        "s": "cancelled",
        "t": "active",
    }


def test_entitlements_that_hold_nothing_name_no_order() -> None:
    empty = Snapshot(orders=[], entitlements=[Entitlement("o", "software", 0)])

    assert merge_snapshot(empty) == ()


def test_entitlements_of_an_unknown_quantity_name_an_order() -> None:
    unknown = Snapshot(orders=[], entitlements=[Entitlement("o", "software", None)])

    assert statuses(merge_snapshot(unknown)) == {"o": "unlisted"}


def test_an_alternate_id_is_remembered_if_orders_are_not_read() -> None:
    order = Order("long", "completed", alternate_id="short")
    fresh = Subscription("s", "short", "active", product_type="OnlineServicesNCE")
    first = merge_snapshot(
        Snapshot(orders=[order], subscriptions=[fresh], products=products_of([fresh]))
    )

    second = merge_snapshot(Snapshot(subscriptions=[fresh], products=products_of([fresh])), first)

    assert {purchase.parent for purchase in second if purchase.id == "s"} == {"long"}


def test_what_is_in_progress_is_not_sent_again() -> None:
    pending = replace(ORDER, id="p", status="pending")

    assert [bool(each.sent) for each in forget_sent([ORDER, pending])] == [False, True]


def test_products_are_recognised_by_type_and_publisher() -> None:
    def kind(product_type: str, *, microsoft: bool = True) -> Product:
        plain = Subscription("s", "o", "active", product_type=product_type)
        return product_of(replace(plain, microsoft_product=microsoft))

    assert kind("OnlineServicesNCE") is Product.NCE
    assert kind("Software") is Product.SOFTWARE
    assert kind("Azure") is Product.AZURE_PLAN
    assert kind("") is Product.LEGACY
    assert kind("SaaS") is Product.SAAS
    assert kind("", microsoft=False) is Product.SAAS
    assert kind("Quantum") is Product.OTHER
    assert kind("SavingsPlan") is Product.SAVINGS_PLAN
    assert kind("AzureSavingsPlan") is Product.SAVINGS_PLAN


@pytest.mark.parametrize(
    ("subtype", "product"),
    [
        ({}, Product.AZURE_PLAN),
        ({"subType": None}, Product.AZURE_PLAN),
        ({"subType": {"id": "", "displayName": ""}}, Product.AZURE_PLAN),
        ({"subType": {"id": "AzurePlan"}}, Product.AZURE_PLAN),
        ({"subType": {"id": "Azure plan"}}, Product.AZURE_PLAN),
        ({"subType": {"id": "SavingsPlan", "displayName": "SavingsPlan"}}, Product.SAVINGS_PLAN),
        ({"subType": {"id": "savings plan"}}, Product.SAVINGS_PLAN),
        ({"subType": {"id": "SomethingElse"}}, Product.SAVINGS_PLAN),
        ({"subType": {"displayName": "SavingsPlan"}}, Product.SAVINGS_PLAN),
        ({"subType": {"id": "", "displayName": "Azure savings plan"}}, Product.SAVINGS_PLAN),
        ({"subType": {"displayName": "Azure plan"}}, Product.AZURE_PLAN),
        ({"SubType": {"Id": "SavingsPlan"}}, Product.SAVINGS_PLAN),
        ({"subtype": {"id": "", "displayname": "SavingsPlan"}}, Product.SAVINGS_PLAN),
        ({"subType": None, "SUBTYPE": {"ID": "SavingsPlan"}}, Product.SAVINGS_PLAN),
        ({"subtype": {"id": "AzurePlan"}}, Product.AZURE_PLAN),
    ],
)
@pytest.mark.parametrize("name", ["Azure", "azure"])
def test_a_savings_plan_is_told_from_an_azure_plan_by_its_subtype(
    name: str, subtype: dict[str, Any], product: Product
) -> None:
    body = {"id": "s", "status": "active", "productType": {"id": name, **subtype}}

    assert product_of(subscription(body)) is product


def test_a_subtype_says_nothing_about_other_products() -> None:
    product_type = {"id": "OnlineServicesNCE", "subType": {"id": "SavingsPlan"}}
    body = {"id": "s", "status": "active", "productType": product_type}

    assert product_of(subscription(body)) is Product.NCE


ROOT = Path(__file__).parents[2]
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
HELD = Subscription("s", "o", "active", product_type="Software")
NOW = datetime(2026, 11, 28, tzinfo=UTC)


class TooMany(TipsweepError):
    """The rule of these tests forbids to go on."""


@dataclass
class Holding:
    """A customer with one subscription, and the writes that were sent to it."""

    writes: list[str] = field(default_factory=list)
    held: Subscription = HELD
    again: Sequence[Subscription] = ()

    def orders(self, _tenant: str) -> list[Order]:
        return [Order("o", "completed")]

    def subscriptions(self, _tenant: str) -> list[Subscription]:
        return [self.held, *self.again]

    def subscription(self, _tenant: str, _id: str) -> Subscription:
        return self.held

    def azure_subscriptions(self, _tenant: str, _plan: str) -> list[AzureSubscription]:
        return []

    def entitlements(self, _tenant: str) -> list[Entitlement]:
        return []

    def change_subscription(self, _tenant: str, _held: Subscription, status: str) -> Subscription:
        self.writes.append(status)
        return self.held


def forbid(found: Collection[Subscription]) -> None:
    if found:
        raise TooMany


def reader(holding: Holding) -> PurchaseReader:
    return PurchaseReader(cast("PartnerCenter", holding), TENANT, forbid)


@pytest.mark.parametrize("memory", [(), (SUBSCRIPTION,), (ORDER,)], ids=["all", "part", "order"])
def test_no_snapshot_holds_subscriptions_that_the_rule_forbids(memory: Sequence[Purchase]) -> None:
    remembered = make_plan(memory, NOW)

    if memory == (ORDER,):
        assert take_snapshot(reader(Holding()), remembered).subscriptions is None
    else:
        with pytest.raises(TooMany):
            take_snapshot(reader(Holding()), remembered)


def test_a_subscription_that_is_read_to_be_changed_passes_the_rule_too() -> None:
    holding = Holding()
    sender = Sender(reader(holding), {}, lambda: NOW)

    result = carry_out(sender, [SUBSCRIPTION], NOW)

    assert isinstance(result.interruption, TooMany)
    assert not holding.writes


def test_only_the_reader_with_the_rule_reads_subscriptions() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("shared", "functions")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"subscriptions", "subscription"}
        and "client" in ast.unparse(node.func.value)
    }

    assert found == {"shared/purchases/snapshot.py"}


@pytest.mark.parametrize(
    ("statuses", "kept"),
    [
        (("active", "deleted"), "active"),
        (("deleted", "active"), "active"),
        (("active", "unread"), "unread"),
        (("unread", "active"), "unread"),
        (("deleted", "expired"), "expired"),
    ],
)
def test_a_subscription_that_is_listed_twice_counts_as_ended_if_both_rows_say_so(
    statuses: tuple[str, str], kept: str
) -> None:
    first, second = (replace(HELD, status=status) for status in statuses)
    holding = Holding(held=first, again=[replace(second, id="S")])
    seen: list[Subscription] = []
    reads = PurchaseReader(cast("PartnerCenter", holding), TENANT, seen.extend)

    snapshot = take_snapshot(reads, Plan(()))

    assert [each.status for each in snapshot.subscriptions or ()] == [kept]
    assert len(seen) == len(statuses)
