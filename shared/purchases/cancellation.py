"""Carries out a plan: sends each open action once and merges the responses into the purchases."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from azure.core.exceptions import AzureError

from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    MORE_THAN_ONE_PURCHASE,
    AlreadyDeleted,
    AzureSubscriptionsActive,
    Busy,
    ErrorStatus,
    Forbidden,
    NoResponse,
    NotActivated,
    NotCancellable,
    NotForThisCredential,
    NotFound,
    OrderRouteClosed,
    PurchaseGone,
    Redirected,
    Rejected,
    SignInUnavailable,
    Unavailable,
    UnexpectedResponse,
)
from shared.partner_center.members import fold
from shared.partner_center.resources import AzureSubscription, Status, Subscription
from shared.purchases.plan import Entry, Plan, families, make_plan
from shared.purchases.products import Action
from shared.purchases.purchase import (
    TROUBLE_CHARACTERS,
    UNLISTED,
    Purchase,
    PurchaseKind,
    follow_orders,
)
from shared.purchases.snapshot import PurchaseReader
from shared.tenants import TenantId

_REASON_CHARACTERS: Final = 200

_Key = tuple[PurchaseKind, str]


class UnreadPurchase(TipsweepError):
    """A purchase could not be read, so that nothing was sent for it."""


@dataclass(frozen=True, slots=True)
class CancellationResult:
    """What is known after the actions; `interruption` says why some were not sent.

    `missing` is a response that a purchase, or perhaps the whole customer, was not found;
    `forbidden` is one that the credential may not cancel a purchase.
    """

    purchases: tuple[Purchase, ...]
    plan: Plan
    interruption: TipsweepError | AzureError | None = None
    missing: NotFound | None = None
    forbidden: NotForThisCredential | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the actions for one customer.

    `read` holds the subscriptions of this snapshot by their folded ID, because a PATCH sends the
    whole resource back. A wait that a response asks for is counted from `now`.
    """

    reader: PurchaseReader
    read: Mapping[str, Subscription]
    now: Callable[[], datetime]

    @property
    def client(self) -> PartnerCenter:
        """The client that reads and writes."""
        return self.reader.client

    @property
    def customer(self) -> TenantId:
        """The customer that owns the purchases."""
        return self.reader.tenant

    def send(self, purchase: Purchase, action: Action) -> Purchase:
        """Send one action and return the purchase as it stands after the response.

        A success that cannot be read counts as accepted: the next snapshot shows its effect.
        A redirection does not: Redirected is raised.
        """
        status, trouble = None, ""
        try:
            status = self._calls()[action](purchase)
        except Redirected:
            raise
        except UnexpectedResponse as error:
            trouble = f"{action} got an unclear response: {error}"[:TROUBLE_CHARACTERS]
        return replace(
            purchase,
            sent=purchase.sent | {action},
            status=_status_after(purchase, status),
            trouble=trouble,
            needs_activation=False,
            wait_until=None,
        )

    def log(
        self, event: Event, purchase: Purchase, action: Action, **fields: str | float | None
    ) -> None:
        """Log what became of an action."""
        emit(
            event,
            tenant=self.customer,
            correlation=self.client.correlation_id,
            kind=purchase.kind,
            id=purchase.id,
            action=action,
            **fields,
        )

    def _calls(self) -> Mapping[Action, Callable[[Purchase], str | None]]:
        return {
            Action.CANCEL_ORDER: self._cancel_order,
            Action.DELETE_SUBSCRIPTION: lambda purchase: self._change(purchase, Status.DELETED),
            Action.SUSPEND_SUBSCRIPTION: lambda purchase: self._change(purchase, Status.SUSPENDED),
            Action.ACTIVATE_SUBSCRIPTION: self._activate,
            Action.CANCEL_AZURE_SUBSCRIPTION: self._cancel_azure,
        }

    def _cancel_order(self, purchase: Purchase) -> str | None:
        order = self.client.cancel_order(self.customer, purchase.id)
        return order.status if order else None

    def _change(self, purchase: Purchase, status: Status) -> str | None:
        subscription = self.read.get(fold(purchase.id)) or self._read(purchase)
        changed = self.client.change_subscription(self.customer, subscription, status)
        return changed.status if changed else None

    def _read(self, purchase: Purchase) -> Subscription:
        try:
            return self.reader.subscription(purchase.id)
        except (PurchaseGone, Unavailable, *MORE_THAN_ONE_PURCHASE):
            raise
        except (ErrorStatus, UnexpectedResponse) as error:
            # Only the read was rejected, not the action that it was for.
            raise UnreadPurchase(str(error)) from error

    def _activate(self, purchase: Purchase) -> None:
        self.client.activate_subscription(self.customer, purchase.id)

    def _cancel_azure(self, purchase: Purchase) -> None:
        azure = AzureSubscription(purchase.id, purchase.parent, purchase.status)
        self.client.cancel_azure_subscription(self.customer, azure)


