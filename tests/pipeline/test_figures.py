"""How many calls a deletion costs."""

import pytest

from local.simulator import ProductKind, Simulator
from shared.storage.records import State
from tests.bench import Bench


@pytest.mark.parametrize("orders", [0, 1, 5])
def test_final_responses_cost_two_listings_a_patch_each_and_one_delete(
    bench: Bench, simulator: Simulator, orders: int
) -> None:
    """The listing of customers and the 403 on entitlements are paid for once."""
    first, customer = (simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(2))
    for _ in range(orders):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    bench.run(first.tenant_id)
    simulator.clear_calls()

    assert bench.run(customer.tenant_id).state is State.DELETED

    assert [call.method for call in bench.calls()] == [
        "GET",
        "GET",
        *["PATCH"] * orders,
        "DELETE",
    ]


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_check_of_orders_costs_one_call(bench: Bench, simulator: Simulator, rounds: int) -> None:
    first, customer = (simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(2))
    for _ in range(4):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=30 * rounds - 15)
    bench.run(first.tenant_id)
    simulator.clear_calls()

    bench.run(customer.tenant_id)

    assert len(bench.calls()) == 4 + 2 + 1 + rounds


def test_a_check_of_subscriptions_reads_no_orders(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    customer.add_order(ProductKind.NCE_LICENCES, cancel_after_seconds=15)

    bench.run(customer.tenant_id)

    assert len(bench.calls("GET", "/subscriptions")) == 2
    assert len(bench.calls("GET", "/orders")) == 1
