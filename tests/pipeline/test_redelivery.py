"""Duplicate, reordered and repeated messages, and crashes between two calls."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.deletion import Deletion, first_message, next_message
from shared.deletion.messages import DeletionRequest, StepMessage
from shared.deletion.submission import abort, submit
from shared.partner_center.deadline import STEP_SECONDS
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    DELETION_QUEUES,
    ORDERS_TO_CHECK,
)
from shared.storage.outages import SlowStorage
from shared.storage.records import RecordChanged, State
from shared.tenants import TenantId
from tests.bench import Bench


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for _ in range(3):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=5)
    return customer


def taken(bench: Bench, queue: str) -> StoredMessage:
    message = bench.take(queue)
    assert message is not None, f"nothing on {queue}"
    return message


def walk(bench: Bench, customer: Customer) -> Iterator[tuple[str, StoredMessage]]:
    """Yield the three messages of a deletion, each when it is due."""
    bench.drop(customer.tenant_id)
    for queue in DELETION_QUEUES:
        yield queue, taken(bench, queue)
        bench.simulator.advance(10)


def test_ten_drops_at_once_lead_to_one_deletion(bench: Bench, customer: Customer) -> None:
    for _ in range(10):
        bench.drop(customer.tenant_id)
    messages = [taken(bench, CUSTOMERS_TO_DELETE) for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda message: bench.deliver(CUSTOMERS_TO_DELETE, message), messages))
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.calls("PATCH")) == 3
    assert len(bench.calls("DELETE")) == 1


def test_a_drop_that_waited_while_the_deletion_ran_starts_no_second_one(
    bench: Bench, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    bench.drop(customer.tenant_id)
    first, late = taken(bench, CUSTOMERS_TO_DELETE), taken(bench, CUSTOMERS_TO_DELETE)
    bench.deliver(CUSTOMERS_TO_DELETE, first)
    bench.pump()
    late.inserted_on = bench.ended_at(customer.tenant_id) - timedelta(seconds=2)
    before = bench.record(customer.tenant_id)

    bench.deliver(CUSTOMERS_TO_DELETE, late)
    bench.pump()

    assert bench.record(customer.tenant_id) == before
    assert before.state is State.DELETED


def test_a_drop_after_the_end_starts_over_and_finds_the_customer_gone(
    bench: Bench, customer: Customer
) -> None:
    first = bench.run(customer.tenant_id)
    bench.forget_customer_list()
    second = bench.run(customer.tenant_id)

    assert second.state is State.DELETED
    assert second.correlation_id != first.correlation_id
    assert second.generation > first.generation
    assert len(bench.calls("DELETE")) == 1


def test_a_stuck_customer_can_be_dropped_again(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 800061, "description": "Order cannot be canceled."}
    simulator.add_fault(Fault(method="PATCH", status=400, body=body, times=None))
    assert bench.run(customer.tenant_id).state is State.STUCK
    simulator.clear_faults()

    assert bench.run(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("queue", [CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK, CUSTOMERS_READY])
def test_a_message_delivered_twice_does_no_harm(
    bench: Bench, customer: Customer, queue: str
) -> None:
    for source, message in walk(bench, customer):
        bench.deliver(source, message)
        if source == queue:
            bench.redeliver(source, message)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert [call.status for call in bench.calls("DELETE")] == [204]
    assert len(bench.calls("PATCH")) == 3


@pytest.mark.parametrize("queue", [ORDERS_TO_CHECK, CUSTOMERS_READY])
def test_a_duplicate_message_is_dropped(bench: Bench, customer: Customer, queue: str) -> None:
    """As after a crash between sending the next message and raising the generation."""
    for source, message in walk(bench, customer):
        if source == queue:
            bench.drop(str(message.content), queue)
        bench.deliver(source, message)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert [call.status for call in bench.calls("DELETE")] == [204]


@pytest.mark.parametrize(
    ("queue", "writes"),
    [
        (CUSTOMERS_TO_DELETE, 0),
        (ORDERS_TO_CHECK, 0),
        (ORDERS_TO_CHECK, 1),
        (CUSTOMERS_READY, 0),
        (CUSTOMERS_READY, 1),
        (CUSTOMERS_READY, 2),
    ],
)
def test_a_crash_at_any_write_of_the_record_loses_nothing(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, queue: str, writes: int
) -> None:
    """The message comes back after its lease, with the same ID."""
    for source, message in walk(bench, customer):
        if source == queue:
            with monkeypatch.context() as patch:
                die_after(patch, bench.services.records, "replace", writes)
                with pytest.raises(Crash):
                    bench.deliver(source, message)
        bench.deliver(source, message)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert customer.deleted
    assert {call.status for call in bench.calls("DELETE")} <= {204, 404}


@pytest.mark.parametrize("queue", [CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK])
def test_a_crash_before_the_next_message_is_sent_loses_nothing(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    for source, message in walk(bench, customer):
        if source == queue:
            with monkeypatch.context() as patch:
                die_after(patch, bench.services.queues, "send", 0)
                with pytest.raises(Crash):
                    bench.deliver(source, message)
        bench.deliver(source, message)

    assert bench.record(customer.tenant_id).state is State.DELETED


def die_after(patch: pytest.MonkeyPatch, subject: object, method: str, calls: int) -> None:
    """Kill the process instead of making the call after this many."""
    original = getattr(subject, method)
    count = iter(range(100))

    def call_or_die(*arguments: Any) -> Any:
        if next(count) >= calls:
            raise Crash
        return original(*arguments)

    patch.setattr(subject, method, call_or_die)


def to_delete(bench: Bench, customer: Customer) -> StoredMessage:
    """Take a deletion to the message that sends the DELETE."""
    bench.drop(customer.tenant_id)
    for queue in (CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK):
        bench.deliver(queue, taken(bench, queue))
        bench.simulator.advance(10)
    return taken(bench, CUSTOMERS_READY)


def during_delete(
    bench: Bench, patch: pytest.MonkeyPatch, event: Callable[[], object], *, sent: bool
) -> None:
    """Make something happen just before the first DELETE leaves, or when it was carried out."""
    connection = bench.services.connection
    original, events = connection._send, iter([event])

    def send(request: Any, *arguments: Any) -> Any:
        happens = next(events, None) if request.method == "DELETE" else None
        if happens is not None and not sent:
            happens()
        response = original(request, *arguments)
        if happens is not None and sent:
            happens()
        return response

    patch.setattr(connection, "_send", send)


@pytest.mark.parametrize("sent", [False, True])
def test_a_message_that_comes_back_during_its_delete_sends_no_second_one(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    message = to_delete(bench, customer)
    during_delete(bench, monkeypatch, lambda: bench.redeliver(CUSTOMERS_READY, message), sent=sent)

    bench.deliver(CUSTOMERS_READY, message)
    waits = bench.record(customer.tenant_id)
    bench.drop(first_message(waits).to_json(), CUSTOMERS_READY)
    bench.pump()

    assert waits.state is (State.DELETED if sent else State.DELETING)
    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.calls("DELETE")) == 1
    assert not bench.errors


def test_a_message_that_comes_back_waits_for_the_delete_longer_than_a_step_takes(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = to_delete(bench, customer)
    during_delete(bench, monkeypatch, lambda: bench.redeliver(CUSTOMERS_READY, message), sent=False)

    bench.deliver(CUSTOMERS_READY, message)

    due = bench.record(customer.tenant_id).next_check_at
    assert due is not None
    assert due - bench.services.now() > timedelta(seconds=STEP_SECONDS)


def die_at_each_delete(bench: Bench, patch: pytest.MonkeyPatch) -> list[str]:
    """Kill the process whenever a DELETE is about to leave; return their paths as they come."""
    connection, paths = bench.services.connection, list[str]()
    original = connection._send

    def send(request: Any, *arguments: Any) -> Any:
        if request.method != "DELETE":
            return original(request, *arguments)
        paths.append(request.path)
        raise Crash

    patch.setattr(connection, "_send", send)
    return paths


def test_a_host_that_dies_at_each_delete_ends_as_stuck_after_the_deadline(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = customer.tenant_id
    message = to_delete(bench, customer)
    deletes = die_at_each_delete(bench, monkeypatch)
    bench.move_clock_to(bench.record(tenant).deadline)
    for queue in (CUSTOMERS_READY, ORDERS_TO_CHECK):
        with pytest.raises(Crash):
            bench.deliver(CUSTOMERS_READY, message)
        bench.deliver(CUSTOMERS_READY, message)
        assert bench.record(tenant).state is State.DELETING
        assert bench.waiting(queue) == 1
        bench.drop(first_message(bench.record(tenant)).to_json(), queue)
        message = taken(bench, queue)

    bench.deliver(ORDERS_TO_CHECK, message)

    record = bench.record(tenant)
    assert record.state is State.STUCK
    assert "no DELETE has led to a clear response" in record.reason
    assert len(deletes) == 2


def test_a_takeover_while_storage_is_slow_stops_the_write(bench: Bench, customer: Customer) -> None:
    """The switch is asked after the record, and its response takes ten seconds."""
    submit(bench.services, DeletionRequest(TenantId(customer.tenant_id)))
    record = bench.record(customer.tenant_id)
    clock = iter([0.0, 10.0, 10.0, 10.0])
    deletion = replace(Deletion.of(bench.services, record), monotonic=lambda: next(clock))
    switch, taken_over = bench.services.switch, iter([True])

    class SlowSwitch:
        def require_untripped(self) -> None:
            switch.require_untripped()
            if next(taken_over, False):
                bench.services.records.replace(record)

    deletion.switch = SlowSwitch()  # type: ignore[assignment]

    with pytest.raises(RecordChanged):
        deletion.require_writable()


def test_storage_that_stays_slow_lets_no_write_leave(bench: Bench, customer: Customer) -> None:
    submit(bench.services, DeletionRequest(TenantId(customer.tenant_id)))
    record = bench.record(customer.tenant_id)
    clock = count(0.0, 10.0)
    deletion = replace(Deletion.of(bench.services, record), monotonic=lambda: next(clock))

    with pytest.raises(SlowStorage, match="storage took more than 2 s"):
        deletion.require_writable()


@pytest.mark.parametrize("queue", [CUSTOMERS_READY, ORDERS_TO_CHECK])
def test_a_customer_that_was_protected_after_its_delete_ends_as_deleted(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    """The process died before it could record the DELETE."""
    message = to_delete(bench, customer)
    with monkeypatch.context() as patch:
        die_after(patch, bench.services.records, "replace", 2)
        with pytest.raises(Crash):
            bench.deliver(CUSTOMERS_READY, message)
    writes = len(bench.writes())
    bench.use(PROTECTED_TENANTS=customer.tenant_id)
    bench.forget(CUSTOMERS_READY, message)
    following = next_message(bench.record(customer.tenant_id))
    bench.drop(following.to_json(), queue)

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.writes()) == writes
    assert not bench.errors


def test_a_customer_that_was_protected_before_its_delete_is_refused(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = to_delete(bench, customer)
    with monkeypatch.context() as patch:
        patch.setattr(bench.services.connection, "_send", die)
        bench.forget_customer_list()
        with pytest.raises(Crash):
            bench.deliver(CUSTOMERS_READY, message)
    bench.services.records.replace(replace(bench.record(customer.tenant_id), state=State.DELETING))
    bench.use(PROTECTED_TENANTS=customer.tenant_id)

    bench.deliver(CUSTOMERS_READY, message)

    assert bench.record(customer.tenant_id).state is State.REFUSED
    assert not bench.calls("DELETE")


def die(*_: object) -> None:
    raise Crash


def test_a_late_message_of_a_lower_generation_is_dropped(bench: Bench, customer: Customer) -> None:
    bench.drop(customer.tenant_id)
    bench.deliver(CUSTOMERS_TO_DELETE, taken(bench, CUSTOMERS_TO_DELETE))
    record = bench.record(customer.tenant_id)
    old = StepMessage(record.tenant, record.generation - 1, record.correlation_id)
    calls = len(bench.calls())

    bench.drop(old.to_json(), CUSTOMERS_READY)
    bench.deliver(CUSTOMERS_READY, taken(bench, CUSTOMERS_READY))

    assert len(bench.calls()) == calls
    assert bench.record(customer.tenant_id) == record


def test_a_message_without_a_record_is_dropped(bench: Bench, customer: Customer) -> None:
    stray = StepMessage(TenantId(customer.tenant_id), 3, "c")
    bench.drop(stray.to_json(), CUSTOMERS_READY)

    bench.pump()

    assert not bench.simulator.calls
    assert bench.services.records.get(TenantId(customer.tenant_id)) is None


def test_an_early_ready_message_sends_no_second_delete_and_loses_nothing(
    bench: Bench, customer: Customer
) -> None:
    """A DELETE that comes before the orders are cancelled is rejected and the check goes on."""
    bench.drop(customer.tenant_id)
    bench.deliver(CUSTOMERS_TO_DELETE, taken(bench, CUSTOMERS_TO_DELETE))
    check = taken(bench, ORDERS_TO_CHECK)
    bench.drop(str(check.content), CUSTOMERS_READY)
    bench.forget(ORDERS_TO_CHECK, check)

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("seed", range(8))
def test_any_order_and_duplication_of_messages_ends_in_one_deletion(
    bench: Bench, simulator: Simulator, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - picks an order, keeps no secret
    customers = [simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(3)]
    for customer in customers:
        for _ in range(chance.randint(0, 3)):
            customer.add_order(
                chance.choice(list(ProductKind)[:-1]), cancel_after_polls=chance.randint(0, 2)
            )
        for _ in range(chance.randint(1, 3)):
            bench.drop(customer.tenant_id)

    bench.pump_wildly(chance)

    assert all(customer.deleted for customer in customers)
    deletes = [call for call in bench.calls("DELETE") if call.status == 204]
    assert len(deletes) == len(customers)
    assert {bench.record(c.tenant_id).state for c in customers} == {State.DELETED}
    assert not bench.errors


def test_an_abort_between_two_steps_stops_the_deletion(bench: Bench, customer: Customer) -> None:
    bench.drop(customer.tenant_id)
    bench.deliver(CUSTOMERS_TO_DELETE, taken(bench, CUSTOMERS_TO_DELETE))
    record = bench.record(customer.tenant_id)
    bench.services.records.replace(replace(record, state=State.ABORTED))

    bench.pump()

    assert not bench.calls("DELETE")
    assert bench.record(customer.tenant_id).state is State.ABORTED


def test_a_submitted_request_runs_and_a_second_one_joins_it(
    bench: Bench, customer: Customer
) -> None:
    request = DeletionRequest(TenantId(customer.tenant_id), "logic app")

    first = submit(bench.services, request)
    second = submit(bench.services, request)
    bench.pump()

    assert first == second
    assert first.state is State.REQUESTED
    record = bench.record(customer.tenant_id)
    assert record.state is State.DELETED
    assert record.requested_by == "logic app"
    assert len(bench.calls("DELETE")) == 1


def test_an_abort_right_after_the_request_holds(bench: Bench, customer: Customer) -> None:
    tenant = TenantId(customer.tenant_id)
    submit(bench.services, DeletionRequest(tenant))
    abort(bench.services, tenant, "ann")

    bench.pump()

    assert bench.record(tenant).state is State.ABORTED
    assert not bench.calls()
