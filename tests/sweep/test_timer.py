"""The timer runs the sweep that the setting asks for, and logs one line."""

import logging
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from functions.sweep_sandbox import blueprint, schedule_at_start, sweep_sandbox
from local.host.loading import load
from local.host.triggers import OnSchedule
from local.simulator import Simulator
from shared.partner_center.errors import SignInFailed
from shared.settings import SweepMode, sweep_schedule
from shared.sweep.run import last_report
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add


def test_the_timer_logs_what_it_did(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    add(simulator, 3)
    bench.use(**PROTECTED, SWEEP_MODE="delete", SWEEP_MAX_DELETIONS="2")

    with caplog.at_level(logging.INFO, logger="tipsweep"):
        sweep_sandbox(TimerRequest(past_due=False))

    assert caplog.messages == [
        "sweep_finished mode=delete customers=3 free_slots=72 selected=2 started=2"
    ]


def test_a_report_of_the_timer_logs_that_it_started_nothing(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    add(simulator, 1)
    assert bench.services.settings.sweep.mode is SweepMode.REPORT

    with caplog.at_level(logging.INFO, logger="tipsweep"):
        sweep_sandbox(TimerRequest(past_due=False))

    assert caplog.messages == [
        "sweep_finished mode=report customers=1 free_slots=74 selected=1 started=0"
    ]


def test_an_expected_refusal_is_one_line_and_no_exception(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    add(simulator, 1)
    bench.use(**PROTECTED, SWEEP_MODE="delete")
    bench.services.switch.trip("ann", "holiday")
    caplog.clear()

    sweep_sandbox(TimerRequest(past_due=False))

    assert caplog.messages == [
        'sweep_refused reason="the safety switch was tripped by ann: holiday"'
    ]


def test_a_failed_sign_in_is_logged_as_such_and_raised(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    add(simulator, 1)
    bench.use(**PROTECTED, PARTNER_CENTER_CLIENT_SECRET="expired")

    with pytest.raises(SignInFailed):
        sweep_sandbox(TimerRequest(past_due=False))

    lines = [each.message for each in caplog.records if each.name == "tipsweep"]
    assert [line.split(" reason=")[0] for line in lines] == ["sign_in_failed"]


def test_a_sweep_that_is_off_makes_no_call(bench: Bench, simulator: Simulator) -> None:
    add(simulator, 1)
    bench.use(**PROTECTED, SWEEP_MODE="off")

    sweep_sandbox(TimerRequest(past_due=False))

    assert not simulator.calls
    assert last_report(bench.services.reports) is None


def test_the_timer_runs_at_three_unless_the_setting_says_otherwise(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = func.FunctionApp()
    app.register_functions(blueprint)

    (function,) = load(app, {"AzureWebJobsStorage": storage})

    assert isinstance(function.trigger, OnSchedule)
    timestamp = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert function.trigger.schedule.after(timestamp) == timestamp + timedelta(hours=15)
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 30 6 * * 1")
    assert sweep_schedule() == "0 30 6 * * 1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWEEP_SCHEDULE", "0 0 3 * * 7"),
        ("SWEEP_SCHEDULE", "$(Schedule)"),
        ("AzureWebJobsStorage", "nonsense"),
        ("AzureWebJobsStorage", ""),
        ("AzureWebJobsStorage__queueServiceUri", "queues"),
    ],
)
def test_what_makes_the_host_drop_a_function_is_logged_at_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    monkeypatch.setenv(name, value)

    assert schedule_at_start() == "0 0 3 * * *"

    (message,) = caplog.messages
    assert message.startswith("work_held_up cause=settings")
    assert name in message


def test_nothing_is_logged_at_start_while_the_triggers_can_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 30 6 * * mon")

    assert schedule_at_start() == "0 30 6 * * mon"
    assert not caplog.messages
