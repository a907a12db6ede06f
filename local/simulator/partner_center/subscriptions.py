"""Subscriptions, their activation in the sandbox, and the Azure subscriptions of a plan."""

from enum import StrEnum

from local.simulator.partner_center import resources
from local.simulator.partner_center.errors import ServiceError
from local.simulator.partner_center.service_request import ServiceRequest, ServiceResponse
from local.simulator.state.products import ProductKind
from local.simulator.state.purchases import AzureSubscription, Subscription

_CANCELLATION_REASONS = {"compromise"}


class SubscriptionStatus(StrEnum):
    """The documented values."""

    NONE = "none"
    ACTIVE = "active"
    PENDING = "pending"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    DISABLED = "disabled"
    DELETED = "deleted"


def list_subscriptions(request: ServiceRequest) -> ServiceResponse:
    """Return the subscriptions, limited to one order by `order_id`."""
    order_id = request.query.get("order_id")
    listed = [
        subscription
        for subscription in request.customer().subscriptions
        if order_id in {None, subscription.order.id}
    ]
    return ServiceResponse(
        body=resources.collection([resources.subscription(one, one.read()) for one in listed])
    )


def get_subscription(request: ServiceRequest) -> ServiceResponse:
    """Return one subscription."""
    subscription = request.subscription()
    return ServiceResponse(body=resources.subscription(subscription, subscription.read()))


def patch_subscription(request: ServiceRequest) -> ServiceResponse:
    """Change the status of a subscription; the body is the whole resource."""
    subscription = request.subscription()
    status = subscription.status
    _check_contract_version(request)
    _check_whole(request, resources.subscription(subscription, status))
    wanted = request.wanted_status(SubscriptionStatus)
    request.check_etag(subscription.etag)
    if status == "pending":
        raise ServiceError(409, 800082, "The subscription is not ready. Try again later.")
    if status == "deleted":
        raise ServiceError(400, 2011, "The subscription is already deleted.")
    if wanted != status:
        _check_change(request, subscription, wanted)
        subscription.change(wanted, subscription.order.cancellation_delay)
    return _patched(request, subscription)


def activate_subscription(request: ServiceRequest) -> ServiceResponse:
    """Activate marketplace SaaS, which only the sandbox supports."""
    subscription = request.subscription()
    if not request.account.sandbox:
        raise ServiceError(400, 900127, "The operation is not supported in this environment.")
    if subscription.order.kind is not ProductKind.MARKETPLACE_SAAS:
        raise ServiceError(400, 3000, "Only SaaS subscriptions can be activated.")
    subscription.activated = True
    return ServiceResponse(body={"subscriptionId": subscription.id, "status": "Success"})


def list_azure_entitlements(request: ServiceRequest) -> ServiceResponse:
    """Return the Azure subscriptions of a plan."""
    plan = request.subscription()
    listed = [resources.azure_entitlement(azure, plan) for azure in plan.azure_subscriptions]
    return ServiceResponse(body=resources.collection(listed))


def cancel_azure_entitlement(request: ServiceRequest) -> ServiceResponse:
    """Start to cancel an Azure subscription; the response still says active."""
    plan = request.subscription()
    azure = _azure_subscription(request, plan)
    if request.body.get("cancellationReason") not in _CANCELLATION_REASONS:
        raise ServiceError(400, 900307, "cancellationReason must be compromise.")
    azure.cancel()
    return ServiceResponse(
        request.behaviour.azure_cancel_status, body=resources.azure_entitlement(azure, plan)
    )


def _check_contract_version(request: ServiceRequest) -> None:
    required = request.behaviour.calls_as_printed
    if required and request.headers.get("ms-contract-version") != "v1":
        raise ServiceError(400, 3000, "The header MS-Contract-Version must be v1.")


def _check_whole(request: ServiceRequest, resource: dict[str, object]) -> None:
    """Raise 400/3000 unless the body is the whole resource with only the status changed."""
    missing = sorted(set(resource) - set(request.body))
    if missing:
        raise ServiceError(
            400, 3000, f"Send the whole subscription; missing: {', '.join(missing)}."
        )
    # The others follow from the status or the version, so a copy may be out of date.
    fixed = set(resource) - {"status", "attributes", "links", "autoRenewEnabled"}
    differing = sorted(name for name in fixed if request.body[name] != resource[name])
    if differing:
        raise ServiceError(400, 3000, f"Properties cannot be changed: {', '.join(differing)}.")


def _check_change(request: ServiceRequest, subscription: Subscription, wanted: str) -> None:
    kind, product = subscription.order.kind, subscription.order.product
    if not subscription.activated:
        raise ServiceError(400, 800081, "The SaaS subscription is not activated yet.")
    if rejection := product.subscription_rejection:
        raise ServiceError(rejection.status, rejection.code, rejection.description)
    if product.subscription_statuses is None or wanted not in product.subscription_statuses:
        raise ServiceError(400, 800040, f"The status change to {wanted} is not allowed.")
    if any(azure.status == "active" for azure in subscription.azure_subscriptions):
        raise ServiceError(403, 900115, "The Azure plan has active Azure subscriptions.")
    if wanted == "deleted" and kind is ProductKind.NCE_LICENCES:
        _check_window(request, subscription)


def _check_window(request: ServiceRequest, subscription: Subscription) -> None:
    until = subscription.cancellable_until
    if request.behaviour.nce_window_enforced and until and request.world.clock.now() > until:
        raise ServiceError(
            400, 900117, f"Cancellation is allowed for {request.behaviour.nce_window_days:g} days."
        )


def _patched(request: ServiceRequest, subscription: Subscription) -> ServiceResponse:
    status = subscription.status
    body = resources.subscription(subscription, status)
    if status != "pending" and not request.behaviour.subscription_patch_accepted:
        return ServiceResponse(body=body)
    tenant_id = subscription.order.customer.tenant_id
    location = f"/customers/{tenant_id}/subscriptions/{subscription.id}"
    return ServiceResponse(202, body=body, headers={"Location": location})


def _azure_subscription(request: ServiceRequest, plan: Subscription) -> AzureSubscription:
    wanted = request.path["entitlement_id"].lower()
    for azure in plan.azure_subscriptions:
        if azure.id == wanted:
            return azure
    raise ServiceError(404, 800111, f"Azure entitlement {wanted} not found.")
