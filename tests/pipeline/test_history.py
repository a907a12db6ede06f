"""What a deletion leaves in the history: each write, decision and person, at one operation more."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient, UpdateMode
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.deletion import Deletion
from shared.deletion.dry_run import dry_run_now
from shared.deletion.journal import STOPPED_STEP
from shared.deletion.messages import DeletionRequest
from shared.deletion.poison import Poisoned, record_poisoned
from shared.deletion.submission import abort, dismiss, dismiss_rejected, submit
from shared.partner_center.client import PartnerCenter, SentWrite
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import PartnerCenterError
from shared.safety.rules import Refused
from shared.safety.switch import SwitchTripped
from shared.settings import SweepMode
from shared.storage.history import EntryKind, History, HistoryEntry
from shared.storage.names import (
    CUSTOMERS_TO_DELETE,
    HISTORY_TABLE,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
)
from shared.storage.queues import Queues
from shared.storage.records import State
from shared.sweep.run import run_sweep
from shared.tenants import TenantId
from tests.bench import Bench, failing_orders

STRANGER = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


def drop(bench: Bench, tenant: str, by: str = "ann") -> None:
    bench.drop(f'{{"tenantId": "{tenant}", "requestedBy": "{by}"}}')


def entries(bench: Bench, tenant: str) -> list[HistoryEntry]:
    """Return what the history tells about a customer, oldest first."""
    return bench.services.history.page(TenantId(tenant), "", 1000)[::-1]


def account_entries(bench: Bench) -> list[HistoryEntry]:
    return bench.services.history.account_page("", 1000)[::-1]


def kinds(bench: Bench, tenant: str) -> list[str]:
    return [each.kind for each in entries(bench, tenant)]


def calls(bench: Bench, tenant: str) -> list[tuple[str, str, str, int | None]]:
    return [
        (each.write.method, each.write.path, each.write.request_id, each.write.status)
        for each in entries(bench, tenant)
        if each.write
    ]


class Wire(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Counts the requests to a table, and loses all of them if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.cut = False

    def send(self, request: HttpRequest, **options: Any) -> Any:
        self.sent += 1
        if self.cut:
            message = "connection lost"
            raise ServiceRequestError(message)
        return super().send(request, **options)


@pytest.fixture
def wire(bench: Bench, storage: str) -> Iterator[Wire]:
    """Give the wire between the app and its history."""
    wire = Wire()
    with TableClient.from_connection_string(
        storage, HISTORY_TABLE, transport=wire, retry_backoff_factor=0
    ) as table:
        partner = bench.services.settings.partner_center.tenant_id
        history = History(table, partner, timedelta(days=400))
        bench.put(replace(bench.services, history=history))
        yield wire


def test_a_deletion_leaves_each_write_and_each_decision(bench: Bench, customer: Customer) -> None:
    drop(bench, customer.tenant_id)
    bench.pump()

    assert kinds(bench, customer.tenant_id) == ["requested", "call", "ready", "call", "deleted"]
    assert {each.requested_by for each in entries(bench, customer.tenant_id)} == {"ann"}
    record = bench.record(customer.tenant_id)
    correlations = {each.correlation_id for each in entries(bench, customer.tenant_id)}
    assert correlations == {record.correlation_id}


def test_every_write_is_told_as_partner_center_saw_it(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for kind in (ProductKind.PERPETUAL_SOFTWARE, ProductKind.NCE_LICENCES, ProductKind.AZURE_PLAN):
        customer.add_order(kind, cancel_after_seconds=40)

    bench.run(customer.tenant_id)

    assert len(bench.writes()) > 4
    assert [
        (call.method, call.path, call.request_id, call.status) for call in bench.writes()
    ] == calls(bench, customer.tenant_id)


def test_a_cancellation_says_what_it_asked_for_and_what_it_got(
    bench: Bench, customer: Customer
) -> None:
    bench.run(customer.tenant_id)

    patch = next(each for each in entries(bench, customer.tenant_id) if each.write)

    assert patch.write
    assert (patch.write.asked, patch.detail) == ("cancelled", "cancelled")


def test_a_rejected_write_is_told_with_its_code(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 900117, "description": "Not cancellable."}
    simulator.add_fault(Fault("PATCH", status=400, body=body))

    bench.run(customer.tenant_id)

    patch = next(each for each in entries(bench, customer.tenant_id) if each.write)
    assert patch.write
    assert (patch.write.status, patch.write.code) == (400, "900117")
    assert patch.detail == "Not cancellable."


def test_a_write_without_a_response_is_told(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("DELETE", performed=True, drop=True, times=3))

    bench.run(customer.tenant_id)

    delete = next(
        each
        for each in entries(bench, customer.tenant_id)
        if each.write and each.write.method == "DELETE"
    )
    assert delete.write
    assert delete.write.status is None
    assert "no response" in delete.detail
    assert "delete_unclear" in kinds(bench, customer.tenant_id)


def test_a_parked_delete_is_not_told_at_every_look(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("DELETE", drop=True, times=3))
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)
    bench.services.switch.trip("ann", "wait")
    told = kinds(bench, customer.tenant_id)

    assert bench.pump(passes=5) == 5

    assert bench.record(customer.tenant_id).state is State.DELETING
    assert kinds(bench, customer.tenant_id) == told


def test_a_write_whose_sign_in_fails_is_not_told(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    told: list[object] = []
    client = PartnerCenter(
        bench.services.connection,
        "c",
        gate=lambda: None,
        recorder=lambda write, detail: told.append((write, detail)),
    )
    simulator.add_fault(Fault(path="*/token", drop=True, times=None))

    with pytest.raises(Exception, match="could not sign in"):
        client.delete_customer(customer.tenant_id)

    assert told == []
    assert bench.writes() == []


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_repeated_write_says_how_often_it_left(
    bench: Bench, simulator: Simulator, customer: Customer, failures: int
) -> None:
    if failures:
        simulator.add_fault(Fault("PATCH", status=503, times=failures))

    bench.run(customer.tenant_id)

    page = bench.services.history.page(TenantId(customer.tenant_id), "", 100)
    told = [each.write for each in page if each.write]
    assert [(each.method, each.attempts) for each in reversed(told)] == [
        ("PATCH", failures + 1),
        ("DELETE", 1),
    ]


def test_a_write_without_a_response_says_how_often_it_left(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("PATCH", drop=True, times=3))

    bench.run(customer.tenant_id)

    page = bench.services.history.page(TenantId(customer.tenant_id), "", 100)
    told = [each.write for each in page if each.write and each.write.method == "PATCH"]
    assert [(each.status, each.attempts) for each in reversed(told)] == [(None, 3), (200, 1)]


def test_a_repeated_write_is_told_once_with_the_last_response(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("PATCH", status=503, times=1))

    bench.run(customer.tenant_id)

    assert [call.method for call in bench.writes()] == ["PATCH", "PATCH", "DELETE"]
    assert [(method, status) for method, _, _, status in calls(bench, customer.tenant_id)] == [
        ("PATCH", 200),
        ("DELETE", 204),
    ]


def patches(bench: Bench, customer: Customer) -> list[SentWrite]:
    told = [each.write for each in entries(bench, customer.tenant_id) if each.write]
    return [each for each in told if each.method == "PATCH"]


def test_each_attempt_at_a_write_is_told_with_its_time_and_response(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("PATCH", drop=True, times=1))
    simulator.add_fault(Fault("PATCH", status=503, body={"code": 5000}, times=1))
    before = datetime.now(UTC).replace(microsecond=0)

    bench.run(customer.tenant_id)

    (patch,) = patches(bench, customer)
    assert [(each.status, each.code) for each in patch.responses] == [
        (None, ""),
        (503, "5000"),
        (200, ""),
    ]
    times = [each.at for each in patch.responses]
    assert [before.replace(microsecond=0), *times] == sorted(
        [before.replace(microsecond=0), *times]
    )
    assert {call.request_id for call in bench.calls("PATCH")} == {patch.request_id}


def test_a_redirected_write_is_told_with_its_status(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault("PATCH", status=302, times=1))

    bench.run(customer.tenant_id)

    assert [each.status for each in patches(bench, customer)] == [302, 200]


def test_a_write_whose_repeat_is_stopped_is_told(
    bench: Bench, simulator: Simulator, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It got a 401, and was aborted while a fresh token was fetched."""
    tenant = TenantId(customer.tenant_id)
    simulator.add_fault(Fault("PATCH", status=401, times=1))
    gate, asked = Deletion.require_writable, []

    def late(deletion: Deletion) -> None:
        asked.append(deletion)
        if len(asked) > 1:
            abort(bench.services, tenant, "bob")
        gate(deletion)

    monkeypatch.setattr(Deletion, "require_writable", late)
    bench.drop(tenant)
    bench.pump(passes=1)

    assert len(asked) > 1
    assert len(bench.writes()) == 1
    assert [(each.status, each.attempts) for each in patches(bench, customer)] == [(401, 1)]


