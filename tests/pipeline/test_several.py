"""One drop may ask for several customers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.storage.queue import QueueClient
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import Customer, ProductKind, Simulator
from shared.deletion import put_back
from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import abort, submit
from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_SUFFIX
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import MAX_DEQUEUE_COUNT, Bench


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


def died_five_times(bench: Bench, message: StoredMessage) -> None:
    """Move a message to its poison queue, as the host does: its time of insertion is lost."""
    bench.forget(CUSTOMERS_TO_DELETE, message)
    bench.drop(str(message.content), CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    poison = bench.take(CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    assert poison is not None
    # Long after every abort.
    poison.inserted_on = datetime.now(UTC) + timedelta(minutes=10)
    bench.deliver(CUSTOMERS_TO_DELETE + POISON_SUFFIX, poison)


def test_a_drop_that_the_host_moved_does_not_undo_an_abort(
    bench: Bench, customers: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    aborted, *others = customers
    bench.drop("\n".join(each.tenant_id for each in customers))
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    submit(bench.services, DeletionRequest(TenantId(aborted.tenant_id)))
    abort(bench.services, TenantId(aborted.tenant_id), "ann")

    died_five_times(bench, message)
    bench.pump()

    assert bench.record(aborted.tenant_id).state is State.ABORTED
    assert not bench.calls(part=f"/{aborted.tenant_id}/orders")
    assert all(each.deleted for each in others)
    (row,) = bench.poisoned()
    assert row["tenant"] == aborted.tenant_id
    assert "the last deletion ended as aborted" in row["reason"]


def test_a_drop_that_was_split_half_does_not_undo_an_abort(
    bench: Bench, customers: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of the first left each time, that of the second never did."""
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    first, second, _ = customers
    bench.drop("\n".join(each.tenant_id for each in customers))
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    with monkeypatch.context() as patch:
        fail_to_send(patch, second.tenant_id)
        for _ in range(MAX_DEQUEUE_COUNT):
            with pytest.raises(ServiceResponseError):
                bench.redeliver(CUSTOMERS_TO_DELETE, message)
    started = bench.take(CUSTOMERS_TO_DELETE)
    assert started is not None
    bench.deliver(CUSTOMERS_TO_DELETE, started)
    abort(bench.services, TenantId(first.tenant_id), "ann")

    died_five_times(bench, message)
    bench.pump()

    assert bench.record(first.tenant_id).state is State.ABORTED
    assert not first.deleted
    assert second.deleted


def fail_to_send(patch: pytest.MonkeyPatch, part: str) -> None:
    """Let every message with this text fail to leave."""
    original = QueueClient.send_message

    def send(client: QueueClient, content: str, **options: Any) -> Any:
        if part in content:
            raise ServiceResponseError("the queue is busy")
        return original(client, content, **options)

    patch.setattr(QueueClient, "send_message", send)
