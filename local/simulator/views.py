"""The simulator's state as JSON, with names in camel case."""

from dataclasses import asdict

from local.simulator.calls import Call
from local.simulator.state.purchases import Customer, Order, Subscription


def call_view(call: Call) -> dict[str, object]:
    """Write a call of the log."""
    written = {camel(name): value for name, value in asdict(call).items()}
    return {**written, "time": call.time.isoformat()}


def customer_summary(customer: Customer) -> dict[str, object]:
    """Write who a customer is, and what a cleaner should reach."""
    return {
        "tenantId": customer.tenant_id,
        "domain": customer.domain,
        "label": customer.label,
        "expected": customer.expected,
    }


def customer_truth(customer: Customer, account: str) -> dict[str, object]:
    """Write what is really the case with a customer and all that it bought."""
    return {
        **customer_summary(customer),
        "account": account,
        "companyName": customer.company_name,
        "deleted": customer.deleted,
        "orders": [_order_truth(order) for order in customer.orders],
    }


def camel(name: str) -> str:
    """Turn a name with underscores into camel case."""
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
