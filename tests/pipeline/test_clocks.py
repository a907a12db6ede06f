"""What is a later request is decided by the clock of the storage account alone."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import abort, dismiss, submit
from shared.storage.names import CUSTOMERS_TO_DELETE, QUEUES
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

SECOND = timedelta(seconds=1)
SKEWS = [timedelta(minutes=-10), timedelta(minutes=10)]
REJECTED = {"code": 800061, "description": "Order cannot be canceled."}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.fixture
def tenant(customer: Customer) -> TenantId:
    return TenantId(customer.tenant_id)


def dropped(bench: Bench, tenant: str) -> StoredMessage:
    """Drop a tenant ID and take its message."""
    bench.drop(tenant)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    return message


def abort_now(bench: Bench, tenant: TenantId) -> None:
    abort(bench.services, tenant, "ann")


def skew(bench: Bench, by: timedelta) -> None:
    now = bench.services.now
    bench.put(replace(bench.services, now=lambda: now() + by))


@pytest.mark.parametrize("by", SKEWS)
def test_an_abort_holds_against_a_drop_that_waited(
    bench: Bench, customer: Customer, tenant: TenantId, by: timedelta
) -> None:
    skew(bench, by)
    waiting = dropped(bench, tenant)
    submit(bench.services, DeletionRequest(tenant))
    abort_now(bench, tenant)

    bench.deliver(CUSTOMERS_TO_DELETE, waiting)
    bench.pump()

    assert bench.record(tenant).state is State.ABORTED
    assert not bench.writes()
    assert not customer.deleted


@pytest.mark.parametrize("by", SKEWS)
def test_a_customer_that_ended_stuck_is_started_by_the_next_drop(
    bench: Bench, simulator: Simulator, customer: Customer, by: timedelta
) -> None:
    skew(bench, by)
    simulator.add_fault(Fault(method="PATCH", status=400, body=REJECTED, times=None))
    assert bench.run(customer.tenant_id).state is State.STUCK
    simulator.clear_faults()

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_drop_in_the_second_of_an_abort_leaves_a_log_line(
    bench: Bench, tenant: TenantId, caplog: pytest.LogCaptureFixture
) -> None:
    submit(bench.services, DeletionRequest(tenant))
    abort_now(bench, tenant)
    message = dropped(bench, tenant)
    message.inserted_on = bench.ended_at(tenant).replace(microsecond=0)

    with caplog.at_level(logging.INFO, logger="tipsweep"):
        bench.deliver(CUSTOMERS_TO_DELETE, message)

    (line,) = caplog.messages
    assert line.startswith(f"deletion_duplicate tenant={tenant}")
    assert "before the deletion was aborted, or in the same second" in line
    assert bench.record(tenant).state is State.ABORTED


def test_a_drop_in_the_second_after_an_abort_starts(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    submit(bench.services, DeletionRequest(tenant))
    abort_now(bench, tenant)
    message = dropped(bench, tenant)
    message.inserted_on = bench.ended_at(tenant).replace(microsecond=0) + SECOND

    bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.pump()

    assert customer.deleted


def test_a_second_abort_holds_against_what_was_dropped_since(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    submit(bench.services, DeletionRequest(tenant))
    abort_now(bench, tenant)
    first = bench.record(tenant)

    abort_now(bench, tenant)

    second = bench.record(tenant)
    assert second == first
    assert bench.ended_at(tenant) > (first.ended_at or bench.ended_at(tenant))
    assert not customer.deleted


def test_dismissing_does_not_change_when_a_deletion_ended(bench: Bench, tenant: TenantId) -> None:
    bench.use(PROTECTED_TENANTS=tenant)
    bench.run(tenant)
    ended_at, etag = bench.ended_at(tenant), bench.record(tenant).etag

    for _ in range(2):
        dismiss(bench.services, tenant, "ann")

    assert bench.record(tenant).etag != etag
    assert bench.ended_at(tenant) == ended_at


def test_a_rejected_message_does_not_swallow_a_good_drop_that_waited(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    good = dropped(bench, tenant)
    bench.drop(f'{{"tenantId": "{tenant}", "force": true}}')
    bench.pump()
    assert bench.record(tenant).state is State.REFUSED
    good.inserted_on = bench.ended_at(tenant) - 10 * SECOND

    bench.deliver(CUSTOMERS_TO_DELETE, good)
    bench.pump()

    assert customer.deleted


def test_a_drop_of_several_that_comes_back_after_an_abort_starts_nothing(
    bench: Bench, simulator: Simulator, customer: Customer, tenant: TenantId
) -> None:
    other = simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    several = dropped(bench, f"{tenant}\n{other.tenant_id}")
    bench.redeliver(CUSTOMERS_TO_DELETE, several)
    for _ in range(2):
        message = bench.take(CUSTOMERS_TO_DELETE)
        assert message is not None
        bench.deliver(CUSTOMERS_TO_DELETE, message)
    for each in (tenant, TenantId(other.tenant_id)):
        abort_now(bench, each)
    for queue in QUEUES[1:]:
        bench.queues.get_queue_client(queue).clear_messages()

    bench.deliver(CUSTOMERS_TO_DELETE, several)
    for _ in range(2):
        message = bench.take(CUSTOMERS_TO_DELETE)
        assert message is not None
        message.inserted_on = bench.ended_at(tenant) + 600 * SECOND
        bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.pump()

    assert bench.record(tenant).state is State.ABORTED
    assert bench.record(other.tenant_id).state is State.ABORTED
    assert not customer.deleted
