"""Customers are listed in pages and deleted if nothing blocks it."""

import json
from dataclasses import replace

import pytest

from local.simulator import Behaviour, Customer, ProductKind, Simulator
from local.simulator.state.behaviour import (
    BlockedDelete,
    ProductionDelete,
    UnknownCustomer,
    UnknownDelete,
)
from tests.simulator.conftest import Client, Response, path_of


def ids(response: Response) -> list[str]:
    return [item["id"] for item in response.json["items"]]


def add(simulator: Simulator, count: int) -> list[Customer]:
    return [simulator.sandbox.add_customer(f"tip{n}.onmicrosoft.com") for n in range(count)]


def follow(client: Client, response: Response) -> Response:
    link = response.json["links"]["next"]
    uri = link["uri"] if link["uri"].startswith("/v1") else f"/v1{link['uri']}"
    return client.get(uri, headers={one["key"]: one["value"] for one in link["headers"]})


def test_list_holds_this_account_only(simulator: Simulator, client: Client) -> None:
    mine = simulator.sandbox.add_customer("mine.onmicrosoft.com", "Mine")
    simulator.production.add_customer("theirs.onmicrosoft.com")
    response = client.get("/v1/customers?size=0")

    assert ids(response) == [mine.tenant_id]
    assert response.json["totalCount"] == 1
    assert response.json["items"][0]["companyProfile"]["domain"] == "mine.onmicrosoft.com"
    assert "next" not in response.json["links"]


@pytest.mark.parametrize("version", [False, True])
def test_pages_follow_by_continuation_token(
    simulator: Simulator, client: Client, *, version: bool
) -> None:
    simulator.behaviour = replace(Behaviour(), next_link_version=version)
    customers = add(simulator, 5)
    first = client.get("/v1/customers?size=2")
    second = follow(client, first)
    third = follow(client, second)

    assert first.json["links"]["next"]["uri"].startswith("/v1/") is version
    assert first.json["continuationToken"]
    assert ids(first) + ids(second) + ids(third) == [one.tenant_id for one in customers]
    assert "next" not in third.json["links"]


def test_paging_continues_after_a_customer_deleted_in_between(
    simulator: Simulator, client: Client
) -> None:
    customers = add(simulator, 4)
    first = client.get("/v1/customers?size=2")
    client.delete(path_of(customers[0]))
    client.delete(path_of(customers[1]))
    assert ids(follow(client, first)) == [one.tenant_id for one in customers[2:]]


def test_next_page_needs_no_size(simulator: Simulator, client: Client) -> None:
    customers = add(simulator, 3)
    token = client.get("/v1/customers?size=1").json["continuationToken"]
    response = client.get(
        "/v1/customers?seekOperation=Next", headers={"MS-ContinuationToken": token}
    )
    assert ids(response) == [one.tenant_id for one in customers[1:]]


def test_page_size_has_a_ceiling(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), customers_page_size=2)
    add(simulator, 3)
    assert len(ids(client.get("/v1/customers?size=0"))) == 2


def test_next_link_can_point_to_another_host(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(
        Behaviour(), customers_page_size=1, next_link_host="https://attacker.example"
    )
    add(simulator, 2)
    uri = client.get("/v1/customers?size=0").json["links"]["next"]["uri"]
    assert uri.startswith("https://attacker.example/customers?")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("size=many", {}),
        ("size=-1", {}),
        ("seekOperation=Next", {}),
        ("size=1", {"MS-ContinuationToken": "YWZ0ZXIgMQ=="}),
        ("seekOperation=Next", {"MS-ContinuationToken": "YWZ0ZXIgMQ=="}),
        ("seekOperation=Next", {"MS-ContinuationToken": "%"}),
        ("seekOperation=First", {"MS-ContinuationToken": "YWZ0ZXIgMQ=="}),
        ("filter=Domain", {}),
        ('filter={"Field":"Domain","Value":"a","Operator":"equals"}', {}),
        ('filter={"Field":"Name","Value":"a","Operator":"starts_with"}', {}),
    ],
)
def test_wrong_query_is_400(client: Client, query: str, headers: dict[str, str]) -> None:
    response = client.get(f"/v1/customers?{query}", headers=headers)
    assert (response.status, response.code) == (400, 3000)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [("Domain", "TIP", 1), ("CompanyName", "contoso", 1), ("Domain", "contoso", 0)],
)
def test_filter_compares_the_beginning_and_ignores_case(
    simulator: Simulator, client: Client, field: str, value: str, found: int
) -> None:
    simulator.sandbox.add_customer("tip.onmicrosoft.com", "Contoso")
    simulator.sandbox.add_customer("other.onmicrosoft.com", "Fabrikam")
    wanted = json.dumps({"Field": field, "Value": value, "Operator": "starts_with"})
    response = client.get("/v1/customers", params={"size": "0", "filter": wanted})
    assert response.json["totalCount"] == found


def test_customer_by_id_has_a_billing_profile(client: Client, customer: Customer) -> None:
    response = client.get(f"/v1/customers/{customer.tenant_id.upper()}")
    assert response.json["id"] == customer.tenant_id
    assert response.json["billingProfile"]["attributes"]["etag"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["tipdemo001", "5e2c1a700d3b4c559a417f6b2d9e8c10"])
