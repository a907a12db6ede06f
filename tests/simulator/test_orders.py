"""Orders can be cancelled if their kind, age and account allow it."""

from dataclasses import replace

import pytest

from local.simulator import Behaviour, Customer, ProductKind, Simulator
from local.simulator.state.behaviour import (
    AppOnlyEntitlements,
    CancelledEntitlement,
    CancelledOrder,
    TooOldOrder,
)
from tests.simulator.conftest import Client, path_of

CANCELLABLE = (
    ProductKind.RESERVED_INSTANCE,
    ProductKind.PERPETUAL_SOFTWARE,
    ProductKind.SOFTWARE_SUBSCRIPTION,
)
ENTITLED = CANCELLABLE


@pytest.mark.parametrize("kind", CANCELLABLE)
def test_sandbox_cancels_reservations_and_software_at_once(
    client: Client, customer: Customer, kind: ProductKind
) -> None:
    order = customer.add_order(kind)
    response = client.cancel_order(customer, order.id)
    assert (response.status, response.json["id"], response.json["status"]) == (
        200,
        order.id,
        "cancelled",
    )
    assert response.json["lineItems"][0]["quantity"] == 0


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (ProductKind.NCE_LICENCES, 400, 800061),
        (ProductKind.MARKETPLACE_SAAS, 403, 800077),
        (ProductKind.AZURE_PLAN, 400, 800063),
        (ProductKind.LEGACY_LICENCES, 400, 800063),
        (ProductKind.SAVINGS_PLAN, 403, 900321),
    ],
)
def test_sandbox_does_not_cancel_orders_of_other_kinds(
    client: Client, customer: Customer, kind: ProductKind, status: int, code: int
) -> None:
    order = customer.add_order(kind)
    response = client.cancel_order(customer, order.id)
    assert (response.status, response.code) == (status, code)
    assert order.status == "completed"


@pytest.mark.parametrize("kind", list(ProductKind))
def test_production_cancels_software_only(
    simulator: Simulator, production_client: Client, kind: ProductKind
) -> None:
    customer = simulator.production.add_customer("real.onmicrosoft.com")
    order = customer.add_order(kind, age_days=100)
    response = production_client.cancel_order(customer, order.id)
    if kind in {ProductKind.PERPETUAL_SOFTWARE, ProductKind.SOFTWARE_SUBSCRIPTION}:
        assert (response.status, order.status) == (200, "cancelled")
    else:
        assert (response.status, response.code, order.status) == (403, 800019, "completed")


@pytest.mark.parametrize("choice", list(TooOldOrder))
def test_order_over_60_days_old_cannot_be_cancelled(
    simulator: Simulator, client: Client, customer: Customer, choice: TooOldOrder
) -> None:
    simulator.behaviour = replace(Behaviour(), too_old_order=choice)
    order = customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=59.9)
    simulator.advance(86_400)
    response = client.cancel_order(customer, order.id)
    assert f"{response.status}/{response.code}" == choice


@pytest.mark.parametrize("status", ["cancelled", "Cancelled"])
def test_status_is_compared_without_case(client: Client, customer: Customer, status: str) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    body = {"id": order.id, "status": status}
    response = client.patch(f"{path_of(customer)}/orders/{order.id}", body)
    assert (response.status, order.status) == (200, "cancelled")


