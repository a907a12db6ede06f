"""Carries a plan out: sends each open move once and folds the answers into the purchases."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    AccessDenied,
    AlreadyDeleted,
    AzureSubscriptionsActive,
    Busy,
    ErrorStatus,
    NoResponse,
    NotActivated,
    NotCancellable,
    NotFound,
    OrderRouteClosed,
    PartnerCenterError,
    Rejected,
    Throttled,
    Unavailable,
)
from shared.partner_center.resources import CANCELLED, AzureSubscription, Subscription
from shared.purchases.plan import Entry, Plan, make_plan
from shared.purchases.purchase import (
    UNLISTED,
    Action,
    Purchase,
    PurchaseKind,
    follow_orders,
)
from shared.tenants import TenantId

LATER = (Throttled, Unavailable, NoResponse)
_GONE_CODES = {"20000", "20003", "800111"}
_GONE = "deleted"
_UNAUTHORIZED = 401
_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class CancellationResult:
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

    def send(self, purchase: Purchase, move: Action) -> Purchase:
        """Send one move and return the purchase as it stands after the answer."""
        status = self._calls()[move](purchase)
        return replace(
            purchase,
            sent=purchase.sent | {move},
            status=_status_after(purchase, status),
            needs_activation=False,
        )

    def _calls(self) -> Mapping[Action, Callable[[Purchase], str | None]]:
        return {
            Action.CANCEL_ORDER: self._cancel_order,
            Action.DELETE_SUBSCRIPTION: lambda purchase: self._change(purchase, "deleted"),
            Action.SUSPEND_SUBSCRIPTION: lambda purchase: self._change(purchase, "suspended"),
            Action.ACTIVATE_SUBSCRIPTION: self._activate,
            Action.CANCEL_AZURE_SUBSCRIPTION: self._cancel_azure,
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


def _status_after(purchase: Purchase, answered: str | None) -> str:
    """Keep an order marked that the listing does not show, so that it is not forgotten."""
    if answered is None or (purchase.status == UNLISTED and answered != CANCELLED):
        return purchase.status
    return answered


def carry_out(
    sender: Sender,
    purchases: Collection[Purchase],
    now: datetime,
    stopped: Callable[[], bool],
) -> CancellationResult:
    """Send open moves until none is left that this round has not tried.

    Ends early at any trouble that concerns more than one purchase, and where `stopped` says so;
    what has been learned until then is in the round. A failure of the service on one purchase
    leaves the others their turn.
    """
    ledger = {purchase.key: purchase for purchase in purchases}
    tried: set[tuple[Purchase, Action]] = set()
    interruption: PartnerCenterError | None = None
    while True:
        plan = make_plan(tuple(ledger.values()), now)
        entry = _untried(plan, tried)
        if entry is None or entry.move is None or stopped():
            return CancellationResult(tuple(ledger.values()), plan, interruption)
        tried.add((entry.purchase, entry.move))
        try:
            changed = _attempt(sender, entry.purchase, entry.move)
        except Unavailable as error:
            interruption = interruption or error
            continue
        except PartnerCenterError as error:
            return CancellationResult(tuple(ledger.values()), plan, error)
        ledger[changed.key] = changed
        if changed.kind is PurchaseKind.ORDER and changed.status == CANCELLED:
            ledger = {each.key: each for each in follow_orders(ledger.values(), {changed.id})}


def _untried(plan: Plan, tried: Collection[tuple[Purchase, Action]]) -> Entry | None:
    return next((e for e in plan.open if e.move and (e.purchase, e.move) not in tried), None)


def _attempt(sender: Sender, purchase: Purchase, move: Action) -> Purchase:
    try:
        changed = sender.send(purchase, move)
    except ErrorStatus as error:
        changed = after_refusal(purchase, move, error)
        emit(
            Event.CANCELLATION_REFUSED,
            tenant=sender.customer,
            correlation=sender.client.correlation_id,
            kind=purchase.kind,
            id=purchase.id,
            move=move,
            status=error.response.status,
            code=error.response.code,
            reason=error.response.description,
        )
    else:
        emit(
            Event.CANCELLATION_SENT,
            tenant=sender.customer,
            correlation=sender.client.correlation_id,
            kind=purchase.kind,
            id=purchase.id,
            move=move,
            status=changed.status,
        )
    return changed


def after_refusal(purchase: Purchase, move: Action, error: ErrorStatus) -> Purchase:
    """Return what a refused move teaches about a purchase; raises what concerns the customer."""
    match error:
        case AlreadyDeleted():
            return replace(purchase, status=_GONE)
        case NotFound() if error.response.code in _GONE_CODES:
            return _unfound(purchase)
        case Busy() | AzureSubscriptionsActive():
            return purchase
        case NotActivated():
            return _after_inactive(purchase, move, error)
        case AccessDenied() if error.response.status == _UNAUTHORIZED:
            raise error
        case OrderRouteClosed() | NotCancellable() | AccessDenied() | Rejected():
            return _refused(purchase, move, error)
        case _:
            raise error


def _unfound(purchase: Purchase) -> Purchase:
    """Look for an order again, as its page says; what belongs to it is gone."""
    if purchase.kind is PurchaseKind.ORDER:
        return purchase
    return replace(purchase, status=_GONE)


def _after_inactive(purchase: Purchase, move: Action, error: ErrorStatus) -> Purchase:
    if Action.ACTIVATE_SUBSCRIPTION in purchase.sent:
        return purchase
    if Action.ACTIVATE_SUBSCRIPTION in purchase.refused:
        return _refused(purchase, move, error)
    return replace(purchase, needs_activation=True)


def _refused(purchase: Purchase, move: Action, error: ErrorStatus) -> Purchase:
    refusal = error.response
    code = f"/{refusal.code}" if refusal.code else ""
    description = refusal.description[:_REASON_CHARACTERS]
    reason = f"{move} was answered {refusal.status}{code}: {description}"
    return replace(purchase, refused=purchase.refused | {move}, reason=reason)
