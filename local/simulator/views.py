"""The JSON form of the simulator's state, with camelCase names."""

from dataclasses import asdict

from local.simulator.calls import Call
from local.simulator.state.purchases import Customer, Order, Subscription


def call_view(call: Call) -> dict[str, object]:
    """Return a logged call."""
    written = {camel(name): value for name, value in asdict(call).items()}
    return {**written, "time": call.time.isoformat()}


def customer_summary(customer: Customer) -> dict[str, object]:
    """Return who a customer is and how its deletion is expected to end."""
    return {
        "tenantId": customer.tenant_id,
        "domain": customer.domain,
        "label": customer.label,
        "expected": customer.expected,
    }


def customer_truth(customer: Customer, account: str) -> dict[str, object]:
    """Return the full state of a customer and its purchases, hidden parts included."""
    return {
        **customer_summary(customer),
        "account": account,
        "companyName": customer.company_name,
        "deleted": customer.deleted,
        "orders": [_order_truth(order) for order in customer.orders],
    }


def camel(name: str) -> str:
    """Convert snake_case to camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _order_truth(order: Order) -> dict[str, object]:
    subscription = order.subscription
    return {
        "id": order.id,
        "alternateId": order.short_id,
        "kind": order.kind,
        "status": order.status,
        "created": order.created.isoformat(),
        "subscription": None if subscription is None else _subscription_truth(subscription),
    }


def _subscription_truth(subscription: Subscription) -> dict[str, object]:
    return {
        "id": subscription.id,
        "status": subscription.status,
        "activated": subscription.activated,
        "quantity": subscription.quantity,
        "azureSubscriptions": [
            {"id": azure.id, "status": azure.status} for azure in subscription.azure_subscriptions
        ],
    }
