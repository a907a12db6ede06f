"""The kinds of product, and how each is cancelled ("Cancel an order from the sandbox")."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ProductKind(StrEnum):
    """The kinds of product that Partner Center cancels in different ways."""

    RESERVED_INSTANCE = "reserved_instance"
    PERPETUAL_SOFTWARE = "perpetual_software"
    SOFTWARE_SUBSCRIPTION = "software_subscription"
    NCE_LICENCES = "nce_licences"
    MARKETPLACE_SAAS = "marketplace_saas"
    AZURE_PLAN = "azure_plan"
    LEGACY_LICENCES = "legacy_licences"
    SAVINGS_PLAN = "savings_plan"


class OrderId(StrEnum):
    """The forms of order IDs."""

    GUID = "guid"
    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An error response: HTTP status, service error code, description."""

    status: int
    code: int
    description: str


@dataclass(frozen=True, slots=True)
class Product:
    """The rules of one kind.

    `order_rejection` is the response to cancelling the order by PATCH in the sandbox, None if that
    works. `subscription_statuses` are those that a PATCH of the subscription may set, None if the
    kind has no subscription. `subscription_rejection` is the response to any other status, None
    for the usual one.
    """

    name: str
    order_id: OrderId
    billing_cycle: str
    order_rejection: Rejection | None = None
    software: bool = False
    entitlement_type: str | None = None
    product_type: str | None = None
    product_subtype: str | None = None
    subscription_statuses: frozenset[str] | None = None
    subscription_rejection: Rejection | None = None
    term: str = ""
    legacy: bool = False


_NOT_CANCELLABLE: Final = Rejection(400, 800061, "Order cannot be canceled.")
_SUSPEND_INSTEAD: Final = Rejection(
    400, 800063, "This order cannot be canceled. Suspend the subscriptions of the order instead."
)
_SEAT_SAAS: Final = Rejection(
    403, 800077, "Use the subscription resource to cancel a seat based SaaS order."
)
_SAVINGS_PLAN: Final = Rejection(403, 900321, "Savings plans are managed in the Azure portal only.")
_ONLY_SOFTWARE_IN_PRODUCTION: Final = Rejection(
    403, 800019, "Only software orders can be canceled by a tenant that is not a sandbox."
)

PRODUCTS: Final[Mapping[ProductKind, Product]] = MappingProxyType(
    {
        ProductKind.RESERVED_INSTANCE: Product(
            name="Reserved VM Instance, Standard_B1s, West Europe",
            order_id=OrderId.LONG,
            billing_cycle="one_time",
            entitlement_type="reservedinstance",
            term="P1Y",
        ),
        ProductKind.PERPETUAL_SOFTWARE: Product(
            name="Example Server 2022 - 1 user CAL",
            order_id=OrderId.LONG,
            billing_cycle="one_time",
            software=True,
            entitlement_type="software",
        ),
        ProductKind.SOFTWARE_SUBSCRIPTION: Product(
            name="Example Database Standard - 1 year",
            order_id=OrderId.LONG,
            billing_cycle="annual",
            software=True,
            entitlement_type="software",
            product_type="Software",
            subscription_statuses=frozenset({"active", "suspended"}),
            term="P1Y",
        ),
        ProductKind.NCE_LICENCES: Product(
            name="Example 365 Business",
            order_id=OrderId.SHORT,
            billing_cycle="monthly",
            order_rejection=_NOT_CANCELLABLE,
            product_type="OnlineServicesNCE",
            subscription_statuses=frozenset({"active", "suspended", "deleted"}),
            term="P1Y",
        ),
        ProductKind.MARKETPLACE_SAAS: Product(
            name="Example SaaS by Contoso",
            order_id=OrderId.SHORT,
            billing_cycle="monthly",
            order_rejection=_SEAT_SAAS,
            product_type="SaaS",
            subscription_statuses=frozenset({"active", "suspended", "deleted"}),
            term="P1M",
        ),
        ProductKind.AZURE_PLAN: Product(
            name="Azure plan",
            order_id=OrderId.SHORT,
            billing_cycle="monthly",
            order_rejection=_SUSPEND_INSTEAD,
            product_type="Azure",
            subscription_statuses=frozenset({"active", "suspended"}),
        ),
        ProductKind.LEGACY_LICENCES: Product(
            name="Example Office E1",
            order_id=OrderId.GUID,
            billing_cycle="annual",
            order_rejection=_SUSPEND_INSTEAD,
            subscription_statuses=frozenset({"active", "suspended"}),
            legacy=True,
        ),
        ProductKind.SAVINGS_PLAN: Product(
            name="Compute savings plan, 1 year",
            order_id=OrderId.SHORT,
            billing_cycle="monthly",
            order_rejection=_SAVINGS_PLAN,
            product_type="Azure",
            product_subtype="SavingsPlan",
            subscription_statuses=frozenset({"active"}),
            subscription_rejection=_SAVINGS_PLAN,
            term="P1Y",
        ),
    }
)


def cancellation_rejection(kind: ProductKind, *, sandbox: bool) -> Rejection | None:
    """Return the error for cancelling this kind by PATCH of the order, or None if that works."""
    product = PRODUCTS[kind]
    if sandbox:
        return product.order_rejection
    return None if product.software else _ONLY_SOFTWARE_IN_PRODUCTION
