"""The calls to Partner Center that the deletion of a sandbox customer needs."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from azure.core.exceptions import AzureError

from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center import resources
from shared.partner_center.connection import (
    Attempt,
    Connection,
    Gate,
    Response,
    Witness,
    unseen,
)
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import (
    ErrorStatus,
    Forbidden,
    NoContent,
    NotASandbox,
    NotForThisCredential,
    NotFound,
    NotSupportedHere,
    Throttled,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
)
from shared.partner_center.members import Json, Members, fold
from shared.partner_center.rate_limit import Rank
from shared.partner_center.resources import (
    AzureSubscription,
    Customer,
    Entitlement,
    Order,
    Status,
    Subscription,
)

_PAGE_SIZE: Final = 100
# A link must not change whom a call goes to, or in whose name.
_OWN_HEADERS: Final = "ms-"
# Far more than a sandbox has: a page that links to itself must not be read for ever.
_PAGE_LIMIT: Final = 100
# Microsoft's page on the call says 204, the REST reference 200.
_DELETED: Final = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


def reads_only() -> None:
    """Refuse every write: the gate of a client that was given no other."""
    message = "A client without a gate sent a write: expected reads only"
    raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class SentWrite:
    """A write that was sent, and how Partner Center responded; `status` is None if it did not.

    `asked` is the status that the body asks for, "" if it asks for none. Of several `attempts`, the
    response is that to the last; `responses` holds those to all of them, in their order. It is
    empty in what an earlier version has stored.
    """

    method: str
    path: str
    asked: str
    request_id: str
    status: int | None = None
    code: str = ""
    attempts: int = 1
    responses: tuple[Attempt, ...] = ()


Recorder = Callable[[SentWrite, str], None]


def unrecorded(_write: SentWrite, _detail: str) -> None:
    """Tell nobody of a write: the recorder of a client that was given no other."""


class PartnerCenter:
    """Partner Center as one step sees it: all calls carry one correlation ID and share a deadline.

    Every method raises the errors of `shared.partner_center.errors`. `gate` is asked directly
    before a write leaves, and again before each repeat; what it raises stops the write. `recorder`
    is told of each write that left, once, with all its attempts. `calls` and `throttled` count
    what this object sent, repeats included, and the calls that got a 429. `rank` is that of the
    first call; once it has left, the others belong to something that has begun.
    """

    def __init__(
        self,
        connection: Connection,
        correlation_id: str,
        deadline: Deadline | None = None,
        gate: Gate = reads_only,
        recorder: Recorder = unrecorded,
        *,
        rank: Rank = Rank.PERSON,
    ) -> None:
        self.calls = 0
        self.throttled = 0
        self.correlation_id = correlation_id
        self.deadline = deadline or Deadline.after()
        self._connection = connection
        self._gate = gate
        self._recorder = recorder
        self._rank = rank

    def token_tenant(self) -> str:
        """Return the tenant of the access token, in lower case."""
        return self._connection.tokens.tenant(self.deadline)

    def customers(self) -> Iterator[Customer]:
        """Yield all customers of the partner, page by page ("Get a list of customers").

        A row that cannot be read is a customer too. Raises Unavailable if there is no such listing:
        that is an outage or a wrong base URL, and must not be mistaken for a customer that is gone.
        Raises NoContent for a 204.
        """
        try:
            for row, item in enumerate(self._pages(f"customers?size={_PAGE_SIZE}")):
                yield resources.listed_customer(item, row)
        except NotFound as error:
            description = "no list of customers: an outage, or a wrong PARTNER_CENTER_BASE_URL"
            raise Unavailable(replace(error.response, description=description)) from error

    def customer(self, customer_id: str) -> Customer:
        """Return one customer ("Get a customer by ID")."""
        return resources.customer(self._call("GET", _customer(customer_id)).body)

    def orders(self, customer_id: str) -> list[Order]:
        """Return all orders; a new one may be missing for up to 15 minutes."""
        items = self._listing(f"{_customer(customer_id)}/orders")
        return [resources.listed_order(item, row) for row, item in enumerate(items)]

    def subscriptions(self, customer_id: str) -> list[Subscription]:
        """Return all subscriptions, deleted ones too."""
        items = self._listing(f"{_customer(customer_id)}/subscriptions")
        return [resources.listed_subscription(item, row) for row, item in enumerate(items)]

    def entitlements(self, customer_id: str) -> list[Entitlement]:
        """Return all entitlements, included ones too; none if they cannot be read.

        They only show orders that are not listed yet, and the DELETE has the last word. Microsoft's
        page "Get a collection of entitlements" names App+User only. A 403 that says so is
        remembered for the life of the process; any other failure concerns this customer.
        """
        tokens = self._connection.tokens
        with tokens.first_entitlements.alone(self.deadline):
            if tokens.entitlements_forbidden:
                return []
            return self._entitlements(customer_id)

    def _entitlements(self, customer_id: str) -> list[Entitlement]:
        try:
            items = self._listing(f"{_customer(customer_id)}/entitlements")
        except Unauthorized as error:
            # One with a code says that the token is wrong, whatever is read with it.
            if error.response.code:
                raise
            emit(Event.ENTITLEMENTS_UNREAD, tenant=customer_id, reason=str(error))
            return []
        except Forbidden as error:
            # Then no customer's entitlements can be read; BlockedByPolicy may be lifted.
            forbidden = type(error) is NotForThisCredential
            self._connection.tokens.entitlements_forbidden = forbidden
            emit(Event.ENTITLEMENTS_FORBIDDEN, reason=str(error))
            return []
        return [found for item in items for found in resources.listed_entitlements(item)]

    def azure_subscriptions(self, customer_id: str, plan_id: str) -> list[AzureSubscription]:
        """Return the Azure subscriptions of an Azure plan."""
        items = self._listing(f"{_subscription(customer_id, plan_id)}/azureEntitlements")
        return [resources.azure_subscription(item, plan_id, row) for row, item in enumerate(items)]

    def cancel_order(self, customer_id: str, order_id: str) -> Order | None:
        """Cancel an order; None while the cancellation is in progress.

        Source: Microsoft's page "Cancel an order from the integration sandbox".
        """
        path = f"{_customer(customer_id)}/orders/{_quoted(order_id)}"
        response = self._call("PATCH", path, body={"id": order_id, "status": Status.CANCELLED})
        return None if _in_progress(response) else resources.order(response.body)

    def change_subscription(
        self, customer_id: str, subscription: Subscription, status: str
    ) -> Subscription | None:
        """Send a subscription back with another status; None while the change is in progress.

        The whole resource is sent, because members that are left out are reset ("Update a
        subscription by ID").
        """
        path = _subscription(customer_id, subscription.id)
        body = _with_status(subscription.body, status)
        # Without the ETag, a change made since the subscription was read would be undone.
        headers = {"If-Match": _quoted_etag(subscription.etag)} if subscription.etag else {}
        response = self._call("PATCH", path, body=body, headers=headers)
        return None if _in_progress(response) else resources.subscription(response.body)

    def subscription(self, customer_id: str, subscription_id: str) -> Subscription:
        """Return one subscription ("Get a subscription by ID")."""
        path = _subscription(customer_id, subscription_id)
        return resources.subscription(self._call("GET", path).body)

    def activate_subscription(self, customer_id: str, subscription_id: str) -> None:
        """Activate a sandbox marketplace subscription, which cannot be changed before that.

        Sent without a body, as Microsoft's page "Activate a sandbox subscription" prints it.
        """
        self._call("POST", f"{_subscription(customer_id, subscription_id)}/activate")

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

    def _listing(self, path: str) -> list[Any]:
        try:
            return list(self._pages(path))
        except NoContent:
            return []

    def _pages(self, path: str) -> Iterator[Any]:
        """Yield the items of each page; raises NoContent if the first is a 204.

        Raises UnexpectedResponse for a listing that is not whole: with a success that is no 200, or
        with fewer items than `totalCount` says, which counts those of one page or of all.
        """
        headers: dict[str, str] = {}
        found = 0
        for number in range(_PAGE_LIMIT):
            response = self._call("GET", path, headers=headers)
            if response.status == HTTPStatus.NO_CONTENT:
                raise _no_content(path, number)
            page = Members.of(response.body, f"the body with status {response.status} from {path}")
            if response.status != HTTPStatus.OK:
                message = f"GET {path} got {response.status}: expected 200, which is the whole list"
                raise UnexpectedResponse(message)
            items = _items(page)
            found += len(items)
            yield from items
            following = page.child("links").child("next")
            uri = following.text("uri").strip()
            if not uri:
                _require_whole(page, found)
                return
            path, headers = _next_path(path, uri), _paging_headers(following)
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
                return self._send(method, path, body=body, headers=headers)
            return self._recorded(method, path, body, headers)
        except Throttled:
            self.throttled += 1
            raise

    def _recorded(
        self, method: str, path: str, body: Json | None, headers: Mapping[str, str] | None
    ) -> Response:
        """Send a write and tell the recorder what became of it, if it left at all.

        It may have left although what stopped it came later, such as an abort before a repeat.
        """
        asked = str((body or {}).get("status", ""))
        write = SentWrite(method, f"/v1/{path}", asked, str(uuid.uuid4()))
        attempts: list[Attempt] = []
        detail = ""
        try:
            response = self._send(
                method,
                path,
                body=body,
                headers=headers,
                request_id=write.request_id,
                witness=attempts.append,
            )
            detail = _status_member(response)
        except (TipsweepError, AzureError) as error:
            detail = error.response.description if isinstance(error, ErrorStatus) else str(error)
            raise
        finally:
            if attempts:
                self._recorder(_after(write, attempts), detail)
        return response

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Json | None,
        headers: Mapping[str, str] | None,
        request_id: str = "",
        witness: Witness = unseen,
    ) -> Response:
        return self._connection.call(
            method,
            path,
            correlation_id=self.correlation_id,
            request_id=request_id,
            deadline=self.deadline,
            gate=_open if method == "GET" else self._gate,
            rank=max(self._rank, Rank.STARTED) if self.calls else self._rank,
            leaving=self._count,
            body=body,
            headers=headers,
            witness=witness,
        )

    def _count(self) -> None:
        self.calls += 1


def _open() -> None:
    """Let a read leave."""


def _after(write: SentWrite, attempts: Sequence[Attempt]) -> SentWrite:
    last, responses = attempts[-1], tuple(attempts)
    return replace(
        write, status=last.status, code=last.code, attempts=len(responses), responses=responses
    )


def _customer(customer_id: str) -> str:
    return f"customers/{_quoted(customer_id)}"


def _subscription(customer_id: str, subscription_id: str) -> str:
    return f"{_customer(customer_id)}/subscriptions/{_quoted(subscription_id)}"


def _with_status(body: Json, status: str) -> Json:
    """Return a resource with a status, and no other one in another letter case of its name."""
    others = {name: value for name, value in body.items() if fold(name) != "status"}
    return {**others, "status": status}


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _quoted_etag(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'


def _in_progress(response: Response) -> bool:
    return response.status == HTTPStatus.ACCEPTED


def _status_member(response: Response) -> str:
    """Return the status of the resource in the response, "" if it has none."""
    found = response.body
    return Members(found, "the response").label("status") if isinstance(found, dict) else ""


def _no_content(path: str, number: int) -> UnexpectedResponse:
    message = f"GET {path} got 204 with no list"
    # A page that another one announces is not empty: what it holds is missing.
    return (
        UnexpectedResponse(f"{message}: expected page {number + 1}")
        if number
        else NoContent(message)
    )


def _require_whole(last: Members, found: int) -> None:
    total = resources.count(last.value("totalCount"))
    if total is not None and total > found:
        message = f"{last.what} has totalCount {total}, but {found} items were listed: expected all"
        raise UnexpectedResponse(message)


def _items(page: Members) -> list[Any]:
    if page.value("items") is None:
        message = f"{page.what} has no member items: expected an array"
        raise UnexpectedResponse(message)
    return page.items("items")


def _next_path(path: str, uri: str) -> str:
    """Return where a link of the page at a path leads: a query alone asks that page again."""
    return path.partition("?")[0] + uri if uri.startswith("?") else uri


def _paging_headers(link: Members) -> dict[str, str]:
    """Return the headers that a link asks for, except those that are not Partner Center's own."""
    found = [Members.of(each, f"a header of {link.what}") for each in link.items("headers")]
    named = {each.header("key"): each.header("value") for each in found}
    return {key: value for key, value in named.items() if key.lower().startswith(_OWN_HEADERS)}