def _status_after(purchase: Purchase, read: str | None) -> str:
    """Keep the mark of an order that is not listed yet, so that it is not forgotten."""
    if read is None or (purchase.status == UNLISTED and read != Status.CANCELLED):
        return purchase.status
    return read


def carry_out(
    sender: Sender, purchases: Collection[Purchase], now: datetime, turn: int = 0
) -> CancellationResult:
    """Send open actions until this step has tried all of them.

    Stops early on any error that concerns more than one purchase, at the second failure of the
    service, and as soon as the client's gate lets no write leave; the result holds what is known by
    then. One service failure, an odd response, or a purchase that asks for a wait does not keep the
    others from being tried. Of two failures, the one that asks for the longer wait is kept.
    What failed in an earlier look is tried last; `turn` says which of that goes first.
    """
    step = _Round(sender, now)
    in_turn = _in_turn(families(purchases), turn)
    settled = {each.key: each for family in in_turn for each in step.settle(family)}
    known = tuple(settled[each.key] for each in purchases)
    plan = make_plan(known, now)
    return CancellationResult(known, plan, step.interruption, step.missing, step.forbidden)


def _in_turn(found: Iterable[Collection[Purchase]], turn: int) -> Collection[Collection[Purchase]]:
    """Return the families in the order of a look, so that those that fail starve no others."""
    calm: list[Collection[Purchase]] = []
    troubled: list[Collection[Purchase]] = []
    for family in found:
        (troubled if any(each.trouble for each in family) else calm).append(family)
    first = turn % len(troubled) if troubled else 0
    return [*calm, *troubled[first:], *troubled[:first]]


@dataclass(slots=True)
class _Round:
    """What a step has tried so far, and what went wrong."""

    sender: Sender
    now: datetime
    tried: set[tuple[Purchase, Action]] = field(default_factory=set)
    interruption: TipsweepError | AzureError | None = None
    failure: Unavailable | NoResponse | None = None
    missing: NotFound | None = None
    forbidden: NotForThisCredential | None = None
    stopped: bool = False

    def settle(self, family: Collection[Purchase]) -> Collection[Purchase]:
        """Return a family after everything that is open in it was tried once."""
        known = {each.key: each for each in family}
        while not self.stopped:
            # Each response may open or close another purchase, so the plan is made again.
            entry = _untried(make_plan(tuple(known.values()), self.now), self.tried)
            if entry is None or entry.action is None:
                break
            known = _with(known, self._try(entry.purchase, entry.action))
        return known.values()

    def _try(self, purchase: Purchase, action: Action) -> Purchase:
        # With the purchase as it is now, so an action is tried again once a response changed it.
        self.tried.add((purchase, action))
        try:
            changed = _attempt(self.sender, purchase, action)
        except SignInUnavailable as error:
            return self._stop(purchase, error)
        except (Unavailable, NoResponse) as error:
            self._note_failure(error)
            changed = _troubled(self.sender, purchase, action, str(error))
        except NotFound as error:
            self.missing = error
            changed = _troubled(self.sender, purchase, action, str(error))
        except NotForThisCredential as error:
            # A person may allow the call, so another one is not tried in its place.
            self.forbidden = error
            changed = _troubled(self.sender, purchase, action, str(error))
        except (TipsweepError, AzureError) as error:
            return self._stop(purchase, error)
        if changed.trouble:
            # The text may differ each time, so that the purchase would look changed for ever.
            self.tried.add((changed, action))
        return changed

    def _stop(self, purchase: Purchase, error: TipsweepError | AzureError) -> Purchase:
        self.interruption, self.stopped = error, True
        return purchase

    def _note_failure(self, error: Unavailable | NoResponse) -> None:
        before, self.failure = self.failure, error
        self.stopped = before is not None
        if before is not None and (before.retry_after or 0) >= (error.retry_after or 0):
            self.failure = before
        self.interruption = self.failure


