"""Looks at a customer in Partner Center, and reads no more than is still open."""

from collections.abc import Collection, Iterable
from datetime import datetime

from shared.deletion.plan import Plan, make_plan
from shared.deletion.purchases import (
    Look,
    Product,
    Purchase,
    PurchaseKind,
    product_of,
)
from shared.partner_center.client import PartnerCenter
from shared.partner_center.resources import CANCELLED, AzureSubscription
from shared.tenants import TenantId

_PLAN_ENDED = frozenset({"deleted", "expired", "disabled", "suspended"})


def look_at(
    client: PartnerCenter, tenant: TenantId, memory: Collection[Purchase], now: datetime
) -> Look:
    """Look at what the memory says is unfinished, or at everything.

    Everything is read where nothing is remembered as unfinished, and where an order has shown up
    since, because its subscriptions decide how it is cancelled.
    """
    wanted = _unfinished_kinds(make_plan(tuple(memory), now))
    if not wanted:
        return _full_look(client, tenant)
    look = _partial_look(client, tenant, wanted, memory)
    return _full_look(client, tenant) if _has_new_order(look, memory) else look


def _full_look(client: PartnerCenter, tenant: TenantId) -> Look:
    orders = client.orders(tenant)
    subscriptions = client.subscriptions(tenant)
    plans = [
        each.id
        for each in subscriptions
        if product_of(each) is Product.AZURE_PLAN and each.status not in _PLAN_ENDED
    ]
    return Look(
        orders=orders,
        subscriptions=subscriptions,
        entitlements=client.entitlements(tenant),
        azure_subscriptions=_azure_subscriptions(client, tenant, plans),
    )


def _partial_look(
    client: PartnerCenter,
    tenant: TenantId,
    wanted: Collection[PurchaseKind],
    memory: Collection[Purchase],
) -> Look:
    plans = sorted({p.parent for p in memory if p.kind is PurchaseKind.AZURE_SUBSCRIPTION})
    return Look(
        orders=client.orders(tenant) if PurchaseKind.ORDER in wanted else None,
        subscriptions=client.subscriptions(tenant) if PurchaseKind.SUBSCRIPTION in wanted else None,
        azure_subscriptions=_azure_subscriptions(client, tenant, plans)
        if PurchaseKind.AZURE_SUBSCRIPTION in wanted
        else None,
    )


def _azure_subscriptions(
    client: PartnerCenter, tenant: TenantId, plans: Iterable[str]
) -> list[AzureSubscription]:
    return [azure for plan in plans for azure in client.azure_subscriptions(tenant, plan)]


def _unfinished_kinds(plan: Plan) -> set[PurchaseKind]:
    return {entry.purchase.kind for entry in (*plan.open, *plan.waiting)}


def _has_new_order(look: Look, memory: Collection[Purchase]) -> bool:
    known = {purchase.id for purchase in memory if purchase.kind is PurchaseKind.ORDER}
    return any(o.id not in known and o.status != CANCELLED for o in look.orders or ())
