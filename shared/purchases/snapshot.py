"""Reads what a customer holds in Partner Center, and merges it with what is remembered."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    MORE_THAN_ONE_PURCHASE,
    ErrorStatus,
    NoResponse,
    UnexpectedResponse,
)
from shared.partner_center.members import fold
from shared.partner_center.resources import (
    UNREAD,
    UNREADABLE,
    AzureSubscription,
    Entitlement,
    Order,
    Status,
    Subscription,
)
from shared.purchases.plan import Plan
from shared.purchases.products import Product, product_of
from shared.purchases.purchase import (
    ENDED,
    TROUBLE_CHARACTERS,
    UNLISTED,
    Purchase,
    PurchaseKind,
    follow_orders,
)
from shared.tenants import TenantId

# A cancelled plan is read all the same: no page says what becomes of its Azure subscriptions.
_EMPTY_PLAN: Final = (ENDED | {Status.SUSPENDED}) - {Status.CANCELLED}

# Looks in a row that wait for the entitlements.
ENTITLEMENT_TRIES: Final = 3
_PARENT_KIND: Final = {
    PurchaseKind.SUBSCRIPTION: PurchaseKind.ORDER,
    PurchaseKind.AZURE_SUBSCRIPTION: PurchaseKind.SUBSCRIPTION,
}

Products = Mapping[str, Product]
# What every subscription must pass as it is read, before anything is decided from it.
SubscriptionRule = Callable[[Collection[Subscription]], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read of a customer at one time; None for a collection that was not read.

    `products` maps the ID of each subscription to its product kind. `unread` says, by the ID of an
    Azure plan, why its Azure subscriptions could not be read; `entitlements_unread` says why some
    or all entitlements could not be read, `left_out` why the deletion goes on without them.
    """

    orders: Collection[Order] | None = None
    subscriptions: Collection[Subscription] | None = None
    entitlements: Collection[Entitlement] = ()
    entitlements_unread: str = ""
    left_out: str = ""
    azure_subscriptions: Collection[AzureSubscription] | None = None
    products: Products = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def subscriptions_by_id(self) -> dict[str, Subscription]:
        """Return the subscriptions that were read, by their folded ID."""
        return {fold(each.id): each for each in self.subscriptions or ()}


@dataclass(frozen=True, slots=True)
class PurchaseReader:
    """Reads the purchases of one customer; its subscriptions pass `rule` or end the read.

    `rule` raises what forbids to go on with them.
    """

    client: PartnerCenter
    tenant: TenantId
    rule: SubscriptionRule

    def subscriptions(self) -> list[Subscription]:
        """Read all subscriptions; one that is listed twice counts as ended if both rows say so."""
        found = self.client.subscriptions(self.tenant)
        self.rule(found)
        return _once(found)

    def subscription(self, subscription_id: str) -> Subscription:
        """Read one subscription."""
        found = self.client.subscription(self.tenant, subscription_id)
        self.rule([found])
        return found


def _once(rows: Iterable[Subscription]) -> list[Subscription]:
    found: dict[str, Subscription] = {}
    for row in rows:
        known = found.get(fold(row.id))
        if known is None or known.status in ENDED or row.status == UNREAD:
            found[fold(row.id)] = row
    return list(found.values())


def take_snapshot(reader: PurchaseReader, remembered: Plan, attempt: int = 0) -> Snapshot:
    """Read what the remembered plan says is unfinished, or everything.

    `attempt` counts the looks at this customer that brought nothing forward. Raises what the
    reader's rule raises.

    Everything is read if the plan is clear, because it may also be empty; if a new order shows up,
    because its subscriptions decide how it is cancelled; and if something could not be read,
    because it may be gone, or of any kind.
    """
    if remembered.clear or _has_unreadable(remembered):
        return _full_snapshot(reader, attempt)
    snapshot = _partial_snapshot(reader, remembered)
    new_order = _has_new_order(snapshot, remembered)
    return _full_snapshot(reader, attempt) if new_order else snapshot


def _full_snapshot(reader: PurchaseReader, attempt: int) -> Snapshot:
    client, tenant = reader.client, reader.tenant
    orders = client.orders(tenant)
    subscriptions = reader.subscriptions()
    products = products_of(subscriptions)
    plans = [
        each.id
        for each in subscriptions
        if each.status not in _EMPTY_PLAN and products[each.id] is Product.AZURE_PLAN
    ]
    azure, unread = _azure_subscriptions(client, tenant, plans)
    snapshot = Snapshot(
        orders=orders,
        subscriptions=subscriptions,
        azure_subscriptions=azure,
        products=products,
        unread=unread,
    )
    return _with_entitlements(snapshot, client, tenant, attempt)


