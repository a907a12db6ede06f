"""What a customer ever bought, as tipsweep remembers it between two looks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.partner_center.resources import (
    CANCELLED,
    AzureSubscription,
    Entitlement,
    Order,
    Subscription,
)

UNLISTED: Final = "unlisted"
_IN_PROGRESS: Final = "pending"


class PurchaseKind(StrEnum):
    """The three things that can be cancelled."""

    ORDER = "order"
    SUBSCRIPTION = "subscription"
    AZURE_SUBSCRIPTION = "azure_subscription"


class Product(StrEnum):
    """The product kinds that Microsoft's cancellation table tells apart."""

    NCE = "new commerce licences"
    SAAS = "marketplace SaaS"
    SOFTWARE = "software subscription"
    AZURE_PLAN = "Azure plan"
    LEGACY = "legacy licences"
    OTHER = "unknown product"


class Action(StrEnum):
    """The calls that cancel something or make it cancellable."""

    CANCEL_ORDER = "cancel_order"
    DELETE_SUBSCRIPTION = "delete_subscription"
    SUSPEND_SUBSCRIPTION = "suspend_subscription"
    ACTIVATE_SUBSCRIPTION = "activate_subscription"
    CANCEL_AZURE_SUBSCRIPTION = "cancel_azure_subscription"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order, subscription or Azure subscription, with what was tried on it.

    `parent` is the order of a subscription or the plan of an Azure subscription. `sent` holds
    the moves that Partner Center accepted, `refused` those that it never will; `reason` is its
    word on the last refusal.
    """

    kind: PurchaseKind
    id: str
    status: str
    parent: str = ""
    product: Product | None = None
    created: datetime | None = None
    name: str = ""
    sent: frozenset[Action] = frozenset()
    refused: frozenset[Action] = frozenset()
    reason: str = ""
    needs_activation: bool = False

    @property
    def key(self) -> tuple[PurchaseKind, str]:
        """What tells this purchase from all others of the customer."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at a customer found; None where a collection was not read.

    `azure_subscriptions` maps each plan that was read to what it holds.
    """

    orders: Collection[Order] | None = None
    subscriptions: Collection[Subscription] | None = None
    entitlements: Collection[Entitlement] = ()
    azure_subscriptions: Collection[AzureSubscription] | None = None


def merge_snapshot(look: Snapshot, memory: Collection[Purchase] = ()) -> tuple[Purchase, ...]:
    """Return every purchase: fresh where the look has read it, as remembered elsewhere."""
    fresh = {purchase.key: purchase for purchase in _found(look)}
    known = {purchase.key: purchase for purchase in memory}
    read = _kinds_read(look)
    kept = {
        key: purchase
        for key, purchase in known.items()
        if purchase.kind not in read or purchase.status == UNLISTED
    }
    merged = kept | {
        key: _carried_on(found, known[key], look) if key in known else found
        for key, found in fresh.items()
    }
    purchases = tuple(merged.values())
    if look.subscriptions is not None:
        return purchases
    return follow_orders(purchases, _cancelled_since(fresh.values(), known))


def follow_orders(
    purchases: Iterable[Purchase], cancelled: Collection[str]
) -> tuple[Purchase, ...]:
    """Count the subscriptions of orders as cancelled that were cancelled after they were read."""
    return tuple(
        replace(purchase, status=CANCELLED)
        if purchase.kind is PurchaseKind.SUBSCRIPTION and purchase.parent in cancelled
        else purchase
        for purchase in purchases
    )


def _cancelled_since(
    fresh: Iterable[Purchase], known: Mapping[tuple[PurchaseKind, str], Purchase]
) -> set[str]:
    return {
        order.id
        for order in fresh
        if order.kind is PurchaseKind.ORDER
        and order.status == CANCELLED
        and order.key in known
        and known[order.key].status != CANCELLED
    }


def forget_sent(purchases: Iterable[Purchase]) -> tuple[Purchase, ...]:
    """Let the moves be sent again that do not even read as in progress."""
    return tuple(
        purchase if purchase.status == _IN_PROGRESS else replace(purchase, sent=frozenset())
        for purchase in purchases
    )


def product_of(subscription: Subscription) -> Product:
    """Tell the product kind; the IDs of marketplace products are unsure, so both signs count."""
    product_type = subscription.product_type.lower()
    if not subscription.microsoft_product or "saas" in product_type:
        return Product.SAAS
    if not product_type:
        return Product.LEGACY
    return _PRODUCT_TYPES.get(product_type, Product.OTHER)


_PRODUCT_TYPES: Final = {
    "onlineservicesnce": Product.NCE,
    "software": Product.SOFTWARE,
    "azure": Product.AZURE_PLAN,
}


def _found(look: Snapshot) -> Iterable[Purchase]:
    aliases = {order.alternate_id: order.id for order in look.orders or () if order.alternate_id}
    for entitlement in look.entitlements:
        order_id = aliases.get(entitlement.order_id, entitlement.order_id)
        if order_id and entitlement.quantity:
            yield Purchase(
                PurchaseKind.ORDER, order_id, UNLISTED, name=entitlement.entitlement_type
            )
    for order in look.orders or ():
        yield Purchase(
            PurchaseKind.ORDER, order.id, order.status, created=order.created, name=order.name
        )
    for subscription in look.subscriptions or ():
        yield Purchase(
            PurchaseKind.SUBSCRIPTION,
            subscription.id,
            subscription.status,
            parent=aliases.get(subscription.order_id, subscription.order_id),
            product=product_of(subscription),
            created=subscription.created,
            name=subscription.name,
        )
    for azure in look.azure_subscriptions or ():
        yield Purchase(
            PurchaseKind.AZURE_SUBSCRIPTION,
            azure.id,
            azure.status,
            parent=azure.plan_id,
            name=azure.name,
        )


def _kinds_read(look: Snapshot) -> set[PurchaseKind]:
    collections = {
        PurchaseKind.ORDER: look.orders,
        PurchaseKind.SUBSCRIPTION: look.subscriptions,
        PurchaseKind.AZURE_SUBSCRIPTION: look.azure_subscriptions,
    }
    return {kind for kind, collection in collections.items() if collection is not None}


def _carried_on(fresh: Purchase, remembered: Purchase, look: Snapshot) -> Purchase:
    """Return what was read with what is remembered; aliases are known only where orders are."""
    return replace(
        fresh,
        parent=fresh.parent if look.orders is not None else remembered.parent,
        sent=remembered.sent,
        refused=remembered.refused,
        reason=remembered.reason,
        needs_activation=remembered.needs_activation,
    )
