"""Trouble around a deletion: it waits, somebody is told what to do, and it goes on by itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.functions.queue import QueueMessage

from functions.cancel_orders import cancel_orders
from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion import put_back, steps
from shared.deletion.claims import claim_step
from shared.deletion.messages import DeletionRequest, Parcel, StepMessage, opened, parse_step
from shared.deletion.put_back import TRIES
from shared.deletion.submission import abort, submit
from shared.partner_center.connection import Connection
from shared.settings import settings
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
    POISON_SUFFIX,
    QUEUES,
)
from shared.storage.records import Records, State
from shared.tenants import TenantId
from tests.bench import UNHURRIED, Bench
from tests.infra.bicep import ROOT
from tests.local_budget import LocalBudget

HOUR = timedelta(hours=1)
WRONG = {"PARTNER_CENTER_CLIENT_SECRET": "@Microsoft.KeyVault(SecretUri=https://x.example/s)"}
NAMELESS = {"PARTNER_TENANT_ID": "not a GUID"}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=50)
    return customer


@pytest.fixture
def tenant(customer: Customer) -> TenantId:
    return TenantId(customer.tenant_id)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is put back be visible at once."""
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    monkeypatch.setattr(put_back, "_LONGEST", timedelta(0))
    monkeypatch.setattr("functions.record_poison._POISON_DELAY", timedelta(0))


