"""Timers: schedules, runs on time, no overlap."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

import azure.functions as func
import pytest

from local.host import StartupError
from local.host.loading import load
from local.host.schedule import Schedule
from local.host.timer_listener import TimerListener
from local.host.worker import Worker
from tests.host.sample import eventually, run

SATURDAY = datetime(2026, 11, 21, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/5 * * * * *", datetime(2026, 11, 21, 12, 30, 20, tzinfo=UTC)),
        ("0 0 3 * * *", datetime(2026, 11, 22, 3, tzinfo=UTC)),
        ("0 */5 * * * *", datetime(2026, 11, 21, 12, 35, tzinfo=UTC)),
        ("*/5 * * * *", datetime(2026, 11, 21, 12, 35, tzinfo=UTC)),
        ("0 30 9 * Jan Mon-Fri", datetime(2027, 1, 1, 9, 30, tzinfo=UTC)),
        ("0 0 12 13 * Fri", datetime(2027, 8, 13, 12, tzinfo=UTC)),
    ],
)
def test_the_next_occurrence_of_a_schedule(expression: str, expected: datetime) -> None:
    assert expected == Schedule.parse(expression, where="tick").after(SATURDAY)


@pytest.mark.parametrize(
    "expression",
    ["", "every night", "* * * *", "0 0 0 0 3 * *", "0 61 * * * *", "@daily", "0 0 0 31 2 *"],
)
def test_an_invalid_schedule_is_rejected(expression: str) -> None:
    with pytest.raises(StartupError, match="tick: the schedule"):
        Schedule.parse(expression, where="tick")


def timer_app(
    handler: Callable[[func.TimerRequest], None],
    *,
    schedule: str = "0 0 0 1 1 *",
    run_on_startup: bool = False,
) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule=schedule, run_on_startup=run_on_startup)
    def tick(timer: func.TimerRequest) -> None:
        handler(timer)

    return app


def test_a_timer_runs_at_each_occurrence(storage: str) -> None:
    seen: list[func.TimerRequest] = []

    with run(timer_app(seen.append, schedule="* * * * * *"), storage):
        eventually(lambda: len(seen) == 2)

    assert [timer.past_due for timer in seen] == [False, False]


def test_a_timer_does_not_run_before_its_time(storage: str) -> None:
    seen: list[func.TimerRequest] = []

    with run(timer_app(seen.append), storage):
        pass

    assert seen == []


def test_run_on_startup_runs_at_once(storage: str) -> None:
    seen: list[func.TimerRequest] = []

    with run(timer_app(seen.append, run_on_startup=True), storage):
        eventually(lambda: len(seen) == 1)


def test_a_failed_run_is_followed_by_the_next_occurrence(storage: str) -> None:
    runs: list[int] = []

    def fail(_: func.TimerRequest) -> None:
        runs.append(1)
        raise ValueError("fails on purpose")

    with run(timer_app(fail, schedule="* * * * * *"), storage):
        eventually(lambda: len(runs) == 2)


def test_an_occurrence_missed_during_a_run_is_run_after_it() -> None:
    """The clock jumps ahead an hour in the first run, and back in the second, which is the last."""
    clock = [SATURDAY - timedelta(milliseconds=10)]
    first_may_end, second_began = threading.Event(), threading.Event()
    past_due: list[bool] = []

    def tick(timer: func.TimerRequest) -> None:
        past_due.append(timer.past_due)
        if len(past_due) == 1:
            first_may_end.wait(5)
        else:
            clock[0] = SATURDAY
            second_began.set()

    (function,) = load(timer_app(tick, schedule="15 * * * * *"), {})
    worker = Worker(threads=2)
    listener = TimerListener(function, function.trigger, worker=worker, now=lambda: clock[0])  # type: ignore[arg-type] # a timer's
    listener.start()
    eventually(lambda: len(past_due) == 1)
    clock[0] += timedelta(hours=1)
    assert not second_began.wait(0.1)
    first_may_end.set()
    assert second_began.wait(5)
    listener.take_no_more()
    listener.join(monotonic() + 5)
    worker.close()

    assert past_due == [False, True]
