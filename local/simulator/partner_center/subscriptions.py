"""Subscriptions, their activation in the sandbox, and the Azure subscriptions of a plan."""

from enum import StrEnum

from local.simulator.partner_center import resources
from local.simulator.partner_center.errors import ServiceError
from local.simulator.partner_center.visits import Answer, Visit
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


def list_subscriptions(visit: Visit) -> Answer:
    """Answer the subscriptions, of one order when `order_id` asks for it."""
    order_id = visit.query.get("order_id")
    listed = [
        subscription
        for subscription in visit.customer().subscriptions
        if order_id in {None, subscription.order.id}
    ]
    return Answer(
        body=resources.collection([resources.subscription(one, one.read()) for one in listed])
    )


def get_subscription(visit: Visit) -> Answer:
    """Answer one subscription."""
    subscription = visit.subscription()
    return Answer(body=resources.subscription(subscription, subscription.read()))


def patch_subscription(visit: Visit) -> Answer:
    """Change the status of a subscription that is sent as a whole."""
    subscription = visit.subscription()
    status = subscription.status
    _check_whole(visit, resources.subscription(subscription, status))
    wanted = visit.wanted_status(SubscriptionStatus)
    visit.check_etag(subscription.etag)
    if status == "pending":
        raise ServiceError(409, 800082, "The subscription is not ready. Try again later.")
    if status == "deleted":
        raise ServiceError(400, 2011, "The subscription is deleted already.")
    if wanted != status:
        _check_change(visit, subscription, wanted)
        subscription.change(wanted, subscription.order.cancellation_delay)
    return _patched(visit, subscription)


def activate_subscription(visit: Visit) -> Answer:
    """Activate marketplace SaaS, which only the sandbox offers."""
    subscription = visit.subscription()
    if not visit.account.sandbox:
        raise ServiceError(400, 900127, "The operation is not supported in this environment.")
    if subscription.order.kind is not ProductKind.MARKETPLACE_SAAS:
        raise ServiceError(400, 3000, "Only SaaS subscriptions are activated.")
    subscription.activated = True
    return Answer(body={"subscriptionId": subscription.id, "status": "Success"})


def list_azure_entitlements(visit: Visit) -> Answer:
    """Answer the Azure subscriptions of a plan."""
    plan = visit.subscription()
    listed = [resources.azure_entitlement(azure, plan) for azure in plan.azure_subscriptions]
    return Answer(body=resources.collection(listed))


def cancel_azure_entitlement(visit: Visit) -> Answer:
    """Begin to cancel an Azure subscription; the answer still says active."""
    plan = visit.subscription()
    azure = _azure_subscription(visit, plan)
    if visit.body.get("cancellationReason") not in _CANCELLATION_REASONS:
        raise ServiceError(400, 900307, "cancellationReason must be compromise.")
    azure.cancel()
    return Answer(
        visit.behaviour.azure_cancel_status, body=resources.azure_entitlement(azure, plan)
    )


def _check_whole(visit: Visit, resource: dict[str, object]) -> None:
    """Raise 400/3000 unless the body is the resource with nothing but the status changed."""
    missing = sorted(set(resource) - set(visit.body))
    if missing:
        raise ServiceError(400, 3000, f"Send the whole subscription: {', '.join(missing)} missing.")
    fixed = set(resource) - {"status", "attributes", "links", "autoRenewEnabled"}
    differing = sorted(name for name in fixed if visit.body[name] != resource[name])
    if differing:
        raise ServiceError(400, 3000, f"Properties cannot be changed: {', '.join(differing)}.")


def _check_change(visit: Visit, subscription: Subscription, wanted: str) -> None:
    kind, product = subscription.order.kind, subscription.order.product
    if not subscription.activated:
        raise ServiceError(400, 800081, "The SaaS subscription is not activated yet.")
    if product.subscription_statuses is None or wanted not in product.subscription_statuses:
        raise ServiceError(400, 800040, f"The status change to {wanted} is not allowed.")
    if any(azure.status == "active" for azure in subscription.azure_subscriptions):
        raise ServiceError(403, 900115, "The Azure plan has active Azure subscriptions.")
    if wanted == "deleted" and kind is ProductKind.NCE_LICENCES:
        _check_window(visit, subscription)


def _check_window(visit: Visit, subscription: Subscription) -> None:
    until = subscription.cancellable_until
    if visit.behaviour.nce_window_enforced and until and visit.world.clock.now() > until:
        raise ServiceError(
            400, 900117, f"Cancellation was allowed for {visit.behaviour.nce_window_days:g} days."
        )


def _patched(visit: Visit, subscription: Subscription) -> Answer:
    status = subscription.status
    body = resources.subscription(subscription, status)
    if status != "pending" and not visit.behaviour.subscription_patch_accepted:
        return Answer(body=body)
    tenant_id = subscription.order.customer.tenant_id
    location = f"/customers/{tenant_id}/subscriptions/{subscription.id}"
    return Answer(202, body=body, headers={"Location": location})


def _azure_subscription(visit: Visit, plan: Subscription) -> AzureSubscription:
    wanted = visit.path["entitlement_id"].lower()
    for azure in plan.azure_subscriptions:
        if azure.id == wanted:
            return azure
    raise ServiceError(404, 800111, f"Azure entitlement {wanted} not found.")