@pytest.fixture
def spoil(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that makes settings wrong; the delays between checks are the real ones."""

    def wrong(**changes: str) -> None:
        for name, value in {**bench._environment, **changes}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("shared.services._built", [])
        settings.cache_clear()

    return wrong


def repair(bench: Bench) -> None:
    bench.put(bench.services)


def later(bench: Bench, time: timedelta) -> None:
    bench.move_clock_to(bench.services.now() + time)


def clear(bench: Bench) -> None:
    """Clear every queue, because its messages are not visible yet."""
    for queue in QUEUES:
        bench.queues.get_queue_client(queue).clear_messages()


def send_check(bench: Bench, tenant: TenantId) -> None:
    record = bench.record(tenant)
    message = StepMessage(tenant, record.generation + 1, record.correlation_id)
    bench.drop(message.to_json(), ORDERS_TO_CHECK)


def fail(
    patch: pytest.MonkeyPatch, method: str, error: Exception, *, times: int = 10**6, after: int = 0
) -> None:
    """Make a method of the table of records fail, as if the table were away."""
    original = getattr(Records, method)
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if after < calls <= after + times:
            raise error
        return original(*arguments)

    patch.setattr(Records, method, call)


def test_a_refused_sign_in_holds_deletions_up_until_it_is_repaired(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    tenant: TenantId,
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {"error": "invalid_client", "error_description": "AADSTS7000222: secret expired"}
    simulator.add_fault(Fault(path="*/token", status=401, body=body, times=None))
    bench.drop(tenant)
    bench.pump(passes=8)
    later(bench, 60 * HOUR)
    bench.pump(passes=3)

    held_up = bench.record(tenant)
    assert held_up.live
    assert held_up.attempt == 11
    assert "AADSTS7000222" in held_up.last_error
    assert "work_held_up cause=sign_in" in caplog.text
    assert simulator.sandbox.client_secret not in caplog.text + held_up.last_error

    simulator.clear_faults()
    bench.pump()

    assert customer.deleted
    assert not bench.errors


def test_a_drop_waits_for_settings_that_are_wrong(
    bench: Bench,
    customer: Customer,
    tenant: TenantId,
    spoil: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(**WRONG)
    bench.drop(tenant)

    bench.pump(passes=7)

    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1
    assert bench.services.records.get(tenant) is None
    assert "work_held_up cause=settings" in caplog.text
    assert "PARTNER_CENTER_CLIENT_SECRET" in caplog.text
    repair(bench)
    bench.pump()
    assert customer.deleted
    assert not bench.errors


@pytest.mark.parametrize("wrong", [WRONG, NAMELESS], ids=["another", "PARTNER_TENANT_ID"])
def test_a_deletion_waits_for_settings_and_its_deadline_moves(
    bench: Bench,
    customer: Customer,
    tenant: TenantId,
    spoil: Callable[..., None],
    wrong: dict[str, str],
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    spoil(**wrong)

    bench.pump(passes=3)

    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert bench.record(tenant).live
    repair(bench)
    if wrong is WRONG:
        assert "PARTNER_CENTER_CLIENT_SECRET" in bench.record(tenant).last_error
        clear(bench)
        send_check(bench, tenant)
        later(bench, 60 * HOUR)
    bench.pump()
    assert customer.deleted
    assert not bench.errors


def test_a_generation_that_was_never_sent_is_recorded_while_settings_are_wrong(
    bench: Bench, tenant: TenantId, spoil: Callable[..., None]
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    record = bench.record(tenant)
    forged = StepMessage(tenant, record.generation + 1_000, record.correlation_id)
    spoil(**WRONG)

    bench.drop(forged.to_json(), CUSTOMERS_READY)
    bench.pump(passes=3)

    assert [row["tenant"] for row in bench.poisoned()] == [tenant]
    assert bench.record(tenant).generation < record.generation + 10
    assert bench.waiting(ORDERS_TO_CHECK) == 1


def test_an_abort_holds_against_a_drop_that_was_put_back_after_it(
    bench: Bench, customer: Customer, tenant: TenantId, spoil: Callable[..., None]
) -> None:
    submit(bench.services, DeletionRequest(tenant))
    abort(bench.services, tenant, "ann")
    clear(bench)
    spoil(**WRONG)
    dropped = QueueMessage(id="m", body=tenant.encode(), insertion_time=datetime.now(UTC) - HOUR)

    cancel_orders(dropped)

    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1
    repair(bench)
    bench.pump()
    assert bench.record(tenant).state is State.ABORTED
    assert not bench.writes()
    assert not customer.deleted


def test_a_message_that_was_put_back_says_when_it_was_first_inserted() -> None:
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    body = b'{"tenantId": "x"}\xff'

    once = opened(body, first)
    twice = opened(once.sealed().encode(), first + HOUR)

    assert twice == once
    assert opened(twice.sealed().encode(), first - HOUR).inserted_at == first - HOUR


@pytest.mark.parametrize(
    "text",
    [
        '{"putBack":',
        '{"putBack": 1, "firstInsertedAt": ""}',
        '{"putBack": "x", "firstInsertedAt": "yesterday"}',
        '{"putBack": "x", "firstInsertedAt": "2026-03-01T12:00:00"}',
        '{"putBack": "x", "firstInsertedAt": "", "tenantId": "y"}',
    ],
)
def test_what_only_looks_like_a_message_that_was_put_back_is_read_as_it_is(text: str) -> None:
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert opened(text.encode(), first).body == text.encode()


@pytest.mark.parametrize("queue", QUEUES)
def test_a_poisoned_message_of_a_host_that_died_goes_on(
    bench: Bench, customer: Customer, tenant: TenantId, queue: str
) -> None:
    """The host moves a message whose five tries ended with the host."""
    bench.drop(tenant)
    for source in QUEUES:
        message = bench.take(source)
        assert message is not None
        if source == queue:
            bench.forget(source, message)
            bench.drop(str(message.content), source + POISON_SUFFIX)
            break
        bench.deliver(source, message)
        bench.simulator.advance(60)

    bench.pump()

    assert customer.deleted
    assert not bench.poisoned()


def test_a_claimed_drop_of_a_host_that_died_goes_on(
    bench: Bench, customer: Customer, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HostDied(BaseException):
        pass

    def die(*_: object) -> None:
        raise HostDied

    bench.drop(tenant)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    with monkeypatch.context() as patch:
        patch.setattr(steps, "take_snapshot", die)
        with pytest.raises(HostDied):
            bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.forget(CUSTOMERS_TO_DELETE, message)
    assert bench.record(tenant).state is State.CANCELLING
    bench.drop(tenant, CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    assert customer.deleted
    assert not bench.poisoned()


def test_a_host_that_dies_on_every_try_ends_the_deletion_at_its_deadline(
    bench: Bench, tenant: TenantId
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    later(bench, 49 * HOUR)

    states = []
    for number in range(2):
        clear(bench)
        record = bench.record(tenant)
        message = StepMessage(tenant, record.generation, record.correlation_id)
        assert claim_step(bench.services.records, message, f"m{number}", bench.services.now())
        bench.drop(message.to_json(), ORDERS_TO_CHECK + POISON_SUFFIX)
        poison = bench.take(ORDERS_TO_CHECK + POISON_SUFFIX)
        assert poison is not None
        bench.deliver(ORDERS_TO_CHECK + POISON_SUFFIX, poison)
        states.append(bench.record(tenant).state)

    assert states == [State.CHECKING, State.STUCK]


def test_a_poisoned_drop_does_not_undo_an_abort(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    submit(bench.services, DeletionRequest(tenant))
    abort(bench.services, tenant, "ann")
    bench.drop(tenant, CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    assert bench.record(tenant).state is State.ABORTED
    assert len(bench.poisoned()) == 1
    assert not customer.deleted


@pytest.mark.parametrize("known", [False, True], ids=["without record", "with record"])
def test_a_bug_ends_the_deletion_after_five_tries_with_its_type(
    bench: Bench, tenant: TenantId, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    def wrong(*_: object) -> None:
        raise TypeError("no such thing")

    bench.drop(tenant)
    if known:
        bench.pump(passes=1)
    monkeypatch.setattr(steps, "take_snapshot", wrong)

    bench.pump()

    record = bench.record(tenant)
    assert record.state is State.STUCK
    assert record.reason == "TypeError: no such thing"
    assert len(bench.errors) == TRIES


def test_only_tries_that_failed_by_themselves_count(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    record = replace(bench.record(tenant), failures=TRIES - 1, last_error="TypeError: once")
    record = bench.services.records.replace(record)
    clear(bench)
    message = StepMessage(tenant, record.generation, record.correlation_id)
    bench.drop(message.to_json(), ORDERS_TO_CHECK + POISON_SUFFIX)

    bench.pump()

    assert customer.deleted
    assert bench.record(tenant).failures == 0


def test_the_number_of_tries_is_that_of_the_host() -> None:
    host = json.loads((ROOT / "host.json").read_text())

    assert host["extensions"]["queues"]["maxDequeueCount"] == TRIES


@pytest.mark.parametrize("after", [0, 1])
def test_a_write_to_storage_that_fails_puts_the_deletion_back(
    bench: Bench,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    after: int,
) -> None:
    """One write, or the next one too, which notes the trouble."""
    tenant = customer.tenant_id
    bench.drop(tenant)
    bench.pump(passes=1)
    error = ServiceRequestError("storage did not respond")
    # The first write of a step is its claim.
    with monkeypatch.context() as patch:
        fail(patch, "replace", error, after=1, times=1 + after)
        bench.pump(passes=1)

    noted = bench.record(tenant).last_error
    assert noted == ("" if after else "storage failed: storage did not respond")
    assert "work_held_up cause=storage" in caplog.text
    bench.pump()
    assert customer.deleted
    assert not bench.errors


def test_while_the_table_is_away_messages_are_kept_and_then_go_on(
    bench: Bench,
    customer: Customer,
    tenant: TenantId,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = bench.simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    bench.drop(tenant)
    bench.pump(passes=1)
    bench.drop(other.tenant_id)
    with monkeypatch.context() as patch:
        fail(patch, "get", from_storage(403))
        bench.pump(passes=12)

    assert len(bench.errors) == 2 * TRIES
    assert sum(bench.waiting(queue) for queue in POISON_QUEUES) == 2
    assert "work_held_up cause=storage" in caplog.text
    bench.pump()
    assert customer.deleted
    assert other.deleted
    assert not bench.poisoned()


def test_a_drop_outlives_an_outage_that_is_longer_than_the_deadline(
    bench: Bench, customer: Customer, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop(tenant)
    with monkeypatch.context() as patch:
        fail(patch, "get", from_storage(403))
        bench.pump(passes=8)
    later(bench, 49 * HOUR)

    bench.pump()

    assert customer.deleted
    assert not bench.poisoned()


def test_a_late_drop_of_several_is_put_back_once_more(bench: Bench, customer: Customer) -> None:
    other = bench.simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    text = f"{customer.tenant_id}\n{other.tenant_id}"
    late = Parcel(text.encode(), None, bench.services.now() - 49 * HOUR)
    bench.drop(late.sealed(), CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    assert customer.deleted
    assert other.deleted
    assert not bench.poisoned()


def test_a_late_drop_of_a_host_that_died_gets_one_more_try(bench: Bench, tenant: TenantId) -> None:
    poison = CUSTOMERS_TO_DELETE + POISON_SUFFIX
    old = bench.services.now() - 49 * HOUR
    bench.drop(Parcel(tenant.encode(), None, old).sealed(), poison)
    deliver_next(bench, poison)

    again = bench.take(CUSTOMERS_TO_DELETE)

    assert again is not None
    assert bench.services.records.get(tenant) is None
    bench.forget(CUSTOMERS_TO_DELETE, again)
    bench.drop(str(again.content), poison)
    deliver_next(bench, poison)
    assert bench.record(tenant).state is State.STUCK
    assert not bench.waiting(CUSTOMERS_TO_DELETE)


def test_an_outage_gives_a_late_drop_its_last_try_back(
    bench: Bench, customer: Customer, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = CUSTOMERS_TO_DELETE + POISON_SUFFIX
    old = bench.services.now() - 49 * HOUR
    bench.drop(Parcel(tenant.encode(), None, old, last_try=True).sealed(), poison)
    with monkeypatch.context() as patch:
        fail(patch, "get", from_storage(503))
        deliver_next(bench, poison)

    bench.pump()

    assert customer.deleted
    assert not bench.poisoned()


def deliver_next(bench: Bench, queue: str) -> None:
    message = bench.take(queue)
    assert message is not None
    bench.deliver(queue, message)


def from_storage(status: int) -> HttpResponseError:
    error = HttpResponseError(f"storage responded with status {status}")
    error.status_code = status
    return error


def test_a_call_that_storage_finds_wrong_is_a_bug(
    bench: Bench, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise from_storage(400)

    monkeypatch.setattr(steps, "take_snapshot", wrong)

    record = bench.run(tenant)

    assert record.state is State.STUCK
    assert "status 400" in record.reason


def test_five_different_short_troubles_are_no_fault_of_the_message(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    tenant: TenantId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.add_fault(Fault(path="*/orders", drop=True, times=2))
    simulator.add_fault(Fault(path="*/orders", status=503, times=3))
    simulator.add_fault(Fault(path="*/orders", status=401))
    simulator.add_fault(Fault(path="*/orders", status=429, headers={"Retry-After": "0"}))
    fail(monkeypatch, "replace", ServiceRequestError("storage did not respond"), after=6, times=1)

    record = bench.run(tenant)

    assert record.state is State.DELETED
    assert customer.deleted
    assert not bench.errors
    assert not bench.poisoned()


def test_a_poisoned_message_is_recorded_while_other_settings_are_wrong(
    bench: Bench, spoil: Callable[..., None]
) -> None:
    bench.drop("contoso.onmicrosoft.com")
    spoil(**WRONG)

    bench.pump()

    (row,) = bench.poisoned()
    assert "contoso" in row["reason"]
    assert not bench.errors


def test_a_poisoned_message_is_kept_while_its_account_is_unknown(
    bench: Bench, spoil: Callable[..., None]
) -> None:
    bench.drop("contoso.onmicrosoft.com")
    spoil(**NAMELESS)

    bench.pump(passes=5)

    assert not bench.poisoned()
    assert bench.waiting(CUSTOMERS_TO_DELETE + POISON_SUFFIX) == 1
    message = bench.take(CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    assert message is not None
    assert message.expires_on is not None
    assert message.expires_on.year > datetime.now(UTC).year + 1
    bench.queues.get_queue_client(CUSTOMERS_TO_DELETE + POISON_SUFFIX).update_message(
        message, visibility_timeout=0
    )
    repair(bench)
    bench.pump()
    (row,) = bench.poisoned()
    assert row["body"] == "contoso.onmicrosoft.com"
    assert not bench.errors


@pytest.mark.parametrize("letter", ['"', "\\", "\n"])
def test_a_poisoned_message_of_64_kib_is_kept_while_its_account_is_unknown(
    bench: Bench, spoil: Callable[..., None], letter: str
) -> None:
    """Inside another message it would be twice as large, and no queue takes that."""
    body = "x" + letter * 65_534 + "x"
    bench.drop(body)
    spoil(**NAMELESS)
    bench.pump(passes=5)
    assert not bench.errors

    repair(bench)
    bench.pump()

    (row,) = bench.poisoned()
    assert row["body"] == body[:500]
    assert not bench.errors


def test_redrive_works_while_other_settings_are_wrong(
    bench: Bench,
    customer: Customer,
    tenant: TenantId,
    spoil: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = submit(bench.services, DeletionRequest(tenant))
    clear(bench)
    overdue = bench.services.now() - HOUR
    bench.services.records.replace(replace(record, next_check_at=overdue))
    spoil(**WRONG)

    with caplog.at_level("INFO", logger="tipsweep"):
        bench.redrive()

    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert "redriven=1" in caplog.text
    assert "work_held_up cause=settings" in caplog.text
    repair(bench)
    bench.pump()
    assert customer.deleted


@pytest.mark.parametrize("started", [False, True])
def test_time_under_a_tripped_switch_does_not_count(
    bench: Bench, customer: Customer, tenant: TenantId, started: bool
) -> None:
    if started:
        bench.drop(tenant)
        bench.pump(passes=1)
    bench.services.switch.trip("ann", "looks odd")
    bench.drop(tenant)
    bench.pump(passes=2)
    before = bench.record(tenant)
    later(bench, 60 * HOUR)
    bench.services.switch.reset("ann", "was nothing")

    bench.pump()

    record = bench.record(tenant)
    assert record.state is State.DELETED
    assert customer.deleted
    assert timedelta(0) <= record.parked - before.parked - 60 * HOUR < HOUR
    assert record.deadline - before.deadline == record.parked - before.parked


def test_time_that_our_own_limit_takes_does_not_count(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    clear(bench)
    free, full = bench.services.connection, LocalBudget(UNHURRIED)
    full.pause(UNHURRIED)
    base_url = bench.services.settings.partner_center.endpoints.base_url
    bench.put(replace(bench.services, connection=Connection(base_url, free.tokens, full)))
    called = len(bench.calls())
    for _ in range(3):
        later(bench, 60 * HOUR)
        bench.forget_customer_list()
        send_check(bench, tenant)
        bench.pump(passes=1)
        assert bench.record(tenant).live
    assert len(bench.calls()) == called

    bench.put(replace(bench.services, connection=free))
    send_check(bench, tenant)
    bench.pump()

    assert customer.deleted
    record = bench.record(tenant)
    assert record.state is State.DELETED
    assert record.parked > 100 * HOUR


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="*/orders", status=429, headers={"Retry-After": "3600"}),
        Fault(path="*/orders", status=503, headers={"Retry-After": "3600"}),
    ],
    ids=["429", "503"],
)
def test_time_that_partner_center_asks_for_does_not_count(
    bench: Bench, simulator: Simulator, tenant: TenantId, fault: Fault
) -> None:
    simulator.add_fault(fault)
    bench.drop(tenant)

    bench.pump(passes=1)

    record = bench.record(tenant)
    assert record.live
    assert record.granted >= HOUR
    assert record.deadline - record.requested_at == 48 * HOUR + record.granted


def test_a_deletion_that_nobody_looked_at_does_not_end_as_late(
    bench: Bench, simulator: Simulator, customer: Customer, tenant: TenantId
) -> None:
    """The app was stopped for longer than the deadline."""
    bench.drop(tenant)
    bench.pump(passes=1)
    later(bench, 60 * HOUR)
    simulator.add_fault(Fault(path="*/orders", status=503, times=3))

    bench.pump()

    assert bench.record(tenant).state is State.DELETED
    assert customer.deleted


@pytest.mark.parametrize("claimed", [False, True])
def test_a_message_that_the_host_moved_after_the_deadline_is_no_look(
    bench: Bench, customer: Customer, tenant: TenantId, claimed: bool
) -> None:
    """The host was down for longer than the deadline, and nobody has looked since."""
    submit(bench.services, DeletionRequest(tenant))
    message = bench.take(ORDERS_TO_CHECK)
    assert message is not None
    if claimed:
        step = parse_step(str(message.content).encode())
        claim_step(bench.services.records, step, message.id, bench.services.now())
    bench.forget(ORDERS_TO_CHECK, message)
    bench.drop(str(message.content), ORDERS_TO_CHECK + POISON_SUFFIX)
    later(bench, 60 * HOUR)

    bench.pump(advance_seconds=60)

    assert bench.record(tenant).state is State.DELETED
    assert customer.deleted


def test_a_failed_look_after_the_deadline_ends_what_was_looked_at_since(
    bench: Bench, simulator: Simulator, tenant: TenantId
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=500, times=None))
    bench.drop(tenant)
    bench.pump(passes=1)
    later(bench, 49 * HOUR)

    bench.pump(passes=1)
    assert bench.record(tenant).live
    bench.pump(passes=1)

    assert bench.record(tenant).state is State.STUCK


def test_a_drop_of_a_deletion_that_is_ready_is_not_put_back(
    bench: Bench, customer: Customer, tenant: TenantId
) -> None:
    bench.drop(tenant)
    bench.pump(passes=1)
    bench.drop(tenant, CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    bench.pump()

    assert customer.deleted
    assert not bench.poisoned()
    assert not bench.waiting(CUSTOMERS_TO_DELETE)
    assert not bench.waiting(CUSTOMERS_READY)


def test_a_poisoned_drop_that_may_be_older_than_an_end_starts_nothing(
    bench: Bench, customer: Customer
) -> None:
    """The host does not say when a message that it moved was dropped: perhaps before an abort."""
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=61)
    assert bench.run(customer.tenant_id).state is State.STUCK
    deletes = len(bench.calls("DELETE"))

    bench.drop(customer.tenant_id, CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.STUCK
    assert len(bench.calls("DELETE")) == deletes
    assert len(bench.poisoned()) == 1
