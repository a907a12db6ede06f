"""One authenticated call to Partner Center, as handlers see it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from local.simulator.partner_center.errors import ServiceError, choice_error
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour
from local.simulator.state.purchases import Customer, Order, Subscription
from local.simulator.state.world import World

UNKNOWN_CUSTOMER = "The customer's tenant was not found."


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """A successful response: HTTP status, JSON body (None if empty), headers."""

    status: int = 200
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """The caller, the request, and the world that it acts on."""

    world: World
    account: Account
    other_account: Account
    app_only: bool
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, object]

    @property
    def behaviour(self) -> Behaviour:
        """The current behaviour."""
        return self.world.behaviour

    def known_customer(self) -> Customer | None:
        """Return the customer in the path, or None if it is unknown.

        Raises 400/900118 if the ID is not a GUID, 403/900159 for a customer of another partner.
        """
        tenant_id = self.path["customer_id"]
        if not is_guid(tenant_id):
            raise ServiceError(400, 900118, f"Invalid customer ID {tenant_id!r}: not a GUID.")
        customer = self.account.customer(tenant_id)
        if customer is None and self.other_account.customer(tenant_id):
            raise ServiceError(
                403, 900159, f"No commerce relationship with the customer {tenant_id}."
            )
        return customer

    def customer(self) -> Customer:
        """Return the customer in the path; raises the error that the behaviour names."""
        customer = self.known_customer()
        if customer is None:
            raise choice_error(self.behaviour.unknown_customer, UNKNOWN_CUSTOMER)
        return customer

    def order(self) -> Order:
        """Return the order in the path; raises 404/20000."""
        wanted = self.path["order_id"]
        for order in self.customer().orders:
            if order.id == wanted:
                return order
        raise ServiceError(404, 20000, f"Order {wanted} not found.")

    def subscription(self) -> Subscription:
        """Return the subscription in the path; raises 404/20003."""
        wanted = self.path["subscription_id"].lower()
        for subscription in self.customer().subscriptions:
            if subscription.id == wanted:
                return subscription
        raise ServiceError(404, 20003, f"Subscription {wanted} not found.")

    def wanted_status(self, statuses: type[StrEnum]) -> str:
        """Return the status that the body asks for, in lower case.

        Raises 400 with the integer code 0 for an unknown status, as observed on orders.
        """
        status = self.body.get("status")
        if not isinstance(status, str):
            raise ServiceError(400, 3000, "The property status is missing or not a string.")
        if status.lower() not in set(statuses):
            raise ServiceError(400, 0, f"{status!r} is not a valid value for {statuses.__name__}.")
        return status.lower()

    def check_body_id(self, resource_id: str) -> None:
        """Raise 400/3000 unless the body contains the ID of the resource."""
        if self.body.get("id") != resource_id:
            raise ServiceError(400, 3000, "The property id does not match the resource.")

    def check_etag(self, etag: str | None) -> None:
        """Raise 400/2055 if If-Match is present and is not the quoted etag of the resource."""
        if_match = self.headers.get("if-match")
        if etag is not None and if_match not in {None, f'"{etag}"'}:
            raise ServiceError(400, 2055, "The etag is stale or not quoted.")


def is_guid(text: str) -> bool:
    """Return whether a text is a GUID with hyphens."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
