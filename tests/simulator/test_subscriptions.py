"""Subscriptions change as their kind allows, and only if the whole resource is sent."""

from dataclasses import replace

import pytest

from local.simulator import Behaviour, Customer, Order, ProductKind, Simulator, Subscription
from tests.simulator.conftest import Client, Response, path_of


def subscription_of(order: Order) -> Subscription:
    assert order.subscription
    return order.subscription


def path_to(subscription: Subscription) -> str:
    return f"{path_of(subscription.order.customer)}/subscriptions/{subscription.id}"


def change(client: Client, subscription: Subscription, status: str, **options: object) -> Response:
    customer = subscription.order.customer
    return client.set_subscription(customer, subscription.id, status, **options)


def test_subscriptions_are_listed_with_their_order(client: Client, customer: Customer) -> None:
    orders = {kind: customer.add_order(kind) for kind in ProductKind}
    response = client.get(f"{path_of(customer)}/subscriptions")
    assert {item["orderId"] for item in response.json["items"]} == {
        orders[kind].id
        for kind in (
            ProductKind.SOFTWARE_SUBSCRIPTION,
            ProductKind.NCE_LICENCES,
            ProductKind.MARKETPLACE_SAAS,
            ProductKind.AZURE_PLAN,
            ProductKind.LEGACY_LICENCES,
            ProductKind.SAVINGS_PLAN,
        )
    }
    one = orders[ProductKind.AZURE_PLAN]
    filtered = client.get(f"{path_of(customer)}/subscriptions?order_id={one.id}")
    assert [item["productType"]["id"] for item in filtered.json["items"]] == ["Azure"]


@pytest.mark.parametrize(
    ("kind", "wanted", "allowed"),
    [
        (ProductKind.NCE_LICENCES, "deleted", True),
        (ProductKind.NCE_LICENCES, "suspended", True),
        (ProductKind.MARKETPLACE_SAAS, "deleted", True),
        (ProductKind.SOFTWARE_SUBSCRIPTION, "suspended", True),
        (ProductKind.LEGACY_LICENCES, "suspended", True),
        (ProductKind.LEGACY_LICENCES, "deleted", False),
        (ProductKind.AZURE_PLAN, "deleted", False),
        (ProductKind.NCE_LICENCES, "expired", False),
    ],
)
def test_status_changes_that_a_kind_allows(
    client: Client, customer: Customer, kind: ProductKind, wanted: str, *, allowed: bool
) -> None:
    subscription = subscription_of(customer.add_order(kind))
    response = change(client, subscription, wanted)
    if allowed:
        assert (response.status, response.json["status"]) == (200, wanted)
    else:
        assert (response.status, response.code) == (400, 800040)
        assert subscription.status == "active"


@pytest.mark.parametrize("member", ["autoRenewEnabled", "quantity", "attributes", "id"])
def test_subscription_without_a_member_it_had_is_400(
    client: Client, customer: Customer, member: str
) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    body = {**client.get(path_to(subscription)).json, "status": "deleted"}
    del body[member]
    response = client.patch(path_to(subscription), body)
    assert (response.status, response.code) == (400, 3000)
    assert member in response.json["description"]
    assert subscription.status == "active"


def test_changed_member_is_400(client: Client, customer: Customer) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    body = {**client.get(path_to(subscription)).json, "quantity": 99}
    assert client.patch(path_to(subscription), body).code == 3000


def test_unknown_status_is_400_with_code_0(client: Client, customer: Customer) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    response = change(client, subscription, "cancelled")
    assert (response.status, response.code) == (400, 0)


def test_unknown_subscription_is_404(client: Client, customer: Customer, stranger: str) -> None:
    response = client.get(f"{path_of(customer)}/subscriptions/{stranger}")
    assert (response.status, response.code) == (404, 20003)


def test_deleted_subscription_cannot_be_deleted_again(client: Client, customer: Customer) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    change(client, subscription, "deleted")
    response = change(client, subscription, "deleted")
    assert (response.status, response.code) == (400, 2011)


def test_nce_can_be_cancelled_for_seven_days(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES, age_days=7.1))
    refused = change(client, subscription, "deleted")
    assert (refused.status, refused.code) == (400, 900117)
    assert change(client, subscription, "suspended").status == 200
    simulator.behaviour = replace(Behaviour(), nce_window_enforced=False)
    assert change(client, subscription, "deleted").status == 200


def test_subscription_shows_the_end_of_its_cancellation_window(
    client: Client, customer: Customer
) -> None:
    nce = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    saas = subscription_of(customer.add_order(ProductKind.MARKETPLACE_SAAS))
    assert client.get(path_to(nce)).json["cancellationAllowedUntilDate"].endswith("Z")
    assert client.get(path_to(saas)).json["cancellationAllowedUntilDate"] is None


def test_saas_must_be_activated_before_it_is_changed(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.MARKETPLACE_SAAS, activated=False)
    subscription = subscription_of(order)
    refused = change(client, subscription, "deleted")
    assert (refused.status, refused.code) == (400, 800081)
    assert client.post(f"{path_to(subscription)}/activate").json["status"] == "Success"
    assert change(client, subscription, "deleted").status == 200


