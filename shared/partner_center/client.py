"""The calls to Partner Center that the deletion of a sandbox customer needs."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from shared.events import Event, emit
from shared.partner_center import resources
from shared.partner_center.connection import Connection, Gate, Response
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import (
    ErrorStatus,
    Forbidden,
    NoRelationship,
    NoResponse,
    NotASandbox,
    NotFound,
    NotSupportedHere,
    Throttled,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
)
from shared.partner_center.resources import (
    AzureSubscription,
    Customer,
    Entitlement,
    Json,
    Order,
    Status,
    Subscription,
)

_PAGE_SIZE: Final = 100
# Far more than a sandbox has: a page that links to itself must not be read for ever.
_PAGE_LIMIT: Final = 100
# Microsoft's page on the call says 204, the REST reference 200.
_DELETED: Final = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})
# "Resource does not support app-only authentication": no customer's entitlements can be read.
_NOT_FOR_THIS_CREDENTIAL: Final = "900329"


def reads_only() -> None:
    """Refuse every write: the gate of a client that was given no other."""
    message = "A client without a gate sent a write: expected reads only"
    raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class SentWrite:
    """A write that was sent, and how Partner Center responded; `status` is None if it did not.

    `asked` is the status that the body asks for, "" if it asks for none.
    """

    method: str
    path: str
    asked: str
    request_id: str
    status: int | None = None
    code: str = ""


Recorder = Callable[[SentWrite, str], None]


def unrecorded(_write: SentWrite, _detail: str) -> None:
    """Tell nobody of a write: the recorder of a client that was given no other."""


class PartnerCenter:
    """Partner Center as one step sees it: all calls carry one correlation ID and share a deadline.

    Every method raises the errors of `shared.partner_center.errors`. `gate` is asked directly
    before a write leaves, and again before each repeat; what it raises stops the write. `recorder`
    is told of each write that left, once, with the last response. `calls` and `throttled` count
    what this object sent, repeats included, and the calls that got a 429.
    """

    def __init__(
        self,
        connection: Connection,
        correlation_id: str,
        deadline: Deadline | None = None,
        gate: Gate = reads_only,
        recorder: Recorder = unrecorded,
    ) -> None:
        self.calls = 0
        self.throttled = 0
        self.correlation_id = correlation_id
        self.deadline = deadline or Deadline.after()
        self._connection = connection
        self._gate = gate
        self._recorder = recorder

    def token_tenant(self) -> str:
        """Return the tenant of the access token, in lower case."""
        return self._connection.tokens.tenant(self.deadline)

    def customers(self) -> Iterator[Customer]:
        """Yield all customers of the partner, page by page ("Get a list of customers").

        Raises Unavailable if there is no such listing: that is an outage or a wrong base URL, and
        must not be mistaken for a customer that is gone.
        """
        try:
            for item in self._pages(f"customers?size={_PAGE_SIZE}"):
                yield resources.customer(item)
        except NotFound as error:
            description = "no list of customers: an outage, or a wrong PARTNER_CENTER_BASE_URL"
            raise Unavailable(replace(error.response, description=description)) from error

    def customer(self, customer_id: str) -> Customer:
        """Return one customer ("Get a customer by ID")."""
        path = _customer(customer_id)
        return resources.customer(_object(self._call("GET", path), path))

    def orders(self, customer_id: str) -> list[Order]:
        """Return all orders; a new one may be missing for up to 15 minutes."""
        items = self._pages(f"{_customer(customer_id)}/orders")
        return [resources.order(resources.listed(item)) for item in items]

    def subscriptions(self, customer_id: str) -> list[Subscription]:
        """Return all subscriptions, deleted ones too."""
        path = f"{_customer(customer_id)}/subscriptions"
        return [resources.subscription(resources.listed(item)) for item in self._pages(path)]

    def entitlements(self, customer_id: str) -> list[Entitlement]:
        """Return all entitlements, included ones too; none if they cannot be read.

        They only show orders that are not listed yet, and the DELETE has the last word. Microsoft's
        page "Get a collection of entitlements" names App+User only. A 403 that says so is
        remembered for the life of the process; any other failure concerns this customer.
        """
        tokens = self._connection.tokens
        if tokens.entitlements_forbidden:
            return []
        try:
            items = list(self._pages(f"{_customer(customer_id)}/entitlements"))
        except (NotASandbox, NoRelationship, Throttled):
            raise
        except Forbidden as error:
            tokens.entitlements_forbidden = error.response.code == _NOT_FOR_THIS_CREDENTIAL
            emit(Event.ENTITLEMENTS_FORBIDDEN, reason=str(error))
            return []
        except (ErrorStatus, UnexpectedResponse, NoResponse) as error:
            # A 401 with a code says that the token is wrong, whatever is read with it.
            if isinstance(error, Unauthorized) and error.response.code:
                raise
            emit(Event.ENTITLEMENTS_UNREAD, reason=str(error))
            return []
        return [found for item in items for found in resources.entitlements(item)]

    def azure_subscriptions(self, customer_id: str, plan_id: str) -> list[AzureSubscription]:
        """Return the Azure subscriptions of an Azure plan."""
        path = f"{_subscription(customer_id, plan_id)}/azureEntitlements"
        items = self._pages(path)
        return [resources.azure_subscription(resources.listed(item), plan_id) for item in items]

    def cancel_order(self, customer_id: str, order_id: str) -> Order | None:
        """Cancel an order; None while the cancellation is in progress.

        Source: Microsoft's page "Cancel an order from the integration sandbox".
        """
        path = f"{_customer(customer_id)}/orders/{_quoted(order_id)}"
        response = self._call("PATCH", path, body={"id": order_id, "status": Status.CANCELLED})
        return None if _in_progress(response) else resources.order(_object(response, path))

    def change_subscription(
        self, customer_id: str, subscription: Subscription, status: str
    ) -> Subscription | None:
        """Send a subscription back with another status; None while the change is in progress.

        The whole resource is sent, because members that are left out are reset ("Update a
        subscription by ID").
        """
        path = _subscription(customer_id, subscription.id)
        body = {**subscription.body, "status": status}
        # Without the ETag, a change made since the subscription was read would be undone.
        headers = {"If-Match": _quoted_etag(subscription.etag)} if subscription.etag else {}
        response = self._call("PATCH", path, body=body, headers=headers)
        return None if _in_progress(response) else resources.subscription(_object(response, path))

    def subscription(self, customer_id: str, subscription_id: str) -> Subscription:
        """Return one subscription ("Get a subscription by ID")."""
        path = _subscription(customer_id, subscription_id)
        return resources.subscription(_object(self._call("GET", path), path))

    def activate_subscription(self, customer_id: str, subscription_id: str) -> None:
        """Activate a sandbox marketplace subscription, which cannot be changed before that."""
        self._call("POST", f"{_subscription(customer_id, subscription_id)}/activate", body={})

    def cancel_azure_subscription(self, customer_id: str, azure: AzureSubscription) -> None:
        """Cancel one Azure subscription, which takes about 10 minutes.

        Source: Microsoft's page "Cancel an Azure subscription".
        """
        path = f"{_subscription(customer_id, azure.plan_id)}/azureEntitlements/{_quoted(azure.id)}"
        self._call("POST", f"{path}/cancel", body={"cancellationReason": "compromise"})

    def delete_customer(self, customer_id: str) -> None:
        """Purge a customer ("Delete a customer account from the integration sandbox").

        Raises NotASandbox if the environment does not know the operation, and UnexpectedResponse
        for a success status that is not documented.
        """
        try:
            response = self._call("DELETE", _customer(customer_id))
        except NotSupportedHere as error:
            # Production is expected to respond this way, although no page says so.
            raise NotASandbox(error.response) from error
        if response.status not in _DELETED:
            message = f"DELETE of customer {customer_id} got {response.status}: expected 200 or 204"
            raise UnexpectedResponse(message)

    def _pages(self, path: str) -> Iterator[Json]:
        headers: dict[str, str] = {}
        for _ in range(_PAGE_LIMIT):
            page = _object(self._call("GET", path, headers=headers), path)
            yield from _items(page, path)
            following = (page.get("links") or {}).get("next") or {}
            if not following.get("uri"):
                return
            path = following["uri"]
            headers = {header["key"]: header["value"] for header in following.get("headers") or ()}
        message = f"{path} has more than {_PAGE_LIMIT} pages: expected the few of a sandbox"
        raise UnexpectedResponse(message)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        try:
            if method == "GET":
                return self._send(method, path, str(uuid.uuid4()), body, headers)
            return self._recorded(method, path, body, headers)
        except Throttled:
            self.throttled += 1
            raise

    def _recorded(
        self, method: str, path: str, body: Json | None, headers: Mapping[str, str] | None
    ) -> Response:
        """Send a write and tell the recorder what became of it, if it left at all."""
        asked = str((body or {}).get("status", ""))
        write = SentWrite(method, f"/v1/{path}", asked, str(uuid.uuid4()))
        try:
            response = self._send(method, path, write.request_id, body, headers)
        except ErrorStatus as error:
            status, code = error.response.status, error.response.code
            self._recorder(replace(write, status=status, code=code), error.response.description)
            raise
        except (NoResponse, UnexpectedResponse) as error:
            # Without a connection, nothing left.
            if error.may_be_done:
                self._recorder(write, str(error))
            raise
        self._recorder(replace(write, status=response.status), _status_member(response))
        return response

    def _send(
        self,
        method: str,
        path: str,
        request_id: str,
        body: Json | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        return self._connection.call(
            method,
            path,
            correlation_id=self.correlation_id,
            request_id=request_id,
            deadline=self.deadline,
            gate=partial(self._before_attempt, method),
            body=body,
            headers=headers,
        )

    def _before_attempt(self, method: str) -> None:
        if method != "GET":
            self._gate()
        self.calls += 1


def _customer(customer_id: str) -> str:
    return f"customers/{_quoted(customer_id)}"


def _subscription(customer_id: str, subscription_id: str) -> str:
    return f"{_customer(customer_id)}/subscriptions/{_quoted(subscription_id)}"


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _quoted_etag(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'


def _in_progress(response: Response) -> bool:
    return response.status == HTTPStatus.ACCEPTED


def _status_member(response: Response) -> str:
    """Return the status of the resource in the response, "" if it has none."""
    return str(response.body.get("status", "")) if isinstance(response.body, dict) else ""


def _object(response: Response, path: str) -> Any:  # noqa: ANN401 - a JSON object
    if not isinstance(response.body, dict):
        found = "no JSON" if response.body is None else f"{response.body!r:.80}"
        message = f"{path} got status {response.status} with {found}: expected a JSON object"
        raise UnexpectedResponse(message)
    return response.body


def _items(page: Json, path: str) -> list[Json]:
    items = page.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        message = f"{path} has no list of objects in member items"
        raise UnexpectedResponse(message)
    return items