def _with_entitlements(
    snapshot: Snapshot, client: PartnerCenter, tenant: TenantId, attempt: int
) -> Snapshot:
    """Add the entitlements; what cannot be read of them keeps nothing else from being cancelled.

    They only show orders that are not listed yet. An app may never be allowed to read them, and
    Partner Center then may say 500 for ever, so the deletion goes on without them after some looks:
    an order that is missed blocks the DELETE, and then everything is read again.
    """
    try:
        entitlements = client.entitlements(tenant)
        error = next((each.unread for each in entitlements if each.unread), "")
    except MORE_THAN_ONE_PURCHASE:
        raise
    except (ErrorStatus, NoResponse, UnexpectedResponse) as failure:
        entitlements, error = [], str(failure)
    snapshot = replace(snapshot, entitlements=entitlements)
    if not error or attempt < ENTITLEMENT_TRIES:
        return replace(snapshot, entitlements_unread=error)
    emit(Event.ENTITLEMENTS_UNREAD, tenant=tenant, reason=error)
    return replace(snapshot, left_out=f"goes on without what cannot be read: {error}")


def products_of(subscriptions: Iterable[Subscription]) -> Products:
    """Return the product kind of each subscription, by its ID."""
    return {each.id: product_of(each) for each in subscriptions}


def _partial_snapshot(reader: PurchaseReader, remembered: Plan) -> Snapshot:
    client, tenant = reader.client, reader.tenant
    kinds = {entry.purchase.kind for entry in remembered.unfinished}
    plans = _azure_plans(remembered)
    orders = client.orders(tenant) if PurchaseKind.ORDER in kinds else None
    subscriptions = reader.subscriptions() if PurchaseKind.SUBSCRIPTION in kinds else None
    azure, unread = _azure_subscriptions(client, tenant, plans)
    return Snapshot(
        orders=orders,
        subscriptions=subscriptions,
        azure_subscriptions=azure if plans else None,
        products=products_of(subscriptions or ()),
        unread=unread,
    )


def _azure_plans(remembered: Plan) -> list[str]:
    """Return the Azure plans to read: an open one may hold more than was listed before."""
    holding = {
        entry.purchase.parent
        for entry in remembered.unfinished
        if entry.purchase.kind is PurchaseKind.AZURE_SUBSCRIPTION
    }
    still_open = {
        entry.purchase.id
        for entry in remembered.open
        if entry.purchase.product is Product.AZURE_PLAN
    }
    return sorted(holding | still_open)


def _azure_subscriptions(
    client: PartnerCenter, tenant: TenantId, plans: Iterable[str]
) -> tuple[list[AzureSubscription], dict[str, str]]:
    """Return the Azure subscriptions of the plans, and why those of a plan could not be read."""
    found: list[AzureSubscription] = []
    unread: dict[str, str] = {}
    for plan in plans:
        try:
            found += client.azure_subscriptions(tenant, plan)
        except MORE_THAN_ONE_PURCHASE:
            raise
        except (ErrorStatus, UnexpectedResponse) as error:
            unread[plan] = str(error)
    return found, unread


def _has_unreadable(remembered: Plan) -> bool:
    return any(
        entry.purchase.status == UNREAD
        or (
            entry.purchase.kind is PurchaseKind.AZURE_SUBSCRIPTION
            and entry.purchase.status == UNREADABLE
        )
        for entry in remembered.entries
    )


def _has_new_order(snapshot: Snapshot, remembered: Plan) -> bool:
    known = {
        fold(entry.purchase.id)
        for entry in remembered.entries
        if entry.purchase.kind is PurchaseKind.ORDER
    }
    orders = snapshot.orders or ()
    return any(fold(each.id) not in known and each.status != Status.CANCELLED for each in orders)


def merge_snapshot(snapshot: Snapshot, memory: Collection[Purchase] = ()) -> tuple[Purchase, ...]:
    """Return every purchase: as read if the snapshot holds it, otherwise as remembered."""
    fresh = {purchase.key: purchase for purchase in _purchases(snapshot)}
    known = {purchase.key: purchase for purchase in memory}
    read = _kinds_read(snapshot)
    unread = {fold(plan) for plan in snapshot.unread}
    aliases = _aliases(snapshot)
    # An unlisted order is kept although orders were read: their listing lags by up to 15 minutes.
    # Its entitlement may have named it by its alternate ID; once listed, it has its own.
    kept = {
        key: purchase
        for key, purchase in known.items()
        if purchase.kind not in read
        or (purchase.status == UNLISTED and fold(purchase.id) not in aliases)
        or (purchase.kind is PurchaseKind.AZURE_SUBSCRIPTION and fold(purchase.parent) in unread)
    }
    merged = kept | {
        key: _carried_on(found, known[key], snapshot) if key in known else found
        for key, found in fresh.items()
    }
    purchases = _with_parents_as_read(merged.values())
    if snapshot.subscriptions is not None:
        return purchases
    return follow_orders(purchases, _cancelled_since(fresh.values(), known))