def test_unknown_status_is_400_with_the_integer_code_0(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    body = {"id": order.id, "status": "canceled"}
    response = client.patch(f"{path_of(customer)}/orders/{order.id}", body)
    assert (response.status, response.code, response.json["data"]) == (400, 0, [])
    assert "OrderStatus" in response.json["description"]
    assert response.json["source"] == "PartnerFD"


@pytest.mark.parametrize(
    "changes", [{"id": "another"}, {"status": None}, {"status": "suspended"}, {"lineItems": [1]}]
)
def test_wrong_body_is_400(client: Client, customer: Customer, changes: dict[str, object]) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    body = {"id": order.id, "status": "cancelled", **changes}
    response = client.patch(f"{path_of(customer)}/orders/{order.id}", body)
    assert (response.status, response.code) == (400, 3000)
    assert order.status == "completed"


def test_unknown_order_is_404(client: Client, customer: Customer) -> None:
    response = client.get(f"{path_of(customer)}/orders/nothing")
    assert (response.status, response.code) == (404, 20000)
    assert client.cancel_order(customer, "nothing").code == 20000


def test_whole_order_may_be_sent_back(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION, lines=2)
    path = f"{path_of(customer)}/orders/{order.id}"
    response = client.patch(path, {**client.get(path).json, "status": "cancelled"})
    assert (response.status, response.json["status"]) == (200, "cancelled")
    assert order.subscription
    assert order.subscription.status == "deleted"


def test_order_is_cancelled_once_every_line_is(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, lines=2)
    path = f"{path_of(customer)}/orders/{order.id}"
    lines = client.get(path).json["lineItems"]

    responses = [
        client.patch(path, {"id": order.id, "status": "cancelled", "lineItems": [line]})
        for line in lines
    ]
    assert [one.json["status"] for one in responses] == ["completed", "cancelled"]
    assert [one["quantity"] for one in responses[0].json["lineItems"]] == [0, 1]


def test_cancellation_can_take_some_polls(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_polls=2)
    path = f"{path_of(customer)}/orders"
    assert client.cancel_order(customer, order.id).json["status"] == "pending"
    assert client.get(path).json["items"][0]["status"] == "pending"
    assert client.get(f"{path}/{order.id}").json["status"] == "pending"
    assert client.get(f"{path}/{order.id}").json["status"] == "cancelled"


def test_cancellation_can_take_some_seconds(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(
        Behaviour(), cancel_after_seconds={ProductKind.RESERVED_INSTANCE: 30}
    )
    order = customer.add_order(ProductKind.RESERVED_INSTANCE)
    client.cancel_order(customer, order.id)
    simulator.advance(29)
    assert order.status == "pending"
    simulator.advance(1)
    assert order.status == "cancelled"


def test_order_being_cancelled_is_in_progress(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_polls=1)
    client.cancel_order(customer, order.id)
    response = client.cancel_order(customer, order.id)
    assert (response.status, response.code) == (409, 800060)


def test_cancelling_a_cancelled_order_is_fine_or_rejected(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, status="cancelled")
    assert client.cancel_order(customer, order.id).status == 200
    simulator.behaviour = replace(Behaviour(), cancelled_order=CancelledOrder.NOT_CANCELLABLE)
    assert client.cancel_order(customer, order.id).code == 800061


def test_order_stays_completed_when_its_subscription_is_deleted(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES, subscription_status="deleted")
    path = f"{path_of(customer)}/orders/{order.id}"
    assert client.get(path).json["status"] == "completed"
    simulator.behaviour = replace(Behaviour(), order_cancelled_with_subscriptions=True)
    assert client.get(path).json["status"] == "cancelled"


def test_provisioning_status_follows_the_cancellation(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    path = f"{path_of(customer)}/orders/{order.id}/provisioningstatus"
    assert client.get(path).json["items"][0]["status"] == "Fulfilled"
    client.cancel_order(customer, order.id)
    assert client.get(path).json["items"][0]["status"] == "Unfulfilled"


def test_legacy_order_has_an_etag_and_a_guid(client: Client, customer: Customer) -> None:
    legacy = customer.add_order(ProductKind.LEGACY_LICENCES)
    modern = customer.add_order(ProductKind.NCE_LICENCES)
    orders = {one["id"]: one for one in client.get(f"{path_of(customer)}/orders").json["items"]}
    assert orders[legacy.id]["attributes"]["etag"]
    assert "etag" not in orders[modern.id]["attributes"]
    assert orders[modern.id]["alternateId"] == modern.id


def test_entitlements_are_for_users_only(
    simulator: Simulator, client: Client, user_client: Client, customer: Customer
) -> None:
    path = f"{path_of(customer)}/entitlements"
    refused = client.get(path)
    assert (refused.status, refused.code) == (403, 900329)
    assert user_client.get(path).status == 200
    simulator.behaviour = replace(Behaviour(), app_only_entitlements=True)
    assert client.get(path).status == 200


def test_entitlements_can_fail_with_500_for_an_app(
    simulator: Simulator, client: Client, user_client: Client, customer: Customer
) -> None:
    error = AppOnlyEntitlements.UNEXPECTED
    simulator.behaviour = replace(Behaviour(), app_only_entitlements_error=error)
    path = f"{path_of(customer)}/entitlements"
    assert (client.get(path).status, client.get(path).code) == (500, 800003)
    assert user_client.get(path).status == 200


def test_references_to_an_order_can_be_in_capitals(
    simulator: Simulator, user_client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), references_in_capitals=True)
    order = customer.add_order(ProductKind.SOFTWARE_SUBSCRIPTION)
    (subscription,) = user_client.get(f"{path_of(customer)}/subscriptions").json["items"]
    (entitlement,) = user_client.get(f"{path_of(customer)}/entitlements").json["items"]
    assert subscription["orderId"] == entitlement["referenceOrder"]["id"] == order.id.upper()
    assert order.id != order.id.upper()


def test_an_empty_list_can_be_a_204(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), empty_lists_without_content=True)
    empty = client.get(f"{path_of(customer)}/orders")
    assert (empty.status, empty.content) == (204, b"")
    customer.add_order(ProductKind.NCE_LICENCES)
    assert client.get(f"{path_of(customer)}/orders").status == 200


def test_entitlements_show_software_and_reservations(
    user_client: Client, customer: Customer
) -> None:
    orders = {kind: customer.add_order(kind) for kind in ProductKind}
    response = user_client.get(f"{path_of(customer)}/entitlements")
    shown = [item["referenceOrder"]["id"] for item in response.json["items"]]
    assert shown == [orders[kind].id for kind in ENTITLED]
    perpetual = response.json["items"][ENTITLED.index(ProductKind.PERPETUAL_SOFTWARE)]
    assert perpetual["includedEntitlements"][0]["referenceOrder"] == perpetual["referenceOrder"]


def test_entitlements_can_be_filtered_by_type(user_client: Client, customer: Customer) -> None:
    for kind in ENTITLED:
        customer.add_order(kind)
    path = f"{path_of(customer)}/entitlements"
    filtered = user_client.get(f"{path}?entitlementtype=reservedInstance&showExpiry=True")
    assert [item["entitlementType"] for item in filtered.json["items"]] == ["reservedinstance"]
    assert filtered.json["items"][0]["expiryDate"]
    plain = user_client.get(f"{path}?entitlementType=reservedInstance")
    assert "expiryDate" not in plain.json["items"][0]


def test_cancelled_purchase_leaves_the_entitlements_or_has_quantity_0(
    simulator: Simulator, user_client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.RESERVED_INSTANCE)
    user_client.cancel_order(customer, order.id)
    path = f"{path_of(customer)}/entitlements"
    assert user_client.get(path).json["items"] == []
    simulator.behaviour = replace(
        Behaviour(), cancelled_entitlement=CancelledEntitlement.QUANTITY_ZERO
    )
    assert [item["quantity"] for item in user_client.get(path).json["items"]] == [0]
