"""A dry run shows what a deletion would do and changes nothing."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion import put_back
from shared.deletion.claims import Delivery
from shared.deletion.dry_run import dry_run, run_dry
from shared.deletion.dry_run_result import DryRunResult, Outcome
from shared.deletion.messages import DeletionRequest, Parcel, opened
from shared.deletion.submission import submit
from shared.partner_center.errors import NotFound, Rejected
from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_SUFFIX, QUEUES, SANDBOX_TABLE
from shared.storage.plans import Plans
from shared.tenants import TenantId
from tests.bench import MAX_DEQUEUE_COUNT, Bench, failing_orders

MINUTE = timedelta(minutes=1)


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for kind in (ProductKind.PERPETUAL_SOFTWARE, ProductKind.NCE_LICENCES):
        customer.add_order(kind)
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=61)
    return customer


def test_it_logs_each_purchase_and_writes_nothing(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    lines = [record.getMessage() for record in caplog.records]
    actions = [line for line in lines if line.startswith("dry_run_action ")]
    assert len(actions) == 4
    assert sum("action=cancel_order" in line for line in actions) == 1
    assert sum("action=delete_subscription" in line for line in actions) == 1
    assert any("older than 60 days" in line for line in actions)
    assert lines[-1].startswith("dry_run_finished ")
    assert not bench.writes()
    assert bench.services.records.get(TenantId(customer.tenant_id)) is None


def test_it_says_why_it_would_be_refused(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    bench.use(PROTECTED_TENANTS=customer.tenant_id)
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert "dry_run_finished" in caplog.text
    assert "PROTECTED_TENANTS" in caplog.text
    assert not bench.writes()


def test_it_leaves_a_deletion_in_progress_alone(bench: Bench, customer: Customer) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    before = bench.record(customer.tenant_id)

    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))
    bench.pump(passes=1)

    assert bench.record(customer.tenant_id).correlation_id == before.correlation_id


def test_it_trips_the_switch_where_the_account_is_no_sandbox(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": "800019", "description": "not a sandbox"}
    simulator.add_fault(Fault(path="*/orders", status=403, body=body))
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert bench.services.switch.read().tripped
    assert not bench.errors


def test_a_customer_that_is_gone_but_still_listed_is_refused(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    other = simulator.sandbox.add_customer("other.onmicrosoft.com")
    bench.run(other.tenant_id)
    customer.deleted = True
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert "outcome=refused" in caplog.text
    assert not bench.errors


def test_an_outage_of_a_route_is_not_taken_for_a_customer_that_is_gone(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=404))

    with pytest.raises(NotFound):
        dry_run(bench.services, TenantId(customer.tenant_id))


def request(customer: Customer, **members: object) -> str:
    return json.dumps({"tenantId": customer.tenant_id, "dryRun": True, **members})


def result(bench: Bench, customer: Customer) -> DryRunResult:
    text = bench.services.plans.last(TenantId(customer.tenant_id), str)
    assert text is not None, "no plan is stored"
    return DryRunResult.from_json(text)


def test_its_plan_is_stored(bench: Bench, customer: Customer) -> None:
    bench.drop(request(customer, requestedBy="ann"))

    bench.pump()

    found = result(bench, customer)
    assert (found.outcome, found.requested_by) == (Outcome.CANCEL, "ann")
    assert found.domain == "tipdemo001.onmicrosoft.com"
    assert len(found.entries) == 4


def test_its_refusal_is_stored(bench: Bench, customer: Customer) -> None:
    bench.use(PROTECTED_TENANTS=customer.tenant_id)
    bench.drop(request(customer))

    bench.pump()

    found = result(bench, customer)
    assert found.outcome is Outcome.REFUSED
    assert "PROTECTED_TENANTS" in found.reason
    assert found.remedy


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="*/orders", status=429, headers={"Retry-After": "0"}, times=8),
        Fault(path="*/orders", status=503, times=24),
        Fault(path="*/orders", drop=True, times=24),
        Fault(path="*/token", status=401, body={"error": "invalid_client"}, times=8),
        Fault(path="*/orders", status=401, times=24),
    ],
    ids=["throttled", "unavailable", "lost", "sign-in", "token"],
)
def test_trouble_that_passes_burns_no_try_and_touches_no_record(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault
) -> None:
    simulator.add_fault(fault)
    bench.drop(request(customer, requestedBy="ann"))

    bench.pump()

    assert not bench.errors
    assert not bench.poisoned()
    assert list(bench.services.records.all()) == []
    assert (result(bench, customer).outcome, result(bench, customer).requested_by) == (
        Outcome.CANCEL,
        "ann",
    )


@pytest.mark.parametrize("protected", [False, True], ids=["plan", "refusal"])
def test_a_table_that_is_away_burns_no_try(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture, protected: bool
) -> None:
    if protected:
        bench.use(PROTECTED_TENANTS=customer.tenant_id)
    bench.tables.delete_table(SANDBOX_TABLE)
    bench.drop(request(customer))

    bench.pump(passes=8)
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1
    bench.tables.create_table(SANDBOX_TABLE)
    bench.pump()

    assert not bench.errors
    assert not bench.poisoned()
    expected = Outcome.REFUSED if protected else Outcome.CANCEL
    assert result(bench, customer).outcome is expected
    assert "work_held_up cause=storage" in caplog.text
    assert 'reason="storage failed: ' in caplog.text


def test_a_mistake_of_ours_in_a_storage_call_reaches_the_host(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake = HttpResponseError("no such property")
    mistake.status_code = 400

    def keep(*_: object) -> None:
        raise mistake

    monkeypatch.setattr(Plans, "keep", keep)
    bench.drop(request(customer))

    bench.pump(passes=1)

    assert bench.errors == [mistake]


def test_a_token_that_is_not_accepted_is_logged_with_what_to_do(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=401, times=None))
    bench.drop(request(customer))

    bench.pump(passes=1)

    assert "work_held_up cause=token" in caplog.text
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1


def test_it_is_put_back_with_the_delay_that_was_asked_for(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    simulator.add_fault(Fault(path="*/orders", status=429, headers={"Retry-After": "42"}))
    bench.drop(request(customer))

    assert bench.pump() == 1

    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1
    (line,) = [each for each in caplog.messages if each.startswith("dry_run_waiting ")]
    delay = float(line.split("delay_seconds=")[1].split()[0])
    assert 42 <= delay <= 54


def test_it_is_put_back_ever_later(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    checks = replace(bench.services.settings.checks, first_delay=MINUTE, max_delay=60 * MINUTE)
    settings = replace(bench.services.settings, checks=checks)
    bench.put(replace(bench.with_settings(settings), jitter=lambda: 0.0))
    simulator.add_fault(Fault(path="*/orders", drop=True, times=None))
    dry_run = DeletionRequest(TenantId(customer.tenant_id), dry_run=True)

    for attempt in range(4):
        run_dry(bench.services, replace(dry_run, attempt=attempt), Delivery("m"))

    delays = [
        line.split("delay_seconds=")[1].split()[0] for line in caplog.messages if "dry" in line
    ]
    assert delays == ["60.0", "90.0", "135.0", "202.5"]


def test_it_gives_up_when_it_is_as_old_as_a_deletion_may_become(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(path="/v1/*", status=503, times=None))
    bench.drop(request(customer))
    bench.pump(passes=4)
    late = bench.services.now() + bench.services.settings.checks.deadline
    bench.move_clock_to(late)

    bench.pump()

    assert not bench.errors
    assert result(bench, customer).outcome is Outcome.FAILED
    (row,) = bench.poisoned()
    assert "503" in row["reason"]
    assert list(bench.services.records.all()) == []


@pytest.mark.parametrize("live", [False, True], ids=["without record", "beside a live deletion"])
def test_one_that_fails_every_time_is_listed_and_touches_no_record(
    bench: Bench, simulator: Simulator, customer: Customer, live: bool
) -> None:
    if live:
        submit(bench.services, DeletionRequest(TenantId(customer.tenant_id)))
        for queue in QUEUES:
            bench.queues.get_queue_client(queue).clear_messages()
    before = list(bench.services.records.all())
    simulator.add_fault(failing_orders())
    bench.drop(request(customer))

    bench.pump()

    assert len(bench.errors) == 5
    assert list(bench.services.records.all()) == before
    (row,) = bench.poisoned()
    assert "items" in row["reason"]
    assert result(bench, customer).outcome is Outcome.FAILED
    assert "items" in result(bench, customer).reason


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", "*/orders", status=403, body="<html><title>Blocked</title></html>"),
        Fault("GET", "*/orders", status=400, body="<html>Bad</html>"),
        Fault("GET", "*/orders", status=404, body={"code": 1000, "description": "Not found."}),
        Fault("GET", "*/subscriptions", status=403, body=""),
        Fault("GET", "*/customers", status=403, body="<html/>"),
    ],
    ids=["403", "400", "404/1000", "403-empty", "403-customers"],
)
def test_responses_of_a_gateway_are_waited_out(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault
) -> None:
    simulator.add_fault(replace(fault, times=MAX_DEQUEUE_COUNT + 1))
    bench.drop(request(customer))

    bench.pump()

    assert not bench.errors
    assert not bench.poisoned()
    assert result(bench, customer).outcome is Outcome.CANCEL


def fail_one_try(bench: Bench, simulator: Simulator, customer: Customer, text: str) -> None:
    """Let one try of a dry run fail, and its message vanish."""
    simulator.add_fault(failing_orders(times=1))
    bench.drop(text)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    with pytest.raises(Rejected):
        bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.forget(CUSTOMERS_TO_DELETE, message)
    assert result(bench, customer).outcome is Outcome.FAILED


def give_up(bench: Bench, text: str) -> str:
    """Let the host move a message when it is too late to put it back; return the last reason."""
    for row in bench.poisoned():
        bench.sandbox.delete_entity(row)
    bench.move_clock_to(bench.services.now() + 2 * bench.services.settings.checks.deadline)
    last = replace(opened(text.encode(), None), last_try=True)
    bench.drop(last.sealed(), CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    bench.pump()
    (row,) = bench.poisoned()
    return str(row["reason"])


@pytest.mark.parametrize("earlier", ["none", "plan", "failure"])
def test_one_whose_host_died_every_time_goes_on(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    earlier: str,
) -> None:
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    if earlier == "failure":
        simulator.add_fault(failing_orders(times=5))
    if earlier != "none":
        bench.drop(request(customer, requestedBy="ann"))
        bench.pump()
    listed = len(bench.poisoned())
    bench.drop(request(customer, requestedBy="ann"), CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    assert bench.pump() == 2

    assert len(bench.poisoned()) == listed
    assert result(bench, customer).outcome is Outcome.CANCEL
    assert list(bench.services.records.all()) == []


@pytest.mark.parametrize("forwarded", [False, True], ids=["drop", "put back"])
def test_one_whose_host_died_every_time_is_listed_when_it_is_too_old(
    bench: Bench, customer: Customer, forwarded: bool
) -> None:
    old = bench.services.now() - bench.services.settings.checks.deadline
    wanted = DeletionRequest(TenantId(customer.tenant_id), dry_run=True, attempt=1)
    text = wanted.to_json() if forwarded else request(customer)
    late = Parcel(text.encode(), old, last_try=True)
    bench.drop(late.sealed(), CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    (row,) = bench.poisoned()
    assert row["reason"].startswith("the message failed every time")
    assert result(bench, customer).outcome is Outcome.FAILED
    assert not bench.calls()
    assert list(bench.services.records.all()) == []


def test_one_that_is_too_old_gets_one_more_try(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_back, "_LONGEST", timedelta(0))
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    old = bench.services.now() - bench.services.settings.checks.deadline
    late = Parcel(request(customer).encode(), None, old)
    bench.drop(late.sealed(), CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    assert result(bench, customer).outcome is Outcome.CANCEL
    assert not bench.poisoned()


def test_a_try_that_failed_is_not_put_back(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    fail_one_try(bench, simulator, customer, request(customer))
    bench.drop(request(customer), CUSTOMERS_TO_DELETE + POISON_SUFFIX)

    bench.pump()

    (row,) = bench.poisoned()
    assert "items" in row["reason"]
    assert not bench.waiting(CUSTOMERS_TO_DELETE)


def test_a_poison_message_that_has_ended_a_dry_run_does_not_start_it_again(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    poison = CUSTOMERS_TO_DELETE + POISON_SUFFIX
    fail_one_try(bench, simulator, customer, request(customer))
    bench.drop(request(customer), poison)
    message = bench.take(poison)
    assert message is not None
    bench.redeliver(poison, message)
    ended = result(bench, customer)

    bench.deliver(poison, message)

    assert not bench.waiting(CUSTOMERS_TO_DELETE)
    assert (result(bench, customer).reason, ended.final) == (ended.reason, True)
    assert len(bench.poisoned()) == 1


@pytest.mark.parametrize("time", ["9999-12-31T23:00:00-14:00", "0001-01-01T00:00:00+00:00"])
@pytest.mark.parametrize("queue", [CUSTOMERS_TO_DELETE, CUSTOMERS_TO_DELETE + POISON_SUFFIX])
@pytest.mark.parametrize("form", ["forwarded", "parcel"])
def test_one_with_an_impossible_time_is_rejected(
    bench: Bench, customer: Customer, time: str, queue: str, form: str
) -> None:
    members = {"tenantId": customer.tenant_id, "requestedBy": "", "dryRun": True}
    forwarded = {"version": 1, **members, "droppedAt": time, "attempt": 1}
    parcel = {"putBack": json.dumps(members), "firstInsertedAt": time}
    bench.drop(json.dumps(forwarded if form == "forwarded" else parcel), queue)

    bench.pump()

    (row,) = bench.poisoned()
    assert "expected a time with its zone, between the years 2010" in row["reason"]
    assert not bench.errors
    assert not bench.calls()


@pytest.mark.parametrize("method", ["take_snapshot", "make_plan"])
def test_a_bug_ends_it_after_five_tries_with_its_type(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def wrong(*_: object) -> None:
        raise TypeError("no such thing")

    monkeypatch.setattr(f"shared.deletion.dry_run.{method}", wrong)
    bench.drop(request(customer))

    bench.pump()

    assert len(bench.errors) == 5
    (row,) = bench.poisoned()
    assert row["reason"] == "TypeError: no such thing"


def test_the_error_of_one_of_its_tries_is_the_reason(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    fail_one_try(bench, simulator, customer, request(customer))

    assert "items" in give_up(bench, request(customer))


def test_the_error_of_an_earlier_dry_run_is_not_the_reason(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(failing_orders(times=5))
    bench.drop(request(customer))
    bench.pump()
    assert "items" in bench.poisoned()[0]["reason"]

    assert "items" not in give_up(bench, request(customer))
    assert "items" not in result(bench, customer).reason


def test_the_error_of_a_try_of_somebody_else_is_not_the_reason(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    fail_one_try(bench, simulator, customer, request(customer, requestedBy="bob"))

    assert "items" not in give_up(bench, request(customer, requestedBy="ann"))


@pytest.mark.parametrize("forwarded", [False, True], ids=["drop", "put back"])
def test_the_error_of_a_try_before_it_was_dropped_is_not_the_reason(
    bench: Bench, simulator: Simulator, customer: Customer, forwarded: bool
) -> None:
    now, deadline = bench.services.now(), bench.services.settings.checks.deadline
    bench.move_clock_to(now - (MINUTE if forwarded else deadline + MINUTE))
    fail_one_try(bench, simulator, customer, request(customer))
    wanted = DeletionRequest(TenantId(customer.tenant_id), dry_run=True, attempt=1)
    bench.move_clock_to(now)

    reason = give_up(bench, wanted.sealed(now) if forwarded else request(customer))

    assert "items" not in reason
