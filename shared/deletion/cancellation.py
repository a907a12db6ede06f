"""Carries a plan out: sends each open move once and folds the answers into the purchases."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.deletion.plan import Entry, Plan, make_plan
from shared.deletion.purchases import Move, Purchase, PurchaseKind, follow_cancelled_orders
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    AlreadyDeleted,
    AzureSubscriptionsActive,
    Busy,
    ErrorAnswer,
    NoAnswer,
    NotActivated,
    NotCancellable,
    NotFound,
    OrderRouteClosed,
    PartnerCenterError,
    Rejected,
    Throttled,
    Unavailable,
)
from shared.partner_center.resources import AzureSubscription, Subscription
from shared.tenants import TenantId

LATER = (Throttled, Unavailable, NoAnswer)
_GONE_CODES = {"20000", "20003", "800111"}
_GONE = "deleted"


@dataclass(frozen=True, slots=True)
class Round:
    """What is known after the moves; `interruption` says why some were not sent."""

    purchases: tuple[Purchase, ...]
    plan: Plan
    interruption: PartnerCenterError | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the moves for one customer.

    `read` holds the subscriptions of this look, because a PATCH sends the whole resource back.
    """

    client: PartnerCenter
    customer: TenantId
    read: Mapping[str, Subscription]

    def send(self, purchase: Purchase, move: Move) -> Purchase:
        """Send one move and return the purchase as it stands after the answer."""
        status = self._calls()[move](purchase)
        return replace(
            purchase,
            sent=purchase.sent | {move},
            status=status or purchase.status,
            needs_activation=False,
        )

    def _calls(self) -> Mapping[Move, Callable[[Purchase], str | None]]:
        return {
            Move.CANCEL_ORDER: self._cancel_order,
            Move.DELETE_SUBSCRIPTION: lambda purchase: self._change(purchase, "deleted"),
            Move.SUSPEND_SUBSCRIPTION: lambda purchase: self._change(purchase, "suspended"),
            Move.ACTIVATE_SUBSCRIPTION: self._activate,
            Move.CANCEL_AZURE_SUBSCRIPTION: self._cancel_azure,
        }

    def _cancel_order(self, purchase: Purchase) -> str | None:
        order = self.client.cancel_order(self.customer, purchase.id)
        return order.status if order else None

    def _change(self, purchase: Purchase, status: str) -> str | None:
        known = self.read.get(purchase.id)
        subscription = known or self.client.subscription(self.customer, purchase.id)
        changed = self.client.change_subscription(self.customer, subscription, status)
        return changed.status if changed else None

    def _activate(self, purchase: Purchase) -> None:
        self.client.activate_subscription(self.customer, purchase.id)

    def _cancel_azure(self, purchase: Purchase) -> None:
        azure = AzureSubscription(purchase.id, purchase.parent, purchase.status)
        self.client.cancel_azure_subscription(self.customer, azure)


def carry_out(
    sender: Sender,
    purchases: Collection[Purchase],
    now: datetime,
    stopped: Callable[[], bool],
) -> Round:
    """Send open moves until none is left that this round has not tried.

    Ends early, with the interruption, when Partner Center throttles or fails, or when `stopped`
    says so. Raises the errors that concern more than one purchase.
    """
    ledger = {purchase.key: purchase for purchase in purchases}
    tried: set[tuple[Purchase, Move]] = set()
    while True:
        plan = make_plan(tuple(ledger.values()), now)
        entry = _untried(plan, tried)
        if entry is None or entry.move is None or stopped():
            return Round(tuple(ledger.values()), plan)
        tried.add((entry.purchase, entry.move))
        try:
            changed = _attempt(sender, entry.purchase, entry.move)
        except LATER as interruption:
            return Round(tuple(ledger.values()), plan, interruption)
        ledger[changed.key] = changed
        if changed.kind is PurchaseKind.ORDER:
            ledger = {each.key: each for each in follow_cancelled_orders(ledger.values())}


def _untried(plan: Plan, tried: Collection[tuple[Purchase, Move]]) -> Entry | None:
    return next((e for e in plan.open if e.move and (e.purchase, e.move) not in tried), None)


def _attempt(sender: Sender, purchase: Purchase, move: Move) -> Purchase:
    try:
        changed = sender.send(purchase, move)
    except ErrorAnswer as error:
        changed = after_refusal(purchase, move, error)
        emit(
            Event.CANCELLATION_REFUSED,
            tenant=sender.customer,
            kind=purchase.kind,
            id=purchase.id,
            move=move,
            status=error.refusal.status,
            code=error.refusal.code,
            reason=error.refusal.description,
        )
    else:
        emit(
            Event.CANCELLATION_SENT,
            tenant=sender.customer,
            kind=purchase.kind,
            id=purchase.id,
            move=move,
            status=changed.status,
        )
    return changed


def after_refusal(purchase: Purchase, move: Move, error: ErrorAnswer) -> Purchase:
    """Return what a refused move teaches about a purchase; raises what concerns the customer."""
    match error:
        case AlreadyDeleted():
            return replace(purchase, status=_GONE)
        case NotFound() if error.refusal.code in _GONE_CODES:
            return _gone(purchase, move, error)
        case Busy() | AzureSubscriptionsActive():
            return purchase
        case NotActivated():
            return _after_inactive(purchase, move, error)
        case OrderRouteClosed() | NotCancellable() | Rejected():
            return _refused(purchase, move, error)
        case _:
            raise error


def _gone(purchase: Purchase, move: Move, error: ErrorAnswer) -> Purchase:
    if purchase.kind is PurchaseKind.ORDER:
        return _refused(purchase, move, error)
    return replace(purchase, status=_GONE)


def _after_inactive(purchase: Purchase, move: Move, error: ErrorAnswer) -> Purchase:
    if Move.ACTIVATE_SUBSCRIPTION in purchase.sent:
        return purchase
    if Move.ACTIVATE_SUBSCRIPTION in purchase.refused:
        return _refused(purchase, move, error)
    return replace(purchase, needs_activation=True)


def _refused(purchase: Purchase, move: Move, error: ErrorAnswer) -> Purchase:
    refusal = error.refusal
    code = f"/{refusal.code}" if refusal.code else ""
    reason = f"{move} was answered {refusal.status}{code}: {refusal.description}"
    return replace(purchase, refused=purchase.refused | {move}, reason=reason)