def test_calls_that_differ_from_their_page_can_be_rejected(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), calls_as_printed=True)
    subscription = subscription_of(customer.add_order(ProductKind.MARKETPLACE_SAAS))
    assert change(client, subscription, "deleted").code == 3000
    assert client.post(f"{path_to(subscription)}/activate", {}).code == 800002
    assert client.post(f"{path_to(subscription)}/activate").status == 200
    client.session.headers["MS-Contract-Version"] = "v1"
    assert change(client, subscription, "deleted").status == 200


def test_activation_is_for_saas_in_the_sandbox(
    simulator: Simulator, client: Client, production_client: Client, customer: Customer
) -> None:
    nce = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    assert client.post(f"{path_to(nce)}/activate").code == 3000
    real = simulator.production.add_customer("real.onmicrosoft.com")
    saas = subscription_of(real.add_order(ProductKind.MARKETPLACE_SAAS))
    assert production_client.post(f"{path_to(saas)}/activate").code == 900127


def test_slow_change_is_202_with_location(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES, cancel_after_polls=1)
    subscription = subscription_of(order)
    response = change(client, subscription, "deleted")
    assert response.status == 202
    assert f"/v1{response.headers['Location']}" == path_to(subscription)
    statuses = [client.get(path_to(subscription)).json["status"] for _ in range(2)]
    assert statuses == ["pending", "deleted"]


def test_change_of_a_changing_subscription_is_409(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES, cancel_after_seconds=60)
    change(client, subscription_of(order), "deleted")
    response = change(client, subscription_of(order), "deleted")
    assert (response.status, response.code) == (409, 800082)


def test_change_at_once_can_be_202_too(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), subscription_patch_accepted=True)
    subscription = subscription_of(customer.add_order(ProductKind.NCE_LICENCES))
    response = change(client, subscription, "deleted")
    assert (response.status, subscription.status) == (202, "deleted")


def test_legacy_subscription_compares_if_match_with_its_etag(
    client: Client, customer: Customer
) -> None:
    subscription = subscription_of(customer.add_order(ProductKind.LEGACY_LICENCES))
    etag = client.get(path_to(subscription)).json["attributes"]["etag"]
    fresh = {"If-Match": f'"{etag}"'}
    assert change(client, subscription, "suspended", headers=fresh).status == 200
    stale = change(client, subscription, "active", headers=fresh)
    assert (stale.status, stale.code) == (400, 2055)
    assert change(client, subscription, "active").status == 200


def test_etags_can_be_disabled(simulator: Simulator, client: Client, customer: Customer) -> None:
    simulator.behaviour = replace(Behaviour(), legacy_etags=False)
    subscription = subscription_of(customer.add_order(ProductKind.LEGACY_LICENCES))
    assert "etag" not in client.get(path_to(subscription)).json["attributes"]


@pytest.mark.parametrize("status", [200, 202])
def test_azure_plan_is_suspended_after_its_azure_subscriptions(
    simulator: Simulator, client: Client, customer: Customer, status: int
) -> None:
    simulator.behaviour = replace(Behaviour(), azure_cancel_seconds=600, azure_cancel_status=status)
    plan = subscription_of(customer.add_order(ProductKind.AZURE_PLAN, azure_subscriptions=2))
    refused = change(client, plan, "suspended")
    assert (refused.status, refused.code) == (403, 900115)

    entitlements = f"{path_to(plan)}/azureEntitlements"
    for item in client.get(entitlements).json["items"]:
        reason = {"cancellationReason": "compromise"}
        response = client.post(f"{entitlements}/{item['id']}/cancel", reason)
        assert (response.status, response.json["status"]) == (status, "active")
    assert change(client, plan, "suspended").status == 403

    simulator.advance(600)
    assert {one["status"] for one in client.get(entitlements).json["items"]} == {"inactive"}
    assert change(client, plan, "suspended").status == 200


def test_azure_subscription_needs_a_known_reason(
    client: Client, customer: Customer, stranger: str
) -> None:
    plan = subscription_of(customer.add_order(ProductKind.AZURE_PLAN))
    entitlements = f"{path_to(plan)}/azureEntitlements"
    azure = plan.azure_subscriptions[0]
    wrong = client.post(f"{entitlements}/{azure.id}/cancel", {"cancellationReason": "bored"})
    unknown = client.post(f"{entitlements}/{stranger}/cancel", {"cancellationReason": "compromise"})
    assert (wrong.status, wrong.code) == (400, 900307)
    assert (unknown.status, unknown.code) == (404, 800111)
    assert azure.status == "active"


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_no_call_cancels_a_savings_plan(client: Client, customer: Customer, status: str) -> None:
    order = customer.add_order(ProductKind.SAVINGS_PLAN)

    response = change(client, subscription_of(order), status)

    assert (response.status, response.code) == (403, 900321)
    assert subscription_of(order).status == "active"


def test_a_savings_plan_is_an_azure_product_with_a_subtype(
    client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.SAVINGS_PLAN)

    body = client.get(path_to(subscription_of(order))).json

    assert body["productType"]["id"] == "Azure"
    assert body["productType"]["subType"]["id"] == "SavingsPlan"