def _purchases(snapshot: Snapshot) -> Iterator[Purchase]:
    """Yield what the snapshot holds; an order that is listed replaces its entitlement."""
    aliases = _aliases(snapshot)
    for entitlement in snapshot.entitlements:
        order_id = aliases.get(fold(entitlement.order_id), entitlement.order_id)
        # An unknown quantity may be one: only 0 says that nothing is left of the order.
        if order_id and entitlement.quantity != 0:
            yield _unlisted_order(order_id, entitlement)
    if snapshot.entitlements_unread:
        yield _unread_entitlements(snapshot.entitlements_unread)
    for order in snapshot.orders or ():
        yield _order(order)
    for subscription in snapshot.subscriptions or ():
        parent = aliases.get(fold(subscription.order_id), subscription.order_id)
        yield _subscription(subscription, parent, snapshot.products[subscription.id])
    for azure in snapshot.azure_subscriptions or ():
        yield _azure_subscription(azure)
    for plan, error in snapshot.unread.items():
        yield _unread_azure_subscriptions(plan, error)


def _aliases(snapshot: Snapshot) -> dict[str, str]:
    """Return the IDs of the orders that are listed, by their alternate IDs."""
    return {
        fold(order.alternate_id): order.id for order in snapshot.orders or () if order.alternate_id
    }


def _unlisted_order(order_id: str, entitlement: Entitlement) -> Purchase:
    name = entitlement.entitlement_type
    return Purchase(PurchaseKind.ORDER, order_id, UNLISTED, name=name)


def _unread_entitlements(error: str) -> Purchase:
    """Stand in for the orders that only the entitlements may name."""
    trouble = f"the entitlements could not be read: {error}"[:TROUBLE_CHARACTERS]
    return Purchase(PurchaseKind.ORDER, "entitlements", UNREAD, trouble=trouble)


def _order(order: Order) -> Purchase:
    return Purchase(
        PurchaseKind.ORDER,
        order.id,
        order.status,
        created=order.created,
        name=order.name,
        trouble=order.unread[:TROUBLE_CHARACTERS],
    )


def _subscription(subscription: Subscription, parent: str, product: Product) -> Purchase:
    return Purchase(
        PurchaseKind.SUBSCRIPTION,
        subscription.id,
        subscription.status,
        parent=parent,
        product=None if subscription.unread else product,
        created=subscription.created,
        term_end=subscription.term_end,
        name=subscription.name,
        trouble=subscription.unread[:TROUBLE_CHARACTERS],
    )


def _azure_subscription(azure: AzureSubscription) -> Purchase:
    return Purchase(
        PurchaseKind.AZURE_SUBSCRIPTION,
        azure.id,
        azure.status,
        parent=azure.plan_id,
        name=azure.name,
        trouble=azure.unread[:TROUBLE_CHARACTERS],
    )


def _unread_azure_subscriptions(plan: str, error: str) -> Purchase:
    """Stand in for whatever the plan holds, so that the plan is not taken for empty."""
    kind = PurchaseKind.AZURE_SUBSCRIPTION
    return Purchase(kind, plan, UNREADABLE, parent=plan, trouble=error[:TROUBLE_CHARACTERS])


def _kinds_read(snapshot: Snapshot) -> set[PurchaseKind]:
    collections = {
        PurchaseKind.ORDER: snapshot.orders,
        PurchaseKind.SUBSCRIPTION: snapshot.subscriptions,
        PurchaseKind.AZURE_SUBSCRIPTION: snapshot.azure_subscriptions,
    }
    return {kind for kind, collection in collections.items() if collection is not None}


def _with_parents_as_read(purchases: Collection[Purchase]) -> tuple[Purchase, ...]:
    """Name each parent as it was read itself, because its children may use other letters."""
    ids = {each.key: each.id for each in purchases}
    return tuple(
        replace(each, parent=ids.get((_PARENT_KIND[each.kind], fold(each.parent)), each.parent))
        if each.kind in _PARENT_KIND
        else each
        for each in purchases
    )


def _carried_on(fresh: Purchase, remembered: Purchase, snapshot: Snapshot) -> Purchase:
    """Add what is remembered to what was read; aliases are known only if orders were read."""
    # Once a purchase can be read, nothing of what was wrong with it is left.
    trouble = "" if remembered.status == UNREAD else remembered.trouble
    return replace(
        fresh,
        parent=fresh.parent if snapshot.orders is not None else remembered.parent,
        sent=remembered.sent,
        rejected=remembered.rejected,
        reason=remembered.reason,
        trouble=fresh.trouble or trouble,
        needs_activation=remembered.needs_activation,
        wait_until=remembered.wait_until,
    )


def _cancelled_since(
    fresh: Iterable[Purchase], known: Mapping[tuple[PurchaseKind, str], Purchase]
) -> set[str]:
    return {
        order.id
        for order in fresh
        if order.kind is PurchaseKind.ORDER
        and order.status == Status.CANCELLED
        and order.key in known
        and known[order.key].status != Status.CANCELLED
    }
