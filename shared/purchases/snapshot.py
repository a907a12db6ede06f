"""Looks at a customer in Partner Center, and reads no more than is still open."""

from collections.abc import Collection, Iterable
from datetime import datetime

from shared.partner_center.client import PartnerCenter
from shared.partner_center.resources import CANCELLED, AzureSubscription
from shared.purchases.plan import Plan, make_plan
from shared.purchases.purchase import (
    Product,
    Purchase,
    PurchaseKind,
    Snapshot,
    product_of,
)
from shared.tenants import TenantId

_PLAN_ENDED = frozenset({"deleted", "expired", "disabled", "suspended"})


def take_snapshot(
    client: PartnerCenter, tenant: TenantId, memory: Collection[Purchase], now: datetime
) -> Snapshot:
    """Look at what the memory says is unfinished, or at everything.

    Everything is read where nothing is remembered as unfinished, and where an order has shown up
    since, because its subscriptions decide how it is cancelled.
    """
    plan = make_plan(tuple(memory), now)
    if plan.clear:
        return _full_snapshot(client, tenant)
    look = _partial_snapshot(client, tenant, plan)
    return _full_snapshot(client, tenant) if _has_new_order(look, memory) else look


def _full_snapshot(client: PartnerCenter, tenant: TenantId) -> Snapshot:
    orders = client.orders(tenant)
    subscriptions = client.subscriptions(tenant)
    plans = [
        each.id
        for each in subscriptions
        if product_of(each) is Product.AZURE_PLAN and each.status not in _PLAN_ENDED
    ]
    return Snapshot(
        orders=orders,
        subscriptions=subscriptions,
        entitlements=client.entitlements(tenant),
        azure_subscriptions=_azure_subscriptions(client, tenant, plans),
    )


def _partial_snapshot(client: PartnerCenter, tenant: TenantId, plan: Plan) -> Snapshot:
    kinds = {entry.purchase.kind for entry in (*plan.open, *plan.waiting)}
    azure_plans = _azure_plans(plan)
    return Snapshot(
        orders=client.orders(tenant) if PurchaseKind.ORDER in kinds else None,
        subscriptions=client.subscriptions(tenant) if PurchaseKind.SUBSCRIPTION in kinds else None,
        azure_subscriptions=_azure_subscriptions(client, tenant, azure_plans)
        if azure_plans
        else None,
    )


def _azure_plans(plan: Plan) -> list[str]:
    """Return the Azure plans to look into: an open one may hold more than was listed before."""
    holding = {
        entry.purchase.parent
        for entry in (*plan.open, *plan.waiting)
        if entry.purchase.kind is PurchaseKind.AZURE_SUBSCRIPTION
    }
    still_open = {
        entry.purchase.id for entry in plan.open if entry.purchase.product is Product.AZURE_PLAN
    }
    return sorted(holding | still_open)


def _azure_subscriptions(
    client: PartnerCenter, tenant: TenantId, plans: Iterable[str]
) -> list[AzureSubscription]:
    return [azure for plan in plans for azure in client.azure_subscriptions(tenant, plan)]


def _has_new_order(look: Snapshot, memory: Collection[Purchase]) -> bool:
    known = {purchase.id for purchase in memory if purchase.kind is PurchaseKind.ORDER}
    return any(o.id not in known and o.status != CANCELLED for o in look.orders or ())
