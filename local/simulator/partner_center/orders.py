"""Orders, their provisioning status and their entitlements."""

from datetime import timedelta
from enum import StrEnum

from local.simulator.partner_center import resources
from local.simulator.partner_center.errors import ServiceError, choice_error
from local.simulator.partner_center.service_request import ServiceRequest, ServiceResponse
from local.simulator.state.behaviour import CancelledEntitlement, CancelledOrder
from local.simulator.state.products import cancellation_rejection
from local.simulator.state.purchases import Order


class OrderStatus(StrEnum):
    """The documented values; those of several words as they appear in JSON."""

    UNKNOWN = "unknown"
    COMPLETED = "completed"
    PENDING = "pending"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"
    PENDING_REVIEW = "pending_review"
    PENDING_PO_UPLOAD = "pending_po_upload"
    PO_UPLOAD_COMPLETE = "po_upload_complete"
    PO_REVIEW_REJECTED = "po_review_rejected"
    PARTIAL_SUCCESS = "partial_success"
    ERROR = "error"


def list_orders(request: ServiceRequest) -> ServiceResponse:
    """Return the orders that the list shows already."""
    lag = timedelta(seconds=request.behaviour.order_list_lag_seconds)
    listed = [order for order in request.customer().orders if order.age >= lag]
    return ServiceResponse(
        body=resources.collection([resources.order(order, order.read()) for order in listed])
    )


def get_order(request: ServiceRequest) -> ServiceResponse:
    """Return one order."""
    order = request.order()
    return ServiceResponse(body=resources.order(order, order.read()))


def get_provisioning_status(request: ServiceRequest) -> ServiceResponse:
    """Return the provisioning status of each line."""
    return ServiceResponse(body=resources.provisioning_status(request.order()))


def patch_order(request: ServiceRequest) -> ServiceResponse:
    """Cancel an order or some of its lines, if its kind and age allow it."""
    order = request.order()
    request.check_body_id(order.id)
    wanted = request.wanted_status(OrderStatus)
    request.check_etag(order.etag)
    if wanted != "cancelled":
        raise ServiceError(400, 3000, f"An order cannot be changed to {wanted}.")
    if rejection := cancellation_rejection(order.kind, sandbox=request.account.sandbox):
        raise ServiceError.of(rejection)
    if order.status == "cancelled":
        if request.behaviour.cancelled_order is not CancelledOrder.OK:
            raise choice_error(request.behaviour.cancelled_order, "Order cannot be canceled.")
        return ServiceResponse(body=resources.order(order, "cancelled"))
    if order.status == "pending":
        raise ServiceError(409, 800060, "The order is in progress.")
    _check_age(request, order)
    order.cancel(_line_numbers(request, order))
    return ServiceResponse(body=resources.order(order, order.status))


def list_entitlements(request: ServiceRequest) -> ServiceResponse:
    """Return the entitlements of software and reservations."""
    behaviour = request.behaviour
    customer = request.customer()
    if request.app_only and not behaviour.app_only_entitlements:
        raise choice_error(
            behaviour.app_only_entitlements_error,
            "The resource does not support app-only authentication.",
        )
    wanted = request.query.get("entitlementtype", "").lower()
    show_expiry = request.query.get("showexpiry", "").lower() == "true"
    keeps = behaviour.cancelled_entitlement is CancelledEntitlement.QUANTITY_ZERO
    entitled = [
        order
        for order in customer.orders
        if order.product.entitlement_type
        and wanted in {"", order.product.entitlement_type}
        and (keeps or order.status != "cancelled")
    ]
    return ServiceResponse(
        body=resources.collection(
            [resources.entitlement(order, show_expiry=show_expiry) for order in entitled]
        )
    )


def _check_age(request: ServiceRequest, order: Order) -> None:
    oldest = timedelta(days=request.behaviour.order_cancellable_days)
    if request.account.sandbox and order.age > oldest:
        raise choice_error(
            request.behaviour.too_old_order,
            f"Order cannot be canceled: it is older than {oldest.days} days.",
        )


def _line_numbers(request: ServiceRequest, order: Order) -> set[int]:
    lines = request.body.get("lineItems")
    known = {line.number: line.offer_id for line in order.lines}
    if lines is None:
        return set(known)
    if not isinstance(lines, list) or not all(_names_line(line, known) for line in lines):
        raise ServiceError(
            400, 3000, "lineItems must identify lines of the order by lineItemNumber and offerId."
        )
    return {line["lineItemNumber"] for line in lines}


def _names_line(line: object, known: dict[int, str]) -> bool:
    if not isinstance(line, dict):
        return False
    number = line.get("lineItemNumber")
    return isinstance(number, int) and line.get("offerId") == known.get(number)
