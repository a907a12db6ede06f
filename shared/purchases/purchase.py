"""What a customer has bought, as remembered from one snapshot to the next."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.partner_center.members import fold
from shared.partner_center.resources import Status
from shared.purchases.products import Action, Product

# An order that only the entitlements name: the list of orders may lag by 15 minutes.
UNLISTED: Final = "unlisted"
TROUBLE_CHARACTERS: Final = 300
# Whether expired and disabled subscriptions block a DELETE is unknown; no call changes them.
ENDED: Final = frozenset({Status.DELETED, Status.EXPIRED, Status.DISABLED, Status.CANCELLED})


class PurchaseKind(StrEnum):
    """The three things that can be cancelled."""

    ORDER = "order"
    SUBSCRIPTION = "subscription"
    AZURE_SUBSCRIPTION = "azure_subscription"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order, subscription or Azure subscription, with what was tried on it.

    `parent` is the order of a subscription or the plan of an Azure subscription. `sent` holds
    the actions that Partner Center accepted, `rejected` those that it never will; `reason` is its
    description of the last rejection. `trouble` says what came instead of a clear response to the
    last call, or to the read of what it holds; it may be clear the next time. `term_end` is the end
    of a subscription's commitment. No call is sent for it before `wait_until`.
    """

    kind: PurchaseKind
    id: str
    status: str
    parent: str = ""
    product: Product | None = None
    created: datetime | None = None
    term_end: datetime | None = None
    name: str = ""
    sent: frozenset[Action] = frozenset()
    rejected: frozenset[Action] = frozenset()
    reason: str = ""
    trouble: str = ""
    needs_activation: bool = False
    wait_until: datetime | None = None

    @property
    def key(self) -> tuple[PurchaseKind, str]:
        """What identifies this purchase among those of the customer, whatever its letter case."""
        return self.kind, fold(self.id)


def follow_orders(
    purchases: Iterable[Purchase], cancelled: Collection[str]
) -> tuple[Purchase, ...]:
    """Mark subscriptions as cancelled whose order was cancelled after they were read."""
    return tuple(
        replace(purchase, status=Status.CANCELLED)
        if purchase.kind is PurchaseKind.SUBSCRIPTION and purchase.parent in cancelled
        else purchase
        for purchase in purchases
    )


def forget_sent(purchases: Iterable[Purchase]) -> tuple[Purchase, ...]:
    """Let actions be sent again, except on purchases that Partner Center shows as pending."""
    return tuple(
        purchase if purchase.status == Status.PENDING else replace(purchase, sent=frozenset())
        for purchase in purchases
    )
