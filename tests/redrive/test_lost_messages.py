"""Deletions whose message was lost get a new one, and only those."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from functions.redrive import blueprint, redrive
from local.host.loading import load
from local.host.triggers import OnSchedule
from local.simulator import Customer, ProductKind, Simulator
from shared.deletion.claims import Delivery, claim_request, claim_step
from shared.deletion.messages import DeletionRequest, StepMessage
from shared.deletion.put_back import TRIES
from shared.deletion.redrive import GRACE
from shared.deletion.submission import abort, submit
from shared.partner_center.deadline import Deadline
from shared.storage.names import (
    CUSTOMERS_READY,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
    QUEUES,
)
from shared.storage.records import DeletionRecord, State
from shared.tenants import TenantId
from tests.bench import Bench


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.fixture
def tenant(customer: Customer) -> TenantId:
    return TenantId(customer.tenant_id)


def clear(bench: Bench) -> None:
    """Clear every queue, as a person could by hand."""
    for queue in QUEUES:
        bench.queues.get_queue_client(queue).clear_messages()


def pass_grace(bench: Bench) -> None:
    bench.move_clock_to(bench.services.now() + GRACE)


def request(bench: Bench, tenant: TenantId) -> DeletionRecord:
    return submit(bench.services, DeletionRequest(tenant, "ann"))


def in_state(bench: Bench, tenant: TenantId, state: State) -> DeletionRecord:
    """Leave a record in this state with its check due now, and no message."""
    record = request(bench, tenant)
    clear(bench)
    return bench.services.records.replace(replace(record, state=state, claimed_by="lost"))


@pytest.mark.parametrize(
    ("state", "queue"),
    [
        (State.REQUESTED, ORDERS_TO_CHECK),
        (State.CANCELLING, ORDERS_TO_CHECK),
        (State.CHECKING, ORDERS_TO_CHECK),
        (State.DELETING, CUSTOMERS_READY),
    ],
)
def test_a_lost_message_is_sent_again_and_the_customer_deleted(
    bench: Bench, customer: Customer, tenant: TenantId, state: State, queue: str
) -> None:
    in_state(bench, tenant, state)
    pass_grace(bench)

    bench.redrive()

    assert bench.waiting(queue) == 1
    bench.pump()
    assert customer.deleted
    assert bench.record(tenant).state is State.DELETED


@pytest.mark.parametrize("state", [State.REQUESTED, State.CANCELLING, State.DELETING])
def test_nothing_is_sent_before_the_grace_period_is_over(
    bench: Bench, tenant: TenantId, state: State
) -> None:
    record = in_state(bench, tenant, state)
    assert record.next_check_at is not None
    bench.move_clock_to(record.next_check_at + GRACE - timedelta(seconds=1))

    bench.redrive()

    assert not any(bench.waiting(queue) for queue in QUEUES)


def test_a_message_is_sent_once_for_each_grace_period(bench: Bench, tenant: TenantId) -> None:
    in_state(bench, tenant, State.CHECKING)
    pass_grace(bench)

    bench.redrive()
    bench.redrive()

    assert bench.waiting(ORDERS_TO_CHECK) == 1


def test_a_check_that_is_due_later_is_left_alone(bench: Bench, tenant: TenantId) -> None:
    record = in_state(bench, tenant, State.CHECKING)
    due = bench.services.now() + timedelta(days=2)
    bench.services.records.replace(replace(record, next_check_at=due))
    bench.move_clock_to(due)

    bench.redrive()

    assert not bench.waiting(ORDERS_TO_CHECK)


def test_a_crash_right_after_the_claim_is_found(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    services, lost = bench.services, Delivery("a message that never comes back")
    deadline = services.settings.checks.deadline
    claim_request(services.records, DeletionRequest(tenant), lost, services.now(), deadline)
    assert bench.record(tenant).state is State.CANCELLING
    pass_grace(bench)

    bench.redrive()
    bench.pump()

    assert customer.deleted


def test_a_live_record_without_a_next_check_is_found(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    record = in_state(bench, tenant, State.CANCELLING)
    bench.services.records.replace(replace(record, next_check_at=None))
    pass_grace(bench)

    bench.redrive()
    bench.pump()

    assert customer.deleted


def test_a_message_that_waited_long_is_not_overdue_while_it_is_worked_on(
    bench: Bench, tenant: TenantId
) -> None:
    record = in_state(bench, tenant, State.CHECKING)
    pass_grace(bench)
    message = StepMessage(tenant, record.generation + 1, record.correlation_id)
    claim_step(bench.services.records, message, "late", bench.services.now())

    bench.redrive()

    assert not bench.waiting(ORDERS_TO_CHECK)


def test_a_message_that_was_only_late_is_dropped_as_stale(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    request(bench, tenant)
    pass_grace(bench)
    bench.redrive()
    assert bench.waiting(ORDERS_TO_CHECK) == 2

    bench.pump()

    assert customer.deleted
    assert not bench.errors
    assert len(bench.calls("DELETE")) == 1


def test_a_deletion_past_its_deadline_ends_by_itself(
    bench: Bench, simulator: Simulator, customer: Customer, tenant: TenantId
) -> None:
    customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_seconds=10**7)
    record = in_state(bench, tenant, State.CHECKING)
    bench.move_clock_to(record.deadline)

    bench.redrive()
    bench.pump()

    ended = bench.record(tenant)
    assert ended.state is State.STUCK
    assert ended.reason.startswith("not cancelled before the deadline")
    assert simulator.sandbox.customer(tenant) is not None


@pytest.mark.parametrize("state", [State.STUCK, State.REFUSED, State.ABORTED, State.DELETED])
def test_what_has_ended_is_not_redriven(bench: Bench, tenant: TenantId, state: State) -> None:
    record = in_state(bench, tenant, state)
    bench.services.records.replace(replace(record, finished_at=bench.services.now()))
    pass_grace(bench)

    bench.redrive()

    assert bench.record(tenant).state is state
    assert not any(bench.waiting(queue) for queue in QUEUES)


def test_a_poisoned_deletion_is_started_again_by_a_new_request(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    record = in_state(bench, tenant, State.CHECKING)
    last_error = "UnexpectedResponse: no list of objects"
    stepped = replace(record, last_error=last_error, failures=TRIES)
    bench.services.records.replace(stepped)
    message = StepMessage(tenant, record.generation, record.correlation_id)
    bench.drop(message.to_json(), ORDERS_TO_CHECK + POISON_SUFFIX)
    bench.pump()
    poisoned = bench.record(tenant)
    assert (poisoned.state, poisoned.reason) == (
        State.STUCK,
        "UnexpectedResponse: no list of objects",
    )

    again = request(bench, tenant)
    bench.pump()

    assert again.state is State.REQUESTED
    assert again.generation > poisoned.generation
    assert customer.deleted


def test_a_rejected_request_with_a_known_tenant_is_started_by_a_new_one(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    bench.drop(f'{{"tenantId": "{tenant}", "requestedBy": 5}}')
    bench.pump()
    assert bench.record(tenant).state is State.REFUSED

    request(bench, tenant)
    bench.pump()

    assert customer.deleted


def test_the_timer_runs_every_five_minutes(storage: str) -> None:
    app = func.FunctionApp()
    app.register_functions(blueprint)

    (function,) = load(app, {"AzureWebJobsStorage": storage})

    assert isinstance(function.trigger, OnSchedule)
    timestamp = datetime(2026, 3, 1, 3, 1, tzinfo=UTC)
    assert function.trigger.schedule.after(timestamp) == timestamp + timedelta(minutes=4)


def test_each_redriven_deletion_is_logged(
    bench: Bench, tenant: TenantId, caplog: pytest.LogCaptureFixture
) -> None:
    in_state(bench, tenant, State.CHECKING)
    pass_grace(bench)

    with caplog.at_level(logging.INFO, logger="tipsweep"):
        redrive(TimerRequest(past_due=False))

    assert f"deletion_redriven tenant={tenant} state=checking" in caplog.messages


def test_a_deletion_aborted_while_redrive_runs_stays_aborted(
    bench: Bench, customer: Customer, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abort comes between the list of records and the message."""
    request(bench, tenant)
    pass_grace(bench)
    records = list(bench.services.records.all())
    abort(bench.services, tenant, "ann")
    monkeypatch.setattr(bench.services.records, "all", lambda: iter(records))

    bench.redrive()
    bench.pump()

    assert bench.record(tenant).state is State.ABORTED
    assert not customer.deleted


def test_a_redrive_whose_time_is_over_leaves_the_rest_to_the_next(
    bench: Bench, simulator: Simulator
) -> None:
    for number in range(3):
        customer = simulator.sandbox.add_customer(f"tipdemo00{number}.onmicrosoft.com")
        submit(bench.services, DeletionRequest(TenantId(customer.tenant_id)))
    bench.queues.get_queue_client(ORDERS_TO_CHECK).clear_messages()
    bench.move_clock_to(bench.services.now() + timedelta(hours=1))
    everything = bench.services

    bench.put(replace(everything, deadline=lambda: Deadline.after(0)))
    bench.redrive()
    assert bench.waiting(ORDERS_TO_CHECK) == 0

    bench.put(everything)
    bench.redrive()
    assert bench.waiting(ORDERS_TO_CHECK) == 3
