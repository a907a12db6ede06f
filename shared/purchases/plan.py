"""The plan: what to do next with what a customer still holds. Pure, without I/O.

What blocks a DELETE is documented for orders of software and reservations only, so everything
that is still active is cancelled as far as Partner Center allows.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final

from shared.limits import ORDER_CANCELLATION_WINDOW
from shared.partner_center.resources import UNREAD, UNREADABLE, Status
from shared.purchases.products import Action, row_of
from shared.purchases.purchase import ENDED, Purchase, PurchaseKind


class Standing(StrEnum):
    """How far the cancellation of a purchase is."""

    OPEN = "open"
    WAITING = "waiting"
    FOLLOWS = "follows"
    CLOSED = "closed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Entry:
    """A purchase and where it stands; `action` is the call to send while it is open.

    `reason` says why it can never be cancelled, or what keeps it from being clear. `until` is the
    time before which Partner Center asked to send nothing for it.
    """

    purchase: Purchase
    standing: Standing
    action: Action | None = None
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """Every purchase of a customer with its standing."""

    entries: tuple[Entry, ...]

    @cached_property
    def open(self) -> tuple[Entry, ...]:
        """The purchases that still need a call."""
        return self._standing(Standing.OPEN)

    @cached_property
    def waiting(self) -> tuple[Entry, ...]:
        """The purchases whose cancellation was accepted, or must not be sent yet."""
        return self._standing(Standing.WAITING)

    @cached_property
    def never(self) -> tuple[Entry, ...]:
        """The purchases that can never be cancelled, each with its reason."""
        return self._standing(Standing.NEVER)

    @property
    def unfinished(self) -> tuple[Entry, ...]:
        """The purchases that are open or waited for."""
        return (*self.open, *self.waiting)

    @property
    def clear(self) -> bool:
        """Whether nothing is left to send or wait for; also if no purchase is known."""
        return not self.unfinished

    @property
    def wait_until(self) -> datetime | None:
        """The earliest time at which a call may be sent, if that is all there is to wait for."""
        times = [entry.until for entry in self.unfinished]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def _standing(self, standing: Standing) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.standing is standing)


# "Canceled" is Azure's own spelling of Partner Center's "cancelled".
_AZURE_ENDED: Final = ENDED | {Status.SUSPENDED, "canceled", "inactive"}

_ACCOMPLISHED: Final = frozenset({Standing.WAITING, Standing.CLOSED})
_UNFINISHED: Final = frozenset({Standing.OPEN, Standing.WAITING})


def make_plan(purchases: Collection[Purchase], now: datetime) -> Plan:
    """Decide for every purchase what is next; the order of purchases does not matter."""
    family = _Family(purchases)
    decide: dict[PurchaseKind, Callable[[Purchase, _Family, datetime], Entry]] = {
        PurchaseKind.ORDER: _order,
        PurchaseKind.SUBSCRIPTION: _subscription,
        PurchaseKind.AZURE_SUBSCRIPTION: _azure_subscription,
    }
    return Plan(tuple(decide[each.kind](each, family, now) for each in purchases))


def closed_since(before: Plan, after: Plan) -> tuple[Purchase, ...]:
    """Return the purchases that need no call, and that needed one before or were not known."""
    others = {each.purchase.key for each in before.entries if each.standing is not Standing.OPEN}
    return tuple(
        each.purchase
        for each in after.entries
        if each.standing in _ACCOMPLISHED and each.purchase.key not in others
    )


def families(purchases: Collection[Purchase]) -> Collection[Collection[Purchase]]:
    """Return the purchases in groups; what becomes of one changes only the plan of its group.

    A group is an order with its subscriptions and their Azure subscriptions, or a part of that. A
    subscription that could not be read, nor its order, may belong to any group, so all are one.
    """
    if _has_orphan(purchases):
        return [purchases]
    orders = {each.id: each.parent for each in purchases if each.kind is PurchaseKind.SUBSCRIPTION}
    found: dict[str, list[Purchase]] = {}
    for each in purchases:
        found.setdefault(_eldest(each, orders), []).append(each)
    return found.values()


def _eldest(purchase: Purchase, orders: Mapping[str, str]) -> str:
    """Return what names the group; `orders` maps subscriptions to their orders, "" if unknown."""
    match purchase.kind:
        case PurchaseKind.ORDER:
            return f"order {purchase.id}"
        case PurchaseKind.SUBSCRIPTION:
            subscription = purchase.id
        case PurchaseKind.AZURE_SUBSCRIPTION:
            subscription = purchase.parent
    order = orders.get(subscription)
    return f"order {order}" if order else f"subscription {subscription}"


def _has_orphan(purchases: Collection[Purchase]) -> bool:
    """Whether a subscription that could not be read names no order that was read."""
    orders = {each.id for each in purchases if each.kind is PurchaseKind.ORDER}
    return any(
        each.kind is PurchaseKind.SUBSCRIPTION
        and each.status == UNREAD
        and each.parent not in orders
        for each in purchases
    )


class _Family:
    """Finds the parent and the children of a purchase."""

    def __init__(self, purchases: Collection[Purchase]) -> None:
        self._orders = {p.id: p for p in purchases if p.kind is PurchaseKind.ORDER}
        self._children: dict[tuple[PurchaseKind, str], list[Purchase]] = {}
        for purchase in purchases:
            self._children.setdefault((purchase.kind, purchase.parent), []).append(purchase)
        self._has_orphan = _has_orphan(purchases)
        # Worked out once: it is asked for each subscription.
        self._never_cancelled = {
            parent
            for (kind, parent), children in self._children.items()
            if kind is PurchaseKind.SUBSCRIPTION
            and not any(row_of(child.product).order_cancellable for child in children)
        }

    def cancellable(self, order: Purchase) -> bool:
        """Whether an order can be cancelled itself, as one without subscriptions has to be."""
        return order.id not in self._never_cancelled

    def may_be_of_an_orphan(self, order: Purchase) -> bool:
        """Whether a subscription that could not be read, nor its order, may be of this order."""
        return self._has_orphan and not self.children(order)

    def order(self, subscription: Purchase) -> Purchase | None:
        return self._orders.get(subscription.parent)

    def children(self, purchase: Purchase) -> Collection[Purchase]:
        return self._children.get((_CHILD[purchase.kind], purchase.id), ())


_CHILD: Final = {
    PurchaseKind.ORDER: PurchaseKind.SUBSCRIPTION,
    PurchaseKind.SUBSCRIPTION: PurchaseKind.AZURE_SUBSCRIPTION,
}


def _order(order: Purchase, family: _Family, now: datetime) -> Entry:
    if order.status == Status.CANCELLED:
        return Entry(order, Standing.CLOSED)
    if order.status == UNREAD:
        return _unread(order)
    subscriptions = family.children(order)
    # Cancelling the order cancels its subscriptions too, so each of them must have been read.
    if any(each.status == UNREAD for each in subscriptions) or family.may_be_of_an_orphan(order):
        return Entry(order, Standing.FOLLOWS)
    if _order_route_open(order, family, now):
        return _try(order, Action.CANCEL_ORDER, now)
    if subscriptions:
        entries = [_subscription(each, family, now) for each in subscriptions]
        closed = all(entry.standing is Standing.CLOSED for entry in entries)
        return Entry(order, Standing.CLOSED if closed else Standing.FOLLOWS)
    reason = _too_old_reason(order) if _too_old(order, now) else order.reason
    return Entry(order, Standing.NEVER, reason=reason)


def _order_route_open(order: Purchase, family: _Family, now: datetime) -> bool:
    return (
        order.status != Status.CANCELLED
        and Action.CANCEL_ORDER not in order.rejected
        and not _too_old(order, now)
        and family.cancellable(order)
    )


def _too_old(order: Purchase, now: datetime) -> bool:
    # A cancellation that was accepted in time is waited for, however long it takes.
    if Action.CANCEL_ORDER in order.sent:
        return False
    return order.created is not None and now - order.created > ORDER_CANCELLATION_WINDOW


def _too_old_reason(order: Purchase) -> str:
    return (
        f"ordered on {order.created:%Y-%m-%d}, and sandbox orders older than "
        f"{ORDER_CANCELLATION_WINDOW.days} days cannot be cancelled"
    )


def _subscription(subscription: Purchase, family: _Family, now: datetime) -> Entry:
    if subscription.status in ENDED:
        return Entry(subscription, Standing.CLOSED)
    if subscription.status == UNREAD:
        return _unread(subscription)
    order = family.order(subscription)
    # Cancelling the order cancels its subscriptions too; a call for each would be wasted.
    if order is not None and _order_route_open(order, family, now):
        return Entry(subscription, Standing.FOLLOWS)
    azure = [_azure_subscription(child, family, now) for child in family.children(subscription)]
    if any(entry.standing in _UNFINISHED for entry in azure):
        return Entry(subscription, Standing.FOLLOWS)
    if any(entry.standing is Standing.NEVER for entry in azure):
        reason = "an Azure subscription of this plan cannot be cancelled"
        return Entry(subscription, Standing.NEVER, reason=reason)
    return _next_subscription_action(subscription, now)


def _next_subscription_action(subscription: Purchase, now: datetime) -> Entry:
    row = row_of(subscription.product)
    left = [action for action in row.actions if action not in subscription.rejected]
    if subscription.status == Status.SUSPENDED and left == [Action.SUSPEND_SUBSCRIPTION]:
        if row.ends_suspended:
            return Entry(subscription, Standing.CLOSED)
        return Entry(subscription, Standing.NEVER, reason=subscription.reason)
    if not left:
        reason = subscription.reason or row.never
        return Entry(subscription, Standing.NEVER, reason=reason)
    activation = Action.ACTIVATE_SUBSCRIPTION
    if subscription.needs_activation and activation not in subscription.rejected:
        return _try(subscription, activation, now)
    return _try(subscription, left[0], now)


def _azure_subscription(azure: Purchase, _family: _Family, now: datetime) -> Entry:
    if azure.status in {UNREADABLE, UNREAD}:
        return _unread(azure)
    # Another status may be one of a subscription that still runs, such as "warned".
    if azure.status.strip() in _AZURE_ENDED:
        return Entry(azure, Standing.CLOSED)
    if Action.CANCEL_AZURE_SUBSCRIPTION in azure.rejected:
        return Entry(azure, Standing.NEVER, reason=azure.reason)
    return _try(azure, Action.CANCEL_AZURE_SUBSCRIPTION, now)


def _unread(purchase: Purchase) -> Entry:
    """Wait until the purchase can be read: nothing may be sent for it."""
    return Entry(purchase, Standing.WAITING, reason=purchase.trouble)


def _try(purchase: Purchase, action: Action, now: datetime) -> Entry:
    if action in purchase.sent:
        return Entry(purchase, Standing.WAITING, reason=purchase.trouble)
    until = purchase.wait_until
    if until is not None and until > now:
        return Entry(purchase, Standing.WAITING, reason=purchase.trouble, until=until)
    return Entry(purchase, Standing.OPEN, action=action, reason=purchase.trouble)