def test_an_entry_of_an_earlier_version_has_no_responses(bench: Bench, customer: Customer) -> None:
    bench.run(customer.tenant_id)
    table = bench.tables.get_table_client(HISTORY_TABLE)
    for row in table.list_entities():
        if "responses" in row:
            del row["responses"]
            table.update_entity(row, UpdateMode.REPLACE)

    (patch,) = patches(bench, customer)
    assert (patch.status, patch.attempts, patch.responses) == (200, 1, ())


@pytest.mark.parametrize("stop", ["abort", "trip"])
def test_a_write_that_the_gate_stops_is_not_told(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    tenant = TenantId(customer.tenant_id)
    gate = Deletion.require_writable

    def late(deletion: Deletion) -> None:
        if stop == "abort":
            abort(bench.services, tenant, "bob")
        else:
            bench.services.switch.trip("bob", "wait")
        gate(deletion)

    monkeypatch.setattr(Deletion, "require_writable", late)
    bench.drop(tenant)
    bench.pump(passes=1)

    assert bench.writes() == []
    assert "call" not in kinds(bench, tenant)


@pytest.mark.parametrize("path", ["*/token", "/v1/customers/*/orders"])
def test_a_step_that_is_put_back_after_trouble_waits(
    bench: Bench, simulator: Simulator, customer: Customer, path: str
) -> None:
    bench.services.connection.tokens.forget()
    simulator.add_fault(Fault(path=path, status=503, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    assert kinds(bench, customer.tenant_id) == ["requested", "waiting"]


def test_a_drop_whose_worker_died_five_times_is_told(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", interrupted)
        patch.setattr(PartnerCenter, "orders", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.forget(CUSTOMERS_TO_DELETE, message)
    assert entries(bench, customer.tenant_id) == []
    bench.drop(message.content, CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    assert kinds(bench, customer.tenant_id) == [
        "requested",
        "step_unclear",
        "call",
        "ready",
        "call",
        "deleted",
    ]


def kill_after_its_calls(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> StoredMessage:
    """Kill the first step of a deletion after its PATCH; return its message."""
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", interrupted)
        patch.setattr(Queues, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.deliver(CUSTOMERS_TO_DELETE, message)
    assert [call.method for call in bench.writes()] == ["PATCH"]
    assert entries(bench, customer.tenant_id) == []
    return message


@pytest.mark.parametrize("then", ["redelivered", "redriven", "poisoned", "aborted", "stuck"])
def test_the_calls_of_a_killed_step_are_told_to_be_missing(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    tenant = TenantId(customer.tenant_id)
    message = kill_after_its_calls(bench, customer, monkeypatch)
    if then == "redelivered":
        bench.deliver(CUSTOMERS_TO_DELETE, message)
    elif then == "redriven":
        bench.move_clock_to(bench.services.now() + timedelta(minutes=16))
        bench.redrive()
    elif then == "poisoned":
        body = str(message.content).encode()
        record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "p", body))
    elif then == "stuck":
        bench.drop(message.content, CUSTOMERS_TO_DELETE + POISON_SUFFIX)
        bench.move_clock_to(bench.services.now() + timedelta(days=30))
        bench.pump(passes=2)
    else:
        abort(bench.services, tenant, "bob")

    told = [each for each in entries(bench, tenant) if each.detail == STOPPED_STEP]
    assert [each.kind for each in told] == ["aborted" if then == "aborted" else "step_unclear"]


def test_the_purchases_that_a_killed_step_may_have_cancelled_are_named(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = customer.orders[0].id
    message = kill_after_its_calls(bench, customer, monkeypatch)

    bench.deliver(CUSTOMERS_TO_DELETE, message)

    told = [each for each in entries(bench, customer.tenant_id) if each.kind == "step_unclear"]
    assert [each.detail for each in told] == [
        STOPPED_STEP,
        f"it may have sent a call for these: order {order} (cancelled)",
    ]


def test_a_killed_later_step_does_not_name_what_was_told_before(
    bench: Bench, simulator: Simulator, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two orders was cancelled by a step that has told so."""
    first = customer.orders[0].id
    second = customer.add_order(ProductKind.PERPETUAL_SOFTWARE).id
    simulator.add_fault(Fault("PATCH", f"*/orders/{second}", status=503, times=3))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    message = bench.take(ORDERS_TO_CHECK)
    assert message
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", interrupted)
        patch.setattr(Queues, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.deliver(ORDERS_TO_CHECK, message)

    bench.deliver(ORDERS_TO_CHECK, message)

    told = [each.detail for each in entries(bench, customer.tenant_id)]
    (named,) = [each for each in told if "may have sent a call for" in each]
    assert second in named
    assert first not in named


def test_a_step_that_told_of_its_failure_is_not_told_to_be_missing(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(failing_orders(times=2))

    bench.run(customer.tenant_id)

    assert kinds(bench, customer.tenant_id)[:4] == ["requested", "failed", "failed", "call"]


def test_a_deletion_that_waits_is_told_once(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.NCE_LICENCES, cancel_after_seconds=100)

    bench.run(customer.tenant_id)

    assert len(bench.calls("GET", "/subscriptions")) > 3
    assert kinds(bench, customer.tenant_id) == [
        "requested",
        "call",
        "waiting",
        "ready",
        "call",
        "deleted",
    ]


@pytest.mark.parametrize("orders", [1, 5])
def test_a_message_costs_one_operation_more(
    bench: Bench, simulator: Simulator, wire: Wire, orders: int
) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for _ in range(orders):
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=100)

    bench.drop(customer.tenant_id)
    messages = bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    # The first step, the one that finds nothing left, and the DELETE; the others only look.
    assert wire.sent == 3 < messages


def test_a_deletion_does_not_suffer_from_a_history_that_is_away(
    bench: Bench, customer: Customer, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.cut = True
    bench.drop(customer.tenant_id)

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert [call.method for call in bench.writes()] == ["PATCH", "DELETE"]
    assert not bench.errors
    lost = [each for each in caplog.messages if each.startswith("history_lost ")]
    assert len(lost) == 5
    assert any(" method=DELETE " in each and " status=204 " in each for each in lost)


def test_a_redelivered_request_is_told_once(bench: Bench, customer: Customer) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=60)
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert isinstance(message, StoredMessage)
    bench.simulator.add_fault(failing_orders(times=1))
    with pytest.raises(Exception, match="Invalid items"):
        bench.deliver(CUSTOMERS_TO_DELETE, message)

    bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.pump()

    counted = Counter(kinds(bench, customer.tenant_id))
    assert (counted["requested"], counted["failed"], counted["deleted"]) == (1, 1, 1)


def test_an_abort_is_told_with_the_person(bench: Bench, customer: Customer) -> None:
    tenant = TenantId(customer.tenant_id)
    submit(bench.services, DeletionRequest(tenant, "ann"))

    abort(bench.services, tenant, "bob")
    abort(bench.services, tenant, "eve")

    assert [(each.kind, each.requested_by) for each in entries(bench, tenant)] == [
        ("requested", "ann"),
        ("aborted", "bob"),
        # It holds against what was dropped since the first.
        ("aborted", "eve"),
    ]


def test_a_dismissal_is_told_once_with_the_person(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.SAVINGS_PLAN)
    assert bench.run(customer.tenant_id).state is State.STUCK

    dismiss(bench.services, TenantId(customer.tenant_id), "bob")
    dismiss(bench.services, TenantId(customer.tenant_id), "eve")

    told = [(each.kind, each.requested_by) for each in entries(bench, customer.tenant_id)]
    assert told[-2:] == [("stuck", ""), ("dismissed", "bob")]


def test_a_refused_deletion_is_told_with_the_rule(bench: Bench) -> None:
    bench.run(STRANGER)

    requested, refused = entries(bench, STRANGER)

    assert (requested.kind, refused.kind) == ("requested", "refused")
    assert "not a customer of this partner" in refused.detail


def test_a_request_that_is_refused_at_once_is_told(bench: Bench, customer: Customer) -> None:
    bench.use(PROTECTED_TENANTS=customer.tenant_id)

    with pytest.raises(Refused):
        submit(bench.services, DeletionRequest(TenantId(customer.tenant_id), "ann"))

    (refused,) = entries(bench, customer.tenant_id)
    assert (refused.kind, refused.requested_by) == ("refused", "ann")
    assert "PROTECTED_TENANTS" in refused.detail


def test_a_stuck_deletion_is_told_with_its_reason(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    order = customer.add_order(ProductKind.SAVINGS_PLAN)

    bench.run(customer.tenant_id)

    stuck = entries(bench, customer.tenant_id)[-1]
    assert stuck.kind == "stuck"
    assert order.id in stuck.detail


def test_a_poisoned_deletion_is_told(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(failing_orders())

    bench.run(customer.tenant_id)

    assert kinds(bench, customer.tenant_id) == ["requested", *["failed"] * 5, "stuck"]


def test_the_history_of_the_last_deletion_stays(bench: Bench, customer: Customer) -> None:
    bench.run(customer.tenant_id)

    bench.run(customer.tenant_id)

    assert kinds(bench, customer.tenant_id).count("requested") == 2
    assert kinds(bench, customer.tenant_id).count("deleted") == 2


def test_a_request_that_the_switch_stops_is_told(bench: Bench, customer: Customer) -> None:
    bench.services.switch.trip("eve", "wrong credentials")

    with pytest.raises(SwitchTripped):
        submit(bench.services, DeletionRequest(TenantId(customer.tenant_id), "ann"))

    (stopped,) = entries(bench, customer.tenant_id)
    assert (stopped.kind, stopped.requested_by) == ("stopped", "ann")
    assert "wrong credentials" in stopped.detail


@pytest.mark.parametrize("record", [True, False], ids=["with a record", "without"])
def test_a_rejected_drop_about_a_customer_is_told(
    bench: Bench, customer: Customer, record: bool
) -> None:
    if record:
        bench.run(customer.tenant_id)
    bench.drop(f'{{"tenantId": "{customer.tenant_id}", "force": true}}')

    bench.pump()

    last = entries(bench, customer.tenant_id)[-1]
    (rejected,) = bench.services.rejected.all()
    by_id = f"message {rejected.message_id} on customers-to-delete: " if record else ""
    assert last.kind == ("rejected" if record else "refused")
    assert last.detail.startswith(f"{by_id}Unknown member 'force'")


@pytest.mark.parametrize("about", [True, False], ids=["about a customer", "about none"])
def test_the_dismissal_of_a_rejected_message_is_told(
    bench: Bench, customer: Customer, about: bool
) -> None:
    body = f'{{"tenantId": "{customer.tenant_id}", "force": true}}' if about else "contoso"
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "p", body.encode()))
    (rejected,) = bench.services.rejected.all()

    dismiss_rejected(bench.services, rejected.message_id, "bob")
    dismiss_rejected(bench.services, rejected.message_id, "eve")

    told = entries(bench, customer.tenant_id)[1:] if about else account_entries(bench)
    assert [(each.kind, each.requested_by) for each in told] == [("rejected_dismissed", "bob")]
    assert f"message {rejected.message_id} on customers-to-delete: " in told[0].detail


@pytest.mark.parametrize("over", ["queue", "http"])
@pytest.mark.parametrize("end", ["dry_run_refused", "dry_run_failed"])
def test_a_dry_run_that_shows_no_plan_is_told(
    bench: Bench, simulator: Simulator, customer: Customer, over: str, end: str
) -> None:
    tenant = TenantId(customer.tenant_id)
    if end == "dry_run_refused":
        bench.use(PROTECTED_TENANTS=tenant)
    else:
        simulator.add_fault(failing_orders())
    if over == "queue":
        bench.drop(f'{{"tenantId": "{tenant}", "dryRun": true, "requestedBy": "ann"}}')
        bench.pump()
    else:
        with pytest.raises((Refused, PartnerCenterError)):
            dry_run_now(bench.services, DeletionRequest(tenant, "ann", dry_run=True))

    (told,) = entries(bench, tenant)
    assert (told.kind, told.requested_by) == (end, "ann")
    assert ("PROTECTED_TENANTS" if end == "dry_run_refused" else "400/3000") in told.detail


def test_a_dry_run_that_shows_its_plan_leaves_nothing(bench: Bench, customer: Customer) -> None:
    bench.drop(f'{{"tenantId": "{customer.tenant_id}", "dryRun": true}}')

    bench.pump()

    assert entries(bench, customer.tenant_id) == []


def test_a_request_that_died_before_its_entry_is_told_by_redrive(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = TenantId(customer.tenant_id)
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            submit(bench.services, DeletionRequest(tenant, "ann"))
    assert entries(bench, tenant) == []
    bench.move_clock_to(bench.services.now() + timedelta(minutes=16))

    bench.redrive()

    assert [(each.kind, each.requested_by) for each in entries(bench, tenant)] == [
        ("requested", "ann")
    ]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_trip_and_a_reset_are_told_with_the_person(bench: Bench) -> None:
    bench.services.switch.trip("ann", "wrong credentials")
    bench.services.switch.reset("bob", "checked")

    told = [(each.kind, each.requested_by, each.detail) for each in account_entries(bench)]
    assert told == [
        ("switch_tripped", "ann", "wrong credentials"),
        ("switch_reset", "bob", "checked"),
    ]


def test_a_trip_by_partner_center_is_told_in_both_histories(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 800019, "description": "Not an integration sandbox."}
    simulator.add_fault(Fault("PATCH", status=403, body=body))

    bench.run(customer.tenant_id)

    assert kinds(bench, customer.tenant_id) == ["requested", "call", "refused"]
    (trip,) = account_entries(bench)
    assert (trip.kind, trip.requested_by) == ("switch_tripped", "tipsweep")


def test_a_sweep_is_told_with_what_it_started(bench: Bench, customer: Customer) -> None:
    bench.use(PROTECTED_DOMAINS="none", SWEEP_MIN_AGE_DAYS="0")

    run_sweep(bench.services, SweepMode.DELETE, "ann")

    (sweep,) = account_entries(bench)
    assert (sweep.kind, sweep.requested_by) == ("sweep", "ann")
    assert sweep.detail == "mode delete: 1 selected, 1 started"
    assert {call.correlation_id for call in bench.calls()} == {sweep.correlation_id}
    (requested,) = entries(bench, customer.tenant_id)
    assert (requested.kind, requested.requested_by) == ("requested", "sweep")


def test_a_refused_sweep_is_told_with_the_rule(bench: Bench) -> None:
    with pytest.raises(Refused):
        run_sweep(bench.services, SweepMode.DELETE)

    (sweep,) = account_entries(bench)
    assert (sweep.kind, sweep.requested_by) == ("sweep_failed", "the timer")
    assert "rule 3" in sweep.detail


def test_redrive_removes_old_entries(bench: Bench, customer: Customer) -> None:
    tenant = TenantId(customer.tenant_id)
    now = bench.services.now()
    slices_from_now = next(
        number
        for number in range(256)
        if (int(now.timestamp()) // 300 + number) % 256 == int(tenant[:2], 16)
    )
    due = now + timedelta(minutes=5 * slices_from_now)
    for days in (399, 402):
        old = HistoryEntry(EntryKind.DELETED, due - timedelta(days=days), detail=str(days))
        bench.services.history.add(tenant, [old])
    bench.move_clock_to(due)

    bench.redrive()

    assert [each.detail for each in entries(bench, tenant)] == ["399"]


def test_no_secret_and_no_token_is_in_the_history(bench: Bench, customer: Customer) -> None:
    bench.run(customer.tenant_id)

    rows = str([dict(row) for row in bench.tables.get_table_client(HISTORY_TABLE).list_entities()])

    assert customer.tenant_id in rows
    assert bench.services.connection.tokens.token(Deadline.after()) not in rows
    secret = bench.services.settings.partner_center.client_secret
    assert secret
    assert secret not in rows
