"""Seeds are repeatable, and the deletion of their customers ends as expected."""

from collections import Counter
from dataclasses import replace

import pytest

from local.simulator import Behaviour, Customer, ProductKind, Simulator
from local.simulator.seeds import SEEDS
from tests.simulator.conftest import Client, path_of

SLOWEST_SECONDS = 30


def clean(client: Client, simulator: Simulator, customer: Customer) -> None:
    """Cancel everything that can be cancelled, wait, and try to DELETE the customer."""
    for order in client.get(f"{path_of(customer)}/orders").json["items"]:
        client.cancel_order(customer, order["id"])
    for one in client.get(f"{path_of(customer)}/subscriptions").json["items"]:
        if one["status"] == "active":
            close(client, simulator, customer, one["id"])
    simulator.advance(SLOWEST_SECONDS)
    client.delete(path_of(customer))


def close(client: Client, simulator: Simulator, customer: Customer, subscription: str) -> None:
    path = f"{path_of(customer)}/subscriptions/{subscription}"
    for azure in client.get(f"{path}/azureEntitlements").json["items"]:
        reason = {"cancellationReason": "compromise"}
        client.post(f"{path}/azureEntitlements/{azure['id']}/cancel", reason)
    simulator.advance(1)
    client.post(f"{path}/activate")
    if client.set_subscription(customer, subscription, "deleted").status >= 400:
        client.set_subscription(customer, subscription, "suspended")


@pytest.mark.parametrize("seed", ["small", "full"])
def test_customers_of_the_sandbox_end_as_expected(
    simulator: Simulator, client: Client, seed: str
) -> None:
    simulator.reset(seed)
    simulator.behaviour = replace(Behaviour(), requests_per_minute=None)
    wanted = [one for one in simulator.sandbox.customers if one.expected != "refused"]
    for customer in wanted:
        clean(client, simulator, customer)

    stuck = {one.label for one in wanted if not one.deleted}
    assert stuck == {one.label for one in wanted if one.expected == "stuck"}


@pytest.mark.parametrize("seed", list(SEEDS))
def test_seed_gives_the_same_customers_each_time(simulator: Simulator, seed: str) -> None:
    def seeded() -> list[tuple[str, str, list[str]]]:
        simulator.reset(seed)
        return [
            (one.tenant_id, one.label, [order.id for order in one.orders])
            for account in (simulator.sandbox, simulator.production)
            for one in account.customers
        ]

    assert seeded() == seeded()


def test_full_seed_fills_the_sandbox_within_its_limits(simulator: Simulator) -> None:
    simulator.reset("full")
    customers = simulator.sandbox.customers
    assert len(customers) == 75
    assert {order.kind for one in customers for order in one.orders} == set(ProductKind)
    assert max(len(one.orders) for one in customers) == 5
    assert max(sub.quantity for one in customers for sub in one.subscriptions) <= 25
    assert Counter(one.expected for one in customers) == {
        "deleted": 72,
        "stuck": 2,
        "refused": 1,
    }
    assert [one.domain for one in customers if one.expected == "refused"] == [
        "keep-demo001.onmicrosoft.com"
    ]


def test_production_seed_looks_like_production(simulator: Simulator) -> None:
    simulator.reset("production")
    assert simulator.sandbox.customers == ()
    assert len(simulator.production.customers) == 120
    assert all(one.subscriptions[0].quantity > 25 for one in simulator.production.customers)


def test_unknown_seed_changes_nothing(simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    with pytest.raises(ValueError, match="expected one of empty, small, full, production"):
        simulator.reset("huge")
    assert simulator.sandbox.customers == (customer,)


def test_unknown_seed_starts_nothing() -> None:
    with pytest.raises(ValueError, match="unknown seed 'huge'"):
        Simulator.start(seed="huge")