def test_id_that_is_not_a_guid_is_400(client: Client, method: str, name: str) -> None:
    response = client.call(method, f"/v1/customers/{name}")
    assert (response.status, response.code) == (400, 900118)


def test_unknown_customer_is_404(simulator: Simulator, client: Client, stranger: str) -> None:
    response = client.get(f"/v1/customers/{stranger}/orders")
    assert (response.status, response.code) == (404, 60003)
    simulator.behaviour = replace(Behaviour(), unknown_customer=UnknownCustomer.NO_COMMERCE)
    assert client.get(f"/v1/customers/{stranger}").code == 20002


def test_customer_of_another_partner_is_403(simulator: Simulator, client: Client) -> None:
    theirs = simulator.production.add_customer("theirs.onmicrosoft.com")
    for response in (client.get(path_of(theirs)), client.delete(path_of(theirs))):
        assert (response.status, response.code) == (403, 900159)
    assert not theirs.deleted


def test_delete_is_an_empty_204_and_the_customer_is_gone(
    client: Client, customer: Customer
) -> None:
    response = client.delete(path_of(customer))
    assert (response.status, response.content) == (204, b"")
    assert customer.deleted
    assert ids(client.get("/v1/customers?size=0")) == []
    assert client.get(path_of(customer)).status == 404


@pytest.mark.parametrize("choice", [UnknownDelete.TENANT_NOT_FOUND, UnknownDelete.NO_RELATIONSHIP])
def test_second_delete_is_rejected(
    simulator: Simulator, client: Client, customer: Customer, choice: UnknownDelete
) -> None:
    simulator.behaviour = replace(Behaviour(), unknown_delete=choice)
    client.delete(path_of(customer))
    response = client.delete(path_of(customer))
    assert f"{response.status}/{response.code}" == choice


def test_delete_of_an_unknown_customer_can_be_a_gateway_404_or_204(
    simulator: Simulator, client: Client, stranger: str
) -> None:
    simulator.behaviour = replace(Behaviour(), unknown_delete=UnknownDelete.GATEWAY)
    assert client.delete(f"/v1/customers/{stranger}").json["statusCode"] == 404
    simulator.behaviour = replace(Behaviour(), unknown_delete=UnknownDelete.NO_CONTENT)
    assert client.delete(f"/v1/customers/{stranger}").status == 204


@pytest.mark.parametrize("choice", list(BlockedDelete))
def test_uncancelled_order_blocks_delete_and_is_named_by_its_short_id(
    simulator: Simulator, client: Client, customer: Customer, choice: BlockedDelete
) -> None:
    simulator.behaviour = replace(Behaviour(), blocked_delete=choice)
    order = customer.add_order(ProductKind.RESERVED_INSTANCE)
    response = client.delete(path_of(customer))
    assert f"{response.status}/{response.code}" == choice
    assert order.short_id in response.json["description"]
    assert not customer.deleted


def test_pending_cancellation_blocks_delete(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_polls=1)
    client.cancel_order(customer, order.id)
    assert client.delete(path_of(customer)).status == 400
    client.get(f"{path_of(customer)}/orders")
    assert client.delete(path_of(customer)).status == 204


@pytest.mark.parametrize(
    ("kind", "status", "blocks"),
    [
        (ProductKind.NCE_LICENCES, "active", True),
        (ProductKind.NCE_LICENCES, "suspended", False),
        (ProductKind.NCE_LICENCES, "deleted", False),
        (ProductKind.NCE_LICENCES, "disabled", False),
        (ProductKind.MARKETPLACE_SAAS, "active", True),
        (ProductKind.AZURE_PLAN, "suspended", False),
        (ProductKind.LEGACY_LICENCES, "suspended", False),
        (ProductKind.SOFTWARE_SUBSCRIPTION, "suspended", True),
    ],
)
def test_subscription_blocks_delete_by_kind_and_status(
    client: Client, customer: Customer, kind: ProductKind, status: str, *, blocks: bool
) -> None:
    customer.add_order(kind, subscription_status=status)
    client.delete(path_of(customer))
    assert customer.deleted is not blocks


def test_active_subscription_can_be_allowed(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), active_subscription_blocks=False)
    customer.add_order(ProductKind.NCE_LICENCES)
    assert client.delete(path_of(customer)).status == 204


def test_suspended_nce_subscription_can_block(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), suspended_nce_blocks=True)
    customer.add_order(ProductKind.NCE_LICENCES, subscription_status="suspended")
    assert client.delete(path_of(customer)).status == 400


@pytest.mark.parametrize("choice", list(ProductionDelete))
def test_delete_in_production_is_rejected(
    simulator: Simulator, production_client: Client, choice: ProductionDelete
) -> None:
    simulator.behaviour = replace(Behaviour(), production_delete=choice)
    customer = simulator.production.add_customer("real.onmicrosoft.com")
    response = production_client.delete(path_of(customer))
    assert f"{response.status}/{response.code}" == choice
    assert not customer.deleted


def test_order_that_has_not_reached_the_list_blocks_delete(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.behaviour = replace(Behaviour(), order_list_lag_seconds=900)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=0)
    assert client.get(f"{path_of(customer)}/orders").json["items"] == []
    assert client.delete(path_of(customer)).status == 400
    simulator.advance(901)
    assert client.get(f"{path_of(customer)}/orders").json["totalCount"] == 1
