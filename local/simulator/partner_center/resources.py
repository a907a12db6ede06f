"""The JSON form of resources, after the examples in the API reference."""

from collections.abc import Sequence
from datetime import timedelta

from local.simulator.state.clock import seven_digits, whole_seconds
from local.simulator.state.purchases import AzureSubscription, Customer, Order, Subscription


def collection(items: Sequence[object]) -> dict[str, object]:
    """Return a collection without paging."""
    return {
        "totalCount": len(items),
        "items": list(items),
        "attributes": {"objectType": "Collection"},
    }


def link(uri: str) -> dict[str, object]:
    """Return a link to a path without the API version."""
    return {"uri": uri, "method": "GET", "headers": []}


def customer_item(customer: Customer) -> dict[str, object]:
    """Return a customer as it appears in the list."""
    return {
        "id": customer.tenant_id,
        "companyProfile": {
            "tenantId": customer.tenant_id,
            "domain": customer.domain,
            "companyName": customer.company_name,
            "attributes": {"objectType": "CustomerCompanyProfile"},
        },
        "relationshipToPartner": "reseller",
        "links": {"self": link(f"/customers/{customer.tenant_id}")},
        "attributes": {"objectType": "Customer"},
    }


def customer_in_full(customer: Customer) -> dict[str, object]:
    """Return a customer as it appears by ID."""
    return {
        **customer_item(customer),
        "commerceId": customer.commerce_id,
        "allowDelegatedAccess": True,
        "customDomains": [customer.domain],
        "billingProfile": {
            "id": customer.commerce_id,
            "companyName": customer.company_name,
            "culture": "en-US",
            "language": "en",
            "attributes": {"etag": customer.commerce_id, "objectType": "CustomerBillingProfile"},
        },
    }


def order(order: Order, status: str) -> dict[str, object]:
    """Return an order."""
    customer_id = order.customer.tenant_id
    attributes = {"objectType": "Order"}
    if order.etag:
        attributes["etag"] = order.etag
    return {
        "id": order.id,
        "alternateId": order.short_id,
        "referenceCustomerId": customer_id,
        "billingCycle": order.product.billing_cycle,
        "currencyCode": "USD",
        "currencySymbol": "$",
        "lineItems": _lines(order),
        "creationDate": seven_digits(order.created),
        "status": status,
        "transactionType": "UserPurchase",
        "links": {"self": link(f"/customers/{customer_id}/orders/{order.id}")},
        "attributes": attributes,
    }


def provisioning_status(order: Order) -> dict[str, object]:
    """Return the provisioning status of each line."""
    shown = order.status
    lines = [
        {
            "lineItemNumber": line.number,
            "status": _fulfilment(shown, line.quantity),
            "quantityProvisioningInformation": [
                {"quantity": line.quantity, "status": _fulfilment(shown, line.quantity)}
            ],
        }
        for line in order.lines
    ]
    return collection(lines)


def entitlement(order: Order, *, show_expiry: bool) -> dict[str, object]:
    """Return the entitlement of an order for software or a reservation.

    Perpetual software includes a second entitlement of the same order, as in the documented
    example.
    """
    entitlement = _entitlement(order, "0001", [])
    if order.product.entitlement_type == "reservedinstance":
        entitlement["entitledArtifacts"] = [_reservation(order)]
    elif order.subscription is None:
        entitlement["includedEntitlements"] = [_entitlement(order, "0002", [])]
    if show_expiry and order.product.term:
        entitlement["expiryDate"] = whole_seconds(order.created + timedelta(days=365))
    return entitlement


def subscription(subscription: Subscription, status: str) -> dict[str, object]:
    """Return a subscription."""
    order = subscription.order
    until = subscription.cancellable_until
    body: dict[str, object] = {
        "id": subscription.id,
        "orderId": order.reference_id,
        "offerId": order.lines[0].offer_id,
        "offerName": order.product.name,
        "friendlyName": order.product.name,
        "quantity": subscription.quantity,
        "unitType": "Usage-based" if subscription.azure_subscriptions else "Licenses",
        "hasPurchasableAddons": False,
        "isTrial": False,
        "isMicrosoftProduct": order.product.product_type != "SaaS",
        "creationDate": seven_digits(order.created),
        "effectiveStartDate": whole_seconds(order.created),
        "commitmentEndDate": whole_seconds(order.created + timedelta(days=365)),
        "cancellationAllowedUntilDate": whole_seconds(until) if until else None,
        "status": status,
        "autoRenewEnabled": status == "active",
        "billingType": "usage" if subscription.azure_subscriptions else "license",
        "billingCycle": order.product.billing_cycle,
        "termDuration": order.product.term,
        "contractType": "subscription",
        "links": {
            "self": link(f"/customers/{order.customer.tenant_id}/subscriptions/{subscription.id}")
        },
        "attributes": {"objectType": "Subscription"},
    }
    if order.product.product_type:
        body["productType"] = _named(order.product.product_type)
        if subtype := order.product.product_subtype:
            body["productType"] = _named(order.product.product_type) | {"subType": _named(subtype)}
    if subscription.etag:
        body["attributes"] = {"etag": subscription.etag, "objectType": "Subscription"}
    return body


def azure_entitlement(azure: AzureSubscription, plan: Subscription) -> dict[str, object]:
    """Return an Azure subscription of a plan."""
    return {
        "id": azure.id,
        "friendlyName": azure.friendly_name,
        "status": azure.status,
        "subscriptionId": plan.id,
        "attributes": {"objectType": "AzureEntitlement"},
    }


def _named(name: str) -> dict[str, object]:
    return {"id": name, "displayName": name}


def _lines(order: Order) -> list[dict[str, object]]:
    product = link(f"/products/{order.product_id}?country=US")
    lines: list[dict[str, object]] = [
        {
            "lineItemNumber": line.number,
            "offerId": line.offer_id,
            "termDuration": order.product.term,
            "transactionType": "New",
            "friendlyName": order.product.name,
            "quantity": line.quantity,
            "links": {"product": product},
        }
        for line in order.lines
    ]
    if order.subscription:
        lines[0]["subscriptionId"] = order.subscription.id
    return lines


def _fulfilment(order_status: str, quantity: int) -> str:
    if quantity == 0:
        return "Unfulfilled"
    return "PrefulfillmentPending" if order_status == "pending" else "Fulfilled"


def _entitlement(order: Order, sku_id: str, artifacts: list[object]) -> dict[str, object]:
    quantity = sum(line.quantity for line in order.lines)
    return {
        "includedEntitlements": [],
        "referenceOrder": {
            "id": order.reference_id,
            "lineItemId": "0",
            "alternateId": order.short_id,
        },
        "productId": order.product_id,
        "skuId": sku_id,
        "quantity": quantity,
        "quantityDetails": [{"quantity": quantity, "status": _fulfilment(order.status, quantity)}],
        "entitledArtifacts": artifacts,
        "entitlementType": order.product.entitlement_type,
    }


def _reservation(order: Order) -> dict[str, object]:
    customer_id = order.customer.tenant_id
    return {
        "artifactType": "reservedinstance",
        "resourceId": order.id,
        "link": link(
            f"/customers/{customer_id}/artifacts/reservedinstance/groups/{order.short_id}"
        ),
        "dynamicAttributes": {"reservationType": "virtualmachines"},
    }
