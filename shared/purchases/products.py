"""The product kinds, one row each: how to recognise it, and which calls cancel it.

The rows follow the table on Microsoft's page "Cancel an order from the integration sandbox".
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.partner_center.resources import Subscription


class Product(StrEnum):
    """The product kinds that Microsoft's cancellation table distinguishes."""

    NCE = "new commerce licences"
    SAAS = "marketplace SaaS"
    SOFTWARE = "software subscription"
    AZURE_PLAN = "Azure plan"
    SAVINGS_PLAN = "savings plan"
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
class ProductRow:
    """One product kind.

    `actions` are the calls on a subscription; each is tried once the one before is rejected.
    `ends_suspended` says that a suspended subscription counts as cancelled. `order_cancellable`
    is false where Partner Center never cancels the order itself (800061, 800063 or 800077).
    `never` says why no call cancels it, where there is none.
    """

    product: Product
    matches: Callable[[Subscription], bool]
    actions: tuple[Action, ...]
    ends_suspended: bool
    order_cancellable: bool
    never: str = ""


def _type(name: str) -> Callable[[Subscription], bool]:
    return lambda subscription: subscription.product_type.lower() == name


def _savings_plan(subscription: Subscription) -> bool:
    # Bought like an Azure plan ("Purchase Azure savings plans"), and told from it by its subtype.
    subtype = "".join(filter(str.isalpha, subscription.product_subtype.lower()))
    named = "".join(filter(str.isalpha, subscription.product_type.lower()))
    odd_azure = _type("azure")(subscription) and subtype not in {"", "azure", "azureplan"}
    return odd_azure or named in {"savingsplan", "azuresavingsplan"}


def _marketplace(subscription: Subscription) -> bool:
    # The IDs of marketplace product types are uncertain, so either sign is enough.
    return not subscription.microsoft_product or "saas" in subscription.product_type.lower()


_SUSPEND: Final = (Action.SUSPEND_SUBSCRIPTION,)
_DELETE_OR_SUSPEND: Final = (Action.DELETE_SUBSCRIPTION, Action.SUSPEND_SUBSCRIPTION)

_SAVINGS_PLAN_NEVER: Final = "no API call cancels a savings plan (403/900321)"

# The first matching row wins.
_ROWS: Final = (
    ProductRow(Product.SAAS, _marketplace, _DELETE_OR_SUSPEND, False, False),
    ProductRow(Product.LEGACY, _type(""), _SUSPEND, True, True),
    ProductRow(Product.NCE, _type("onlineservicesnce"), _DELETE_OR_SUSPEND, False, False),
    ProductRow(Product.SOFTWARE, _type("software"), _SUSPEND, True, True),
    ProductRow(Product.SAVINGS_PLAN, _savings_plan, (), False, False, _SAVINGS_PLAN_NEVER),
    ProductRow(Product.AZURE_PLAN, _type("azure"), _SUSPEND, True, False),
    ProductRow(Product.OTHER, lambda _: True, _DELETE_OR_SUSPEND, False, True),
)
_BY_PRODUCT: Final = {row.product: row for row in _ROWS}


def product_of(subscription: Subscription) -> Product:
    """Return the product kind of a subscription."""
    return next(row.product for row in _ROWS if row.matches(subscription))


def row_of(product: Product | None) -> ProductRow:
    """Return the row of a product; None counts as an unknown product."""
    return _BY_PRODUCT[product or Product.OTHER]
