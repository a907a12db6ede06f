"""A write of the record that fails: what is not stored has not happened."""

from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.data.tables import TableClient
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import Customer, ProductKind, Simulator
from shared.deletion.submission import abort
from shared.storage.names import CUSTOMERS_READY, CUSTOMERS_TO_DELETE
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


class FailingOnce:
    """Lets one write of a record fail: the first that stores this state."""

    def __init__(self, patch: pytest.MonkeyPatch, state: State) -> None:
        self.failed = False
        original = TableClient.update_entity

        def update(table: TableClient, entity: dict[str, Any], *args: Any, **options: Any) -> Any:
            if entity.get("state") == state and not self.failed:
                self.failed = True
                message = "the storage account is away"
                raise ServiceRequestError(message)
            return original(table, entity, *args, **options)

        patch.setattr(TableClient, "update_entity", update)


@pytest.mark.parametrize(
    ("state", "before"), [(State.DELETING, State.CHECKING), (State.DELETED, State.DELETING)]
)
def test_a_state_whose_write_failed_is_not_stored_later(
    bench: Bench,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    before: State,
) -> None:
    failing = FailingOnce(monkeypatch, state)
    bench.drop(customer.tenant_id)
    bench.deliver(CUSTOMERS_TO_DELETE, taken(bench, CUSTOMERS_TO_DELETE))
    message = taken(bench, CUSTOMERS_READY)

    bench.deliver(CUSTOMERS_READY, message)

    assert failing.failed
    assert bench.record(customer.tenant_id).state is before
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


def test_a_deletion_whose_write_failed_can_still_be_aborted(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No DELETE has been sent, so it is not too late."""
    FailingOnce(monkeypatch, State.DELETING)
    bench.drop(customer.tenant_id)
    bench.deliver(CUSTOMERS_TO_DELETE, taken(bench, CUSTOMERS_TO_DELETE))
    bench.deliver(CUSTOMERS_READY, taken(bench, CUSTOMERS_READY))

    tenant = TenantId(customer.tenant_id)
    record = abort(bench.services, tenant, "ann")

    assert record.state is State.ABORTED
    assert not bench.calls("DELETE")


@pytest.mark.parametrize("state", [State.REFUSED, State.STUCK, State.DELETED])
def test_an_end_whose_first_write_failed_is_logged_once(
    bench: Bench,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: State,
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    FailingOnce(monkeypatch, state)
    if state is State.REFUSED:
        bench.use(PROTECTED_DOMAINS="tipdemo*")
    if state is State.STUCK:
        customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=61)

    record = bench.run(customer.tenant_id)

    lines = [each.getMessage() for each in caplog.records]
    assert record.state is state
    assert sum(line.startswith(f"deletion_{state} ") for line in lines) == 1
    started = {line for line in lines if line.startswith("deletion_started ")}
    assert len(started) == 1, "a second deletion was started"


def taken(bench: Bench, queue: str) -> StoredMessage:
    message = bench.take(queue)
    assert message is not None
    return message