def _with(known: Mapping[_Key, Purchase], changed: Purchase) -> dict[_Key, Purchase]:
    """Return what is known with one purchase changed; subscriptions follow their order."""
    merged = {**known, changed.key: changed}
    if changed.kind is not PurchaseKind.ORDER or changed.status != Status.CANCELLED:
        return merged
    return {each.key: each for each in follow_orders(merged.values(), {changed.id})}


def _untried(plan: Plan, tried: Collection[tuple[Purchase, Action]]) -> Entry | None:
    return next((e for e in plan.open if e.action and (e.purchase, e.action) not in tried), None)


def _attempt(sender: Sender, purchase: Purchase, action: Action) -> Purchase:
    try:
        changed = sender.send(purchase, action)
    except ErrorStatus as error:
        return _after_error_status(sender, purchase, action, error)
    except (UnreadPurchase, Redirected) as error:
        return _troubled(sender, purchase, action, str(error))
    trouble = changed.trouble or None
    sender.log(Event.CANCELLATION_SENT, purchase, action, status=changed.status, trouble=trouble)
    return changed


def _after_error_status(
    sender: Sender, purchase: Purchase, action: Action, error: ErrorStatus
) -> Purchase:
    response = error.response
    if isinstance(error, Forbidden | Rejected) and not response.coded:
        # Something in front of Partner Center may have made it, and it says nothing for good.
        return _troubled(sender, purchase, action, str(error))
    changed = after_error(purchase, action, error, sender.now())
    sender.log(
        Event.CANCELLATION_REJECTED,
        purchase,
        action,
        status=response.status,
        code=response.code,
        reason=response.description,
    )
    return changed


def _troubled(sender: Sender, purchase: Purchase, action: Action, reason: str) -> Purchase:
    """Return a purchase that is tried again later, with the reason."""
    sender.log(Event.CANCELLATION_UNCLEAR, purchase, action, reason=reason)
    return replace(purchase, trouble=f"{action} is tried again: {reason}"[:TROUBLE_CHARACTERS])


def after_error(purchase: Purchase, action: Action, error: ErrorStatus, now: datetime) -> Purchase:
    """Return the purchase after a failed action; re-raises what concerns the whole customer."""
    match error:
        case AlreadyDeleted():
            return replace(purchase, status=Status.DELETED)
        case PurchaseGone():
            return _gone(purchase)
        case Busy() if error.retry_after is not None:
            until = now + timedelta(seconds=error.retry_after)
            trouble = f"{action} waits until {until:%Y-%m-%d %H:%M:%S} UTC: {error}"
            return replace(purchase, wait_until=until, trouble=trouble[:TROUBLE_CHARACTERS])
        case Busy() | AzureSubscriptionsActive():
            return purchase
        case NotActivated():
            return _after_inactive(purchase, action, error)
        case NotForThisCredential():
            raise error
        case OrderRouteClosed() | NotCancellable() | Forbidden() | Rejected():
            return _rejected(purchase, action, error)
        case _:
            raise error


def _gone(purchase: Purchase) -> Purchase:
    """Leave an order to be read again, as its page says; a missing subscription has ended."""
    if purchase.kind is PurchaseKind.ORDER:
        return purchase
    return replace(purchase, status=Status.DELETED)


def _after_inactive(purchase: Purchase, action: Action, error: ErrorStatus) -> Purchase:
    if Action.ACTIVATE_SUBSCRIPTION in purchase.sent:
        return purchase
    if Action.ACTIVATE_SUBSCRIPTION in purchase.rejected:
        return _rejected(purchase, action, error)
    return replace(purchase, needs_activation=True)


def _rejected(purchase: Purchase, action: Action, error: ErrorStatus) -> Purchase:
    response = error.response
    code = f"/{response.code}" if response.code else ""
    description = response.description[:_REASON_CHARACTERS]
    reason = f"{action} failed with status {response.status}{code}: {description}"
    return replace(purchase, rejected=purchase.rejected | {action}, reason=reason, trouble="")
