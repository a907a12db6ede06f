"""Partner Center's resources as immutable value objects.

Shapes follow Microsoft's pages "Customer resources", "Order resources", "Subscription resources"
and "Entitlement resources"; members that tipsweep does not use are left out, except those of a
subscription, which a PATCH must send back whole.

A member that is missing has a default. One of another type than documented makes the resource
unreadable, unless it is only shown: UnexpectedResponse is raised, or in a listing the resource has
the status `UNREAD` and says why.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil
from typing import Final, Self

from shared.limits import FIRST_YEAR, LAST_YEAR
from shared.partner_center.errors import UnexpectedResponse
from shared.partner_center.members import Json, Members
from shared.tenants import NotATenantId, TenantId, tenant_id

# A dot may separate thousands, and 4e2 may be a name, so only digits say which number is meant.
_DIGITS: Final = re.compile(r"\s*\+?(\d+)(\.0)?\s*", re.ASCII)
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
# The status of a listed resource that could not be read: nothing may be sent for it.
UNREAD: Final = "unread"
# A resource that has ended needs no call, whatever else it shows.
_ENDED: Final = frozenset({Status.CANCELLED, Status.DELETED})


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the partner.

    `other_domains` are those that repeated rows of a listing show; `unread` says why its row could
    not be read.
    """

    id: TenantId
    domain: str
    company_name: str
    other_domains: frozenset[str] = frozenset()
    unread: str = ""

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain that was listed, "" for a row that shows none; none if it is not known."""
        own = () if self.unread and not self.domain else (self.domain,)
        return (*own, *sorted(self.other_domains.difference(own)))

    def merged_with(self, row: Self) -> Self:
        """Return this customer with what another row of the same listing shows."""
        merged = self.with_domains_of(row)
        return replace(merged, unread=self.unread or row.unread)

    def with_domains_of(self, row: Self) -> Self:
        """Return this customer with the domains that another row of it shows."""
        return replace(self, other_domains=frozenset({*self.domains, *row.domains}))


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `status` is in lower case, `unread` says why it could not be read."""

    id: str
    status: str
    alternate_id: str = ""
    created: datetime | None = None
    name: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; `status` is in lower case, `body` is the whole resource as read.

    `quantity` is None if it cannot be read, and what it counts depends on the types; `unread` says
    why the subscription could not be read.
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
    unread: str = ""
    body: Json = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an order of a reservation or of software entitles the customer to.

    `quantity` is None if it cannot be read; `unread` says why the entitlement could not be read,
    which then names no order.
    """

    order_id: str
    entitlement_type: str
    quantity: int | None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class AzureSubscription:
    """An Azure subscription under an Azure plan, which the API calls an Azure entitlement.

    `unread` says why it could not be read.
    """

    id: str
    plan_id: str
    status: str
    name: str = ""
    unread: str = ""


def customer(body: object) -> Customer:
    """Read one customer."""
    members = Members.of(body, "a customer")
    profile = members.child("companyProfile")
    return Customer(
        id=_tenant(members),
        domain=profile.word("domain").lower(),
        company_name=profile.label("companyName"),
    )


def listed_customer(item: object, row: int) -> Customer:
    """Read the customer in a row of a listing, counted from 0.

    One that cannot be read has no domain; without an ID it stands under one that nobody has.
    """
    try:
        return customer(item)
    except UnexpectedResponse as error:
        stand_in = TenantId(f"00000000-0000-0000-0000-{row + 1:012}")
        return Customer(_tenant_or(item, stand_in), "", "", unread=str(error))


def order(body: object) -> Order:
    """Read one order."""
    return _order(_named(body, "order"))


def listed_order(item: object, row: int) -> Order:
    """Read the order in a row of a listing, counted from 0."""
    try:
        return _order(_listed(_named(item, "order")))
    except UnexpectedResponse as error:
        return Order(_id_or(item, f"orders[{row}]"), _status_of_unread(item), unread=str(error))


def _order(members: Members) -> Order:
    return Order(
        id=members.identifier(),
        status=_status(members),
        alternate_id=members.word("alternateId"),
        created=_timestamp(members.text("creationDate")),
        name=_line_name(members.value("lineItems")),
    )


def _line_name(lines: object) -> str:
    """Return the name of the first line, which is only shown."""
    first = lines[0] if isinstance(lines, list) and lines else None
    return Members(first, "a line").label("friendlyName") if isinstance(first, dict) else ""


def subscription(body: object) -> Subscription:
    """Read one subscription."""
    return _subscription(_named(body, "subscription"))


def listed_subscription(item: object, row: int) -> Subscription:
    """Read the subscription in a row of a listing, counted from 0.

    What the safety rules ask for, and the order, are read as far as they can be.
    """
    try:
        return _subscription(_listed(_named(item, "subscription")))
    except UnexpectedResponse as error:
        body = _object(item)
        product_type = _object(_value(body, "productType"))
        subtype = _object(_value(product_type, "subType"))
        return Subscription(
            id=_id_or(item, f"subscriptions[{row}]"),
            order_id=_text(body, "orderId"),
            status=_status_of_unread(item),
            product_type=_text(product_type, "id"),
            product_subtype=_text(subtype, "id") or _text(subtype, "displayName"),
            name=_text(body, "friendlyName"),
            quantity=count(_value(body, "quantity")),
            billing_type=_text(body, "billingType").lower(),
            unit_type=_text(body, "unitType").lower(),
            unread=str(error),
        )


def _subscription(members: Members) -> Subscription:
    members.require_sendable()
    product_type = members.child("productType")
    subtype = product_type.child("subType")
    return Subscription(
        id=members.identifier(),
        order_id=members.word("orderId"),
        status=_status(members),
        product_type=product_type.word("id"),
        product_subtype=subtype.word("id") or subtype.label("displayName"),
        name=members.label("friendlyName") or members.label("offerName"),
        quantity=count(members.value("quantity")),
        billing_type=members.word("billingType").lower(),
        unit_type=members.word("unitType").lower(),
        microsoft_product=members.flag("isMicrosoftProduct", default=True),
        created=_timestamp(members.text("creationDate")),
        term_end=_timestamp(members.label("commitmentEndDate")),
        etag=members.child("attributes").header("etag") or None,
        body=members.body,
    )


def listed_entitlements(item: object) -> list[Entitlement]:
    """Read an entitlement of a listing and those that it includes, at any depth."""
    try:
        return list(_entitlements(Members.of(item, "an entitlement")))
    except UnexpectedResponse as error:
        return [Entitlement("", "", 0, unread=str(error))]


def _entitlements(members: Members) -> Iterator[Entitlement]:
    left = [members]
    while left:
        members = left.pop()
        yield Entitlement(
            order_id=members.child("referenceOrder").word("id"),
            entitlement_type=members.label("entitlementType").lower(),
            quantity=count(members.value("quantity")),
        )
        included = members.items("includedEntitlements")
        left += [Members.of(each, "an included entitlement") for each in included]


def azure_subscription(item: object, plan_id: str, row: int) -> AzureSubscription:
    """Read the Azure entitlement in a row of the listing of this plan, counted from 0."""
    try:
        members = _listed(_named(item, "Azure entitlement"))
        return AzureSubscription(
            id=members.identifier(),
            plan_id=plan_id,
            status=_status(members),
            name=members.label("friendlyName"),
        )
    except UnexpectedResponse as error:
        # The ID of the plan keeps rows of several plans apart.
        stand_in = f"{plan_id}/azureEntitlements[{row}]"
        return AzureSubscription(_id_or(item, stand_in), plan_id, UNREAD, unread=str(error))


def _named(body: object, kind: str) -> Members:
    """Return the members of a resource, with its ID in their errors if it shows one."""
    return Members.of(body, f"{kind} {_text(_object(body), 'id')}".strip())


def _listed(members: Members) -> Members:
    """Return a resource of a listing, `UNREADABLE` where it shows no status."""
    if members.word("status"):
        return members
    return replace(members, body={**members.body, "status": UNREADABLE})


def _status_of_unread(item: object) -> str:
    status = _text(_object(item), "status").lower()
    return status if status in _ENDED else UNREAD


def _tenant(members: Members) -> TenantId:
    try:
        return tenant_id(members.identifier())
    except NotATenantId as error:
        message = f"The id of a customer is not a tenant ID: {error}"
        raise UnexpectedResponse(message) from error


def _tenant_or(item: object, stand_in: TenantId) -> TenantId:
    try:
        return _tenant(Members.of(item, "a customer"))
    except UnexpectedResponse:
        return stand_in


def _id_or(item: object, stand_in: str) -> str:
    try:
        return Members.of(item, "a resource").identifier()
    except UnexpectedResponse:
        return stand_in


def _status(members: Members) -> str:
    value = members.word("status")
    if not value:
        message = f"{members.what} without a status: expected text in member status, found none"
        raise UnexpectedResponse(message)
    return value.lower()


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _value(body: Json, member: str) -> object:
    return Members(body, "").value(member)


def _text(body: Json, member: str) -> str:
    return Members(body, "").label(member)


def count(value: object) -> int | None:
    """Return a count, rounded up; None for what is none, which must not pass as 0."""
    if isinstance(value, str) and (digits := _DIGITS.fullmatch(value)):
        value = float(digits[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return ceil(value) if 0 <= value <= _HIGHEST_COUNT else None


def _timestamp(value: str) -> datetime | None:
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
