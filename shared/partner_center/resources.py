"""Partner Center's resources as immutable value objects, parsed leniently.

Shapes follow Microsoft's pages "Customer resources", "Order resources", "Subscription resources"
and "Entitlement resources"; members that tipsweep does not use are left out, except those of a
subscription, which a PATCH must send back whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.errors import shown
from shared.partner_center.errors import UnexpectedResponse
from shared.tenants import NotATenantId, TenantId, tenant_id

Json = Mapping[str, Any]


class Status(StrEnum):
    """The statuses of orders, subscriptions and Azure subscriptions that tipsweep knows.

    A resource may have others: what is read is text, and compares equal to a member.
    """

    ACTIVE = "active"
    PENDING = "pending"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    EXPIRED = "expired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the partner."""

    id: TenantId
    domain: str
    company_name: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `status` is in lower case."""

    id: str
    status: str
    alternate_id: str = ""
    created: datetime | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; `status` is in lower case, `body` is the whole resource as read."""

    id: str
    order_id: str
    status: str
    product_type: str = ""
    name: str = ""
    quantity: int = 0
    billing_type: str = ""
    unit_type: str = ""
    microsoft_product: bool = True
    created: datetime | None = None
    term_end: datetime | None = None
    etag: str | None = None
    body: Json = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an order of a reservation or of software entitles the customer to."""

    order_id: str
    entitlement_type: str
    quantity: int


@dataclass(frozen=True, slots=True)
class AzureSubscription:
    """An Azure subscription under an Azure plan, which the API calls an Azure entitlement."""

    id: str
    plan_id: str
    status: str
    name: str = ""


def customer(body: Json) -> Customer:
    """Read one customer."""
    profile = body.get("companyProfile") or {}
    return Customer(
        id=_tenant(body),
        domain=_text(profile, "domain").lower(),
        company_name=_text(profile, "companyName"),
    )


def order(body: Json) -> Order:
    """Read one order."""
    lines = body.get("lineItems") or [{}]
    return Order(
        id=_identifier(body, "order"),
        status=_status(body, "order"),
        alternate_id=_text(body, "alternateId"),
        created=_timestamp(body.get("creationDate")),
        name=_text(lines[0], "friendlyName"),
    )


def subscription(body: Json) -> Subscription:
    """Read one subscription."""
    return Subscription(
        id=_identifier(body, "subscription"),
        order_id=_text(body, "orderId"),
        status=_status(body, "subscription"),
        product_type=_text(body.get("productType") or {}, "id"),
        name=_text(body, "friendlyName") or _text(body, "offerName"),
        quantity=_whole(body, "quantity"),
        billing_type=_text(body, "billingType").lower(),
        unit_type=_text(body, "unitType").lower(),
        microsoft_product=body.get("isMicrosoftProduct") is not False,
        created=_timestamp(body.get("creationDate")),
        term_end=_timestamp(body.get("commitmentEndDate")),
        etag=_text(body.get("attributes") or {}, "etag") or None,
        body=body,
    )


def entitlements(body: Json) -> Iterator[Entitlement]:
    """Read one entitlement and those that it includes."""
    reference = body.get("referenceOrder") or {}
    yield Entitlement(
        order_id=_text(reference, "id"),
        entitlement_type=_text(body, "entitlementType").lower(),
        quantity=_whole(body, "quantity"),
    )
    for included in body.get("includedEntitlements") or ():
        yield from entitlements(included)


def azure_subscription(body: Json, plan_id: str) -> AzureSubscription:
    """Read one Azure entitlement of the plan with this subscription ID."""
    return AzureSubscription(
        id=_identifier(body, "Azure entitlement"),
        plan_id=plan_id,
        status=_status(body, "Azure entitlement"),
        name=_text(body, "friendlyName"),
    )


def _tenant(body: Json) -> TenantId:
    try:
        return tenant_id(_identifier(body, "customer"))
    except NotATenantId as error:
        message = f"The id of a customer is not a tenant ID: {error}"
        raise UnexpectedResponse(message) from error


def _identifier(body: Json, kind: str) -> str:
    value = body.get("id")
    if not isinstance(value, str) or not value:
        found = shown(str(value))
        message = f"A {kind} without an id: expected a string in member id, found {found}"
        raise UnexpectedResponse(message)
    return value


def _status(body: Json, kind: str) -> str:
    value = body.get("status")
    if not isinstance(value, str) or not value:
        message = (
            f"{kind} {body.get('id')} without a status: expected a string in member status, "
            f"found {shown(str(value))}"
        )
        raise UnexpectedResponse(message)
    return value.lower()


def _text(body: Json, member: str) -> str:
    value = body.get(member)
    return value if isinstance(value, str) else ""


def _whole(body: Json, member: str) -> int:
    value = body.get(member)
    return int(value) if isinstance(value, int | float) else 0


def _timestamp(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        timestamp = datetime.fromisoformat(value)
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
