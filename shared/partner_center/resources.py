"""Partner Center's resources as immutable value objects, parsed leniently.

Shapes follow Microsoft's pages "Customer resources", "Order resources", "Subscription resources"
and "Entitlement resources"; members that tipsweep does not use are left out, except those of a
subscription, which a PATCH must send back whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil
from typing import Any, Final, Self

from shared.errors import shown
from shared.limits import FIRST_YEAR, LAST_YEAR
from shared.partner_center.errors import UnexpectedResponse
from shared.tenants import NotATenantId, TenantId, tenant_id

Json = Mapping[str, Any]

_NUMBER: Final = re.compile(r"\s*\+?\d+(\.\d+)?(e\+?\d+)?\s*", re.ASCII | re.IGNORECASE)
# Far more than anybody orders; infinity and NaN are beyond it too.
_HIGHEST_COUNT: Final = 1_000_000_000


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


# The status of a listed resource that shows none; nothing may be concluded from it.
UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the partner; `other_domains` are those that repeated rows of a listing show."""

    id: TenantId
    domain: str
    company_name: str
    other_domains: frozenset[str] = frozenset()

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain that was listed, "" for a row that shows none."""
        return (self.domain, *sorted(self.other_domains - {self.domain}))

    def merged_with(self, row: Self) -> Self:
        """Return this customer with the domains of another row of the same listing."""
        return replace(self, other_domains=self.other_domains | set(row.domains))


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
    """A subscription; `status` is in lower case, `body` is the whole resource as read.

    `quantity` is None if it cannot be read, and what it counts depends on the types.
    """

    id: str
    order_id: str
    status: str
    product_type: str = ""
    product_subtype: str = ""
    name: str = ""
    quantity: int | None = None
    billing_type: str = ""
    unit_type: str = ""
    microsoft_product: bool = True
    created: datetime | None = None
    term_end: datetime | None = None
    etag: str | None = None
    body: Json = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an order of a reservation or of software entitles the customer to.

    `quantity` is None if it cannot be read.
    """

    order_id: str
    entitlement_type: str
    quantity: int | None


@dataclass(frozen=True, slots=True)
class AzureSubscription:
    """An Azure subscription under an Azure plan, which the API calls an Azure entitlement."""

    id: str
    plan_id: str
    status: str
    name: str = ""


def listed(body: Json) -> Json:
    """Return a resource of a listing, `UNREADABLE` where it shows no status."""
    status = body.get("status")
    return body if isinstance(status, str) and status else {**body, "status": UNREADABLE}


def customer(body: Json) -> Customer:
    """Read one customer."""
    profile = _object(body.get("companyProfile"))
    return Customer(
        id=_tenant(body),
        domain=_text(profile, "domain").lower(),
        company_name=_text(profile, "companyName"),
    )


def order(body: Json) -> Order:
    """Read one order."""
    lines = body.get("lineItems")
    return Order(
        id=_identifier(body, "order"),
        status=_status(body, "order"),
        alternate_id=_text(body, "alternateId"),
        created=_timestamp(body.get("creationDate")),
        name=_text(_object(lines[0]), "friendlyName") if isinstance(lines, list) and lines else "",
    )


def subscription(body: Json) -> Subscription:
    """Read one subscription."""
    product_type = _object(body.get("productType"))
    return Subscription(
        id=_identifier(body, "subscription"),
        order_id=_text(body, "orderId"),
        status=_status(body, "subscription"),
        product_type=_text(product_type, "id"),
        product_subtype=_text(_object(product_type.get("subType")), "id"),
        name=_text(body, "friendlyName") or _text(body, "offerName"),
        quantity=_count(body.get("quantity")),
        billing_type=_text(body, "billingType").lower(),
        unit_type=_text(body, "unitType").lower(),
        microsoft_product=body.get("isMicrosoftProduct") is not False,
        created=_timestamp(body.get("creationDate")),
        term_end=_timestamp(body.get("commitmentEndDate")),
        etag=_text(_object(body.get("attributes")), "etag") or None,
        body=body,
    )


def entitlements(body: Json) -> Iterator[Entitlement]:
    """Read one entitlement and those that it includes."""
    reference = _object(body.get("referenceOrder"))
    yield Entitlement(
        order_id=_text(reference, "id"),
        entitlement_type=_text(body, "entitlementType").lower(),
        quantity=_count(body.get("quantity")),
    )
    included = body.get("includedEntitlements")
    for each in included if isinstance(included, list) else ():
        yield from entitlements(_object(each))


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


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(body: Json, member: str) -> str:
    value = body.get(member)
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """Return a count, rounded up; None for what is none, which must not pass as 0."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return ceil(value) if 0 <= value <= _HIGHEST_COUNT else None


def _timestamp(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        timestamp = datetime.fromisoformat(value)
    except ValueError:
        return None
    return known_date(timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC))


def known_date(timestamp: datetime) -> datetime | None:
    """Return a date, None if it cannot be one: an unknown date must not count as old.

    .NET's unset date is in the year 1, its largest in 9999.
    """
    return timestamp if FIRST_YEAR <= timestamp.year <= LAST_YEAR else None
