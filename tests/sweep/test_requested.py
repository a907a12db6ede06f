"""Sweeps over HTTP: accepted at once, run from a queue, followed to their report."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.simulator import Fault, Simulator
from shared.deletion.messages import DeletionRequest, SweepMessage
from shared.deletion.redrive import GRACE
from shared.deletion.submission import submit
from shared.services import Services
from shared.storage.names import POISON_SUFFIX, SWEEP_RUN_ROW_PREFIX, SWEEPS_TO_RUN
from shared.storage.records import DeletionRecord
from shared.storage.sweeps import SweepChanged, SweepState
from shared.sweep.report import SweepReport
from shared.sweep.run import run_sweep
from tests.bench import Bench
from tests.http.app import ADDRESS, App, Response
from tests.sweep.customers import add, started

STRANGER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
NO_CUSTOMERS = Fault("GET", "/v1/customers", 400, {"code": 3000, "description": "no"})


@pytest.fixture(scope="module")
def api() -> App:
    return App()


def ask(api: App, mode: str = "report") -> str:
    """Ask for a sweep and return its address."""
    accepted = api.post("/api/sweeps", {"mode": mode})
    assert accepted.status == 202, accepted.text
    return accepted.headers["location"]


def state(response: Response) -> tuple[int, str]:
    return response.status, response.json["state"]


def message_of(address: str, generation: int = 1) -> str:
    return SweepMessage(address.rpartition("/")[2], generation).to_json()


def test_a_sweep_is_accepted_before_anything_is_read(api: App, bench: Bench) -> None:
    response = api.post("/api/sweeps", {"mode": "report"})

    assert state(response) == (202, "requested")
    assert response.headers["location"] == f"{ADDRESS}/api/sweeps/{response.json['id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert bench.calls() == []
    assert bench.waiting(SWEEPS_TO_RUN) == 1


def test_its_address_leads_to_the_report(api: App, bench: Bench, simulator: Simulator) -> None:
    [customer] = add(simulator, 1)
    address = ask(api)

    waiting = api.get(address)
    bench.pump()
    finished = api.get(address)

    assert state(waiting) == (202, "requested")
    assert waiting.headers["location"] == address
    assert state(finished) == (200, "finished")
    assert [each["tenantId"] for each in finished.json["report"]["customers"]] == [
        customer.tenant_id
    ]
    assert finished.json["finishedAt"]


def test_a_repeated_request_gets_the_sweep_that_has_not_ended(api: App, bench: Bench) -> None:
    """A Logic App sends a request again whose response was lost."""
    first = ask(api)

    assert ask(api) == first
    assert bench.waiting(SWEEPS_TO_RUN) == 1
    bench.pump()
    assert ask(api) != first


def test_a_sweep_in_the_other_mode_is_another_one(api: App, bench: Bench) -> None:
    bench.use(PROTECTED_DOMAINS="none")

    assert ask(api, "report") != ask(api, "delete")


def test_a_delivery_that_comes_again_after_the_end_changes_nothing(api: App, bench: Bench) -> None:
    address = ask(api)
    message = bench.take(SWEEPS_TO_RUN)
    assert message is not None
    bench.deliver(SWEEPS_TO_RUN, message)
    calls = len(bench.calls())

    bench.redeliver(SWEEPS_TO_RUN, message)

    assert len(bench.calls()) == calls
    assert state(api.get(address)) == (200, "finished")


def test_a_sweep_waits_while_partner_center_is_away(
    api: App, bench: Bench, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("GET", "/v1/customers", status=503, times=4))
    address = ask(api)

    bench.pump(passes=1)
    waiting = api.get(address)
    bench.pump()

    assert state(waiting) == (202, "running")
    assert "503" in waiting.json["reason"]
    assert state(api.get(address)) == (200, "finished")
    assert api.get(address).json["reason"] == ""


def test_a_message_from_before_the_wait_is_dropped(
    api: App, bench: Bench, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("GET", "/v1/customers", status=503, times=4))
    address = ask(api)
    bench.pump(passes=1)
    calls = len(bench.calls())

    bench.queues.get_queue_client(SWEEPS_TO_RUN).clear_messages()
    bench.drop(message_of(address), SWEEPS_TO_RUN)
    bench.pump()

    assert len(bench.calls()) == calls


def test_a_sweep_does_not_wait_longer_than_a_deletion(
    api: App, bench: Bench, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("GET", "/v1/customers", status=503, times=None))
    address = ask(api)
    later = bench.services.now() + bench.services.settings.checks.deadline
    bench.move_clock_to(later + timedelta(seconds=1))

    bench.pump()
    response = api.get(address)

    assert (response.status, response.problem) == (409, "sweep-failed")
    assert response.json["state"] == "failed"
    assert response.json["remedy"]


def test_a_rejected_call_ends_the_sweep(api: App, bench: Bench, simulator: Simulator) -> None:
    simulator.add_fault(NO_CUSTOMERS)
    address = ask(api)

    bench.pump()

    assert api.get(address).problem == "sweep-failed"
    assert bench.waiting(SWEEPS_TO_RUN) == 0


def test_only_a_rule_is_logged_as_a_refusal(
    api: App, bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert on refusals says that a rule has stopped a sweep."""
    simulator.add_fault(NO_CUSTOMERS)
    ask(api)
    bench.pump()
    failed = caplog.text
    caplog.clear()
    bench.use(SANDBOX_TENANT_CONFIRMATION=STRANGER)
    ask(api)
    bench.pump()

    assert "sweep_failed sweep=" in failed
    assert "sweep_refused" not in failed
    assert "sweep_refused sweep=" in caplog.text


