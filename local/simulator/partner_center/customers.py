"""Customers: the paged list, one customer by ID, and DELETE."""

import base64
import binascii
import json
from collections.abc import Sequence
from urllib.parse import quote

from local.simulator.partner_center.errors import ServiceError, choice_error
from local.simulator.partner_center.resources import (
    collection,
    customer_in_full,
    customer_item,
    link,
)
from local.simulator.partner_center.service_request import (
    UNKNOWN_CUSTOMER,
    ServiceRequest,
    ServiceResponse,
)
from local.simulator.state.behaviour import UnknownDelete
from local.simulator.state.products import ProductKind
from local.simulator.state.purchases import Customer, Order

_FIELDS = {"CompanyName", "Domain", "IndirectReseller", "IndirectCloudSolutionProvider"}


def list_customers(request: ServiceRequest) -> ServiceResponse:
    """Return one page; the next one is requested with MS-ContinuationToken."""
    found = _filtered(request)
    start = max(0, _start(request) - request.behaviour.customers_page_overlap)
    size = _page_size(request)
    page = found[start : start + size]
    body = collection([customer_item(customer) for customer in page])
    links: dict[str, object] = {"self": link(f"/customers?size={size}")}
    if start + size < len(found):
        token = _token(page[-1])
        body["continuationToken"] = token
        links["next"] = _next_link(request, token)
    return ServiceResponse(body={**body, "links": links})


def get_customer(request: ServiceRequest) -> ServiceResponse:
    """Return one customer."""
    return ServiceResponse(body=customer_in_full(request.customer()))


def delete_customer(request: ServiceRequest) -> ServiceResponse:
    """Delete a customer of the sandbox, unless a purchase still blocks it."""
    if not request.account.sandbox:
        raise choice_error(
            request.behaviour.production_delete,
            "The operation is not supported in this environment.",
        )
    customer = request.known_customer()
    if customer is None:
        return _deleted_unknown(request)
    if blocking := [order for order in customer.orders if _blocks(request, order)]:
        short_ids = ", ".join(order.short_id for order in blocking)
        raise choice_error(
            request.behaviour.blocked_delete,
            f"The customer has active reserved instances or purchases. Orders: {short_ids}.",
        )
    customer.deleted = True
    return ServiceResponse(204)


def _deleted_unknown(request: ServiceRequest) -> ServiceResponse:
    unknown = request.behaviour.unknown_delete
    if unknown is UnknownDelete.NO_CONTENT:
        return ServiceResponse(204)
    raise choice_error(unknown, UNKNOWN_CUSTOMER)


def _blocks(request: ServiceRequest, order: Order) -> bool:
    behaviour = request.behaviour
    # Software blocks until its order is cancelled; suspending the subscription is not enough.
    if order.product.software or order.subscription is None:
        return order.status != "cancelled"
    status = order.subscription.status
    if status == "suspended" and order.kind is ProductKind.NCE_LICENCES:
        return behaviour.suspended_nce_blocks
    return status in {"active", "pending"} and behaviour.active_subscription_blocks


def _filtered(request: ServiceRequest) -> Sequence[Customer]:
    customers = [customer for customer in request.account.customers if not customer.deleted]
    if "filter" not in request.query:
        return customers
    try:
        wanted = json.loads(request.query["filter"])
        field, value, operator = wanted["Field"], wanted["Value"].lower(), wanted["Operator"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServiceError(
            400, 3000, "filter must be a JSON object with Field, Value and Operator."
        ) from error
    if field not in _FIELDS or operator != "starts_with":
        raise ServiceError(400, 3000, f"A filter on {field!r} with {operator!r} is not supported.")
    return [one for one in customers if _filter_member(one, field).lower().startswith(value)]


def _filter_member(customer: Customer, field: str) -> str:
    return {"Domain": customer.domain, "CompanyName": customer.company_name}.get(field, "")


def _page_size(request: ServiceRequest) -> int:
    text = request.query.get("size", "0")
    if not text.isascii() or not text.isdigit():
        raise ServiceError(400, 3000, f"size must be a whole number, not {text!r}.")
    largest = request.behaviour.customers_page_size
    return min(int(text) or largest, largest)


def _start(request: ServiceRequest) -> int:
    seek = request.query.get("seekoperation")
    token = request.headers.get("ms-continuationtoken")
    if seek is None and token is None:
        return 0
    if seek is None or seek.lower() != "next" or token is None:
        raise ServiceError(
            400, 3000, "Paging needs seekOperation=Next and the header MS-ContinuationToken."
        )
    return _after(request, token)


def _token(customer: Customer) -> str:
    return base64.b64encode(f"after {customer.tenant_id}".encode()).decode()


def _after(request: ServiceRequest, token: str) -> int:
    """Return the index after the token's customer, which may have been deleted since."""
    try:
        last = base64.b64decode(token, validate=True).decode().removeprefix("after ")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError(400, 3000, "The continuation token is invalid.") from error
    before = 0
    alive = {id(customer) for customer in _filtered(request)}
    # Deleted customers are kept in the account, so that a token that names one stays valid.
    for customer in request.account.customers:
        before += id(customer) in alive
        if customer.tenant_id == last:
            return before
    raise ServiceError(400, 3000, "The continuation token is invalid.")


def _next_link(request: ServiceRequest, token: str) -> dict[str, object]:
    behaviour = request.behaviour
    query = f"size={request.query.get('size', '0')}"
    if "filter" in request.query:
        query += f"&filter={quote(request.query['filter'], safe='')}"
    version = "/v1" if behaviour.next_link_version else ""
    uri = f"{behaviour.next_link_host or ''}{version}/customers?{query}&seekOperation=Next"
    return {**link(uri), "headers": [{"key": "MS-ContinuationToken", "value": token}]}
