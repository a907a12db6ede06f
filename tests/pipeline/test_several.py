"""One drop may ask for several customers."""

import json

import pytest

from local.simulator import Customer, ProductKind, Simulator
from shared.storage.names import CUSTOMERS_TO_DELETE
from shared.storage.records import State
from tests.bench import Bench


@pytest.fixture
def customers(simulator: Simulator) -> list[Customer]:
    customers = [simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(3)]
    for customer in customers:
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customers


def test_each_customer_of_a_drop_is_deleted(bench: Bench, customers: list[Customer]) -> None:
    bench.drop("\n".join(each.tenant_id for each in customers))

    bench.pump()

    assert all(customer.deleted for customer in customers)
    assert len(bench.calls("DELETE")) == 3
    assert not bench.errors


def test_a_drop_that_is_delivered_twice_deletes_each_customer_once(
    bench: Bench, customers: list[Customer]
) -> None:
    ids = [each.tenant_id for each in customers]
    bench.drop(json.dumps([{"tenantId": each, "requestedBy": "ann"} for each in ids]))
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    bench.redeliver(CUSTOMERS_TO_DELETE, message)
    bench.deliver(CUSTOMERS_TO_DELETE, message)
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 6

    bench.pump()

    assert [call.status for call in bench.calls("DELETE")] == [204] * 3
    assert {bench.record(each).requested_by for each in ids} == {"ann"}


def test_one_bad_entry_starts_nothing(bench: Bench, customers: list[Customer]) -> None:
    bench.drop(",".join([*(each.tenant_id for each in customers), "contoso.onmicrosoft.com"]))

    bench.pump()

    (row,) = bench.poisoned()
    assert "entry 4: 'contoso.onmicrosoft.com' is not a tenant ID" in row["reason"]
    assert list(bench.services.records.all()) == []
    assert not bench.calls()


def test_one_dry_run_among_several_stays_one(bench: Bench, customers: list[Customer]) -> None:
    first, second, _ = customers
    bench.drop(json.dumps([first.tenant_id, {"tenantId": second.tenant_id, "dryRun": True}]))

    bench.pump()

    assert bench.record(first.tenant_id).state is State.DELETED
    assert not second.deleted
    assert [record.tenant for record in bench.services.records.all()] == [first.tenant_id]
