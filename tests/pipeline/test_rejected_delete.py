"""A rejected DELETE of a customer with something that can never be cancelled."""

from collections.abc import Callable

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.storage.names import CUSTOMERS_READY
from shared.storage.records import State
from tests.bench import Bench


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    """Give a customer with an order that is too old to cancel."""
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=61)
    return customer


def before_delete(bench: Bench, customer: Customer, event: Callable[[], object]) -> None:
    """Take a deletion to its DELETE, let something happen, and run the rest."""
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    assert bench.waiting(CUSTOMERS_READY) == 1
    event()
    bench.pump()


def test_a_late_order_is_cancelled_before_the_deletion_ends(
    bench: Bench, customer: Customer
) -> None:
    before_delete(bench, customer, lambda: customer.add_order(ProductKind.PERPETUAL_SOFTWARE))

    assert [each.status for each in customer.orders] == ["completed", "cancelled"]
    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert customer.orders[0].id in record.reason
    assert len(bench.calls("DELETE")) == 2
    assert not bench.errors


def test_without_anything_new_one_delete_is_sent(bench: Bench, customer: Customer) -> None:
    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert len(bench.calls("DELETE")) == 1


def test_a_read_that_fails_after_the_delete_ends_nothing(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    before_delete(
        bench,
        customer,
        lambda: simulator.add_fault(Fault(path="*/orders", status=503, times=3)),
    )

    assert bench.record(customer.tenant_id).state is State.STUCK
    assert not bench.errors


@pytest.mark.parametrize(
    "kind",
    [ProductKind.SOFTWARE_SUBSCRIPTION, ProductKind.LEGACY_LICENCES, ProductKind.NCE_LICENCES],
)
@pytest.mark.parametrize(("orders", "quantity"), [(1, 26), (6, 1)])
def test_what_shows_up_after_the_delete_passes_rule_2_before_it_is_cancelled(
    bench: Bench, customer: Customer, kind: ProductKind, orders: int, quantity: int
) -> None:
    def buy() -> None:
        for _ in range(orders):
            customer.add_order(kind, quantity=quantity)

    before_delete(bench, customer, buy)

    record = bench.record(customer.tenant_id)
    assert record.state is State.REFUSED
    assert "rule 2" in record.reason
    assert {call.method for call in bench.writes()} == {"DELETE"}
    assert not bench.errors