def test_a_rule_ends_the_sweep_as_refused(api: App, bench: Bench) -> None:
    bench.use(SANDBOX_TENANT_CONFIRMATION=STRANGER)
    address = ask(api)

    bench.pump()
    response = api.get(address)

    assert (response.status, response.problem) == (422, "refused")
    assert response.json["reason"].startswith("rule 1")


def test_a_trip_after_the_request_ends_a_sweep_that_deletes(
    api: App, bench: Bench, simulator: Simulator
) -> None:
    [customer] = add(simulator, 1)
    bench.use(PROTECTED_DOMAINS="none")
    address = ask(api, "delete")
    bench.services.switch.trip("ann", "Stop")

    bench.pump()
    response = api.get(address)

    assert (response.status, response.problem) == (409, "sweep-failed")
    assert "Stop" in response.json["detail"]
    assert not customer.deleted


def test_a_trip_during_the_sweep_holds_what_it_has_started(
    api: App, bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = add(simulator, 3)
    bench.use(PROTECTED_DOMAINS="none")
    address = ask(api, "delete")

    def submit_and_trip(services: Services, request: DeletionRequest) -> DeletionRecord:
        record = submit(services, request)
        services.switch.trip("ann", "Stop")
        return record

    monkeypatch.setattr("shared.sweep.run.submit", submit_and_trip)
    bench.pump(passes=3)

    assert state(api.get(address)) == (409, "failed")
    assert len(started(bench)) == 1
    assert not any(each.deleted for each in customers)


def test_a_process_that_dies_after_its_submissions_starts_no_more_of_them(
    api: App, bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(simulator, 4)
    bench.use(PROTECTED_DOMAINS="none", SWEEP_MAX_DELETIONS="2")
    address = ask(api, "delete")
    message = bench.take(SWEEPS_TO_RUN)
    assert message is not None
    with monkeypatch.context() as patch:
        patch.setattr("shared.sweep.requested._save_end", dying)
        with pytest.raises(SystemExit):
            bench.deliver(SWEEPS_TO_RUN, message)

    bench.redeliver(SWEEPS_TO_RUN, message)

    assert len(started(bench)) == 2
    assert state(api.get(address)) == (200, "finished")


def test_a_process_that_dies_before_it_sends_the_message_loses_no_sweep(
    api: App, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shared.sweep.requested._send", dying)
        with pytest.raises(SystemExit):
            api.post("/api/sweeps", {"mode": "report"})
    address = ask(api)

    bench.move_clock_to(bench.services.now() + GRACE + timedelta(seconds=1))
    bench.redrive()
    bench.pump()

    assert state(api.get(address)) == (200, "finished")


def test_a_message_that_is_delivered_twice_at_once_starts_no_more(
    api: App, bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(simulator, 4)
    bench.use(PROTECTED_DOMAINS="none", SWEEP_MAX_DELETIONS="2")
    address = ask(api, "delete")
    message = bench.take(SWEEPS_TO_RUN)
    assert message is not None
    deliveries = [message]

    def overtaken(*arguments: Any) -> SweepReport:
        if deliveries:
            bench.redeliver(SWEEPS_TO_RUN, deliveries.pop())
        return run_sweep(*arguments)

    monkeypatch.setattr("shared.sweep.requested.run_sweep", overtaken)
    bench.deliver(SWEEPS_TO_RUN, message)

    assert len(started(bench)) == 2
    assert state(api.get(address)) == (200, "finished")


def dying(*_: object) -> None:
    raise SystemExit


def test_a_sweep_that_fails_each_time_ends_with_the_reason(
    api: App, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = ask(api)
    monkeypatch.setattr("shared.sweep.requested.run_sweep", failing)

    bench.pump()
    response = api.get(address)

    assert len(bench.errors) == 5
    assert (response.status, response.problem) == (409, "sweep-failed")
    assert "ZeroDivisionError" in response.json["detail"]


def failing(*_: object) -> None:
    raise ZeroDivisionError


def test_a_message_that_the_host_gave_up_for_another_reason_goes_on(api: App, bench: Bench) -> None:
    address = ask(api)
    bench.queues.get_queue_client(SWEEPS_TO_RUN).clear_messages()
    bench.drop(message_of(address), SWEEPS_TO_RUN + POISON_SUFFIX)

    bench.pump()

    assert state(api.get(address)) == (202, "requested")
    assert bench.waiting(SWEEPS_TO_RUN) == 1


def test_a_sweep_at_which_each_process_dies_ends_with_the_deadline(api: App, bench: Bench) -> None:
    """Nobody counts such a try, and a live sweep keeps others of its mode from beginning."""
    address = ask(api)
    bench.queues.get_queue_client(SWEEPS_TO_RUN).clear_messages()
    deadline = bench.services.settings.checks.deadline
    bench.move_clock_to(bench.services.now() + deadline + timedelta(seconds=1))
    bench.drop(message_of(address), SWEEPS_TO_RUN + POISON_SUFFIX)

    bench.pump()
    response = api.get(address)

    assert (response.status, response.problem) == (409, "sweep-failed")
    assert response.json["remedy"]
    assert ask(api) != address


def test_a_lost_message_is_sent_again(api: App, bench: Bench) -> None:
    address = ask(api)
    bench.queues.get_queue_client(SWEEPS_TO_RUN).clear_messages()
    bench.redrive()
    assert bench.waiting(SWEEPS_TO_RUN) == 0

    bench.move_clock_to(bench.services.now() + GRACE + timedelta(seconds=1))
    bench.redrive()
    bench.redrive()

    assert bench.waiting(SWEEPS_TO_RUN) == 1
    bench.pump()
    assert state(api.get(address)) == (200, "finished")


@pytest.mark.parametrize(
    "text",
    [
        "report",
        "{}",
        json.dumps({"version": 1, "sweepId": STRANGER, "generation": 1}),
        json.dumps({"version": 2, "sweepId": STRANGER, "generation": 1}),
        json.dumps({"version": 1, "sweepId": 1, "generation": 1}),
        json.dumps({"version": 1, "sweepId": "../x", "generation": True}),
        json.dumps({"version": 1, "mode": "delete", "sweepId": STRANGER, "generation": 1}),
    ],
)
def test_a_message_of_somebody_else_starts_no_sweep(bench: Bench, text: str) -> None:
    bench.drop(text, SWEEPS_TO_RUN)

    bench.pump()

    assert bench.calls() == []
    [rejected] = bench.services.rejected.all()
    assert rejected.queue == SWEEPS_TO_RUN
    assert rejected.reason


@pytest.mark.parametrize("sweep_id", [STRANGER, "x", "a%2Fb", "%23", "é"])
def test_an_unknown_sweep_is_a_404(api: App, bench: Bench, sweep_id: str) -> None:  # noqa: ARG001 - the functions' services
    assert api.get(f"/api/sweeps/{sweep_id}").problem == "no-sweep"


def test_a_sweep_that_could_not_be_queued_says_where_it_is(api: App, bench: Bench) -> None:
    bench.queues.delete_queue(SWEEPS_TO_RUN)

    response = api.post("/api/sweeps", {"mode": "report"})

    assert (response.status, response.problem) == (503, "storage")
    [run] = bench.services.sweeps.live()
    assert f"/api/sweeps/{run.id}" in response.json["detail"]


def test_a_sweep_that_a_later_version_wrote_is_a_503(api: App, bench: Bench) -> None:
    address = ask(api)
    [row] = [
        each
        for each in bench.sandbox.list_entities()
        if each["RowKey"].startswith(SWEEP_RUN_ROW_PREFIX)
    ]
    bench.sandbox.update_entity({**row, "state": "paused"})

    assert api.get(address).problem == "storage"
    assert state(api.post("/api/sweeps", {"mode": "report"})) == (202, "requested")


def test_a_write_over_a_newer_row_is_noticed(api: App, bench: Bench) -> None:
    ask(api)
    [run] = bench.services.sweeps.live()
    bench.services.sweeps.save(replace(run, state=SweepState.RUNNING))

    with pytest.raises(SweepChanged):
        bench.services.sweeps.save(replace(run, reason="late"))


@pytest.mark.parametrize("reason", ["", "x" * 5_000], ids=["short", "cut"])
def test_a_write_whose_response_was_lost_is_ones_own(api: App, bench: Bench, reason: str) -> None:
    ask(api)
    [run] = bench.services.sweeps.live()
    running = replace(run, state=SweepState.RUNNING, reason=reason)
    bench.services.sweeps.save(running)

    assert bench.services.sweeps.save(running).etag


def test_a_sweep_is_removed_after_30_days(api: App, bench: Bench) -> None:
    address = ask(api)
    bench.pump()
    bench.move_clock_to(bench.services.now() + timedelta(days=31))

    bench.redrive()

    assert api.get(address).problem == "no-sweep"
