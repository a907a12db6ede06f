"""Each alert fires on the log lines that the code writes, and only on those."""

import ast
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events import Event, emit
from tests.infra.bicep import INFRA, ROOT, text, tree, variables, walk
from tests.infra.kql import run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENANT = "5a8e6f5c-2f0e-4c39-9d4f-0c7a4a2f9a11"
ALERTS = {rule["name"]: rule for rule in json.loads((INFRA / "alerts.json").read_text())}
WORKBOOK = INFRA / "workbooks/operations.json"
# In the host's words: Microsoft.Azure.WebJobs.Host.Queues.QueueProcessor.
HOST_LINE = (
    "Message has reached MaxDequeueCount of 5. Moving message to queue 'orders-to-check-poison'."
)
# Values that a careless condition would mistake for fields of the line.
MEAN_REASON = 'it says " poison=9 oldest_seconds=99999 refresh_token_age_days=99 state=deleted"'


@dataclass(frozen=True)
class Line:
    """What the code logs, and how long before the evaluation."""

    event: Event
    fields: dict[str, str | float | None]
    ago: timedelta = timedelta(minutes=10)


def redrive(**fields: str | float | None) -> Line:
    quiet: dict[str, str | float | None] = {
        "live": 2,
        "stuck": 1,
        "redriven": 0,
        "removed": 0,
        "oldest_seconds": 300.5,
        "refresh_token_age_days": None,
        "customers_to_delete": 0,
        "orders_to_check": 2,
        "customers_ready": 0,
        "sweeps_to_run": 0,
        "poison": 0,
    }
    return Line(Event.REDRIVE_FINISHED, quiet | fields)


def sweep(*, hours_ago: float = 9) -> Line:
    fields: dict[str, str | float | None] = {
        "mode": "report",
        "customers": 70,
        "free_slots": 5,
        "selected": 3,
        "started": 0,
    }
    return Line(Event.SWEEP_FINISHED, fields, timedelta(hours=hours_ago))


HEALTHY = [
    redrive(),
    sweep(),
    Line(Event.DELETION_STARTED, {"tenant": TENANT, "requested_by": MEAN_REASON}),
    Line(Event.MESSAGE_STALE, {"tenant": TENANT, "generation": 1}),
    Line(Event.DELETION_DELETED, {"tenant": TENANT, "correlation": "c", "seconds": 61.0}),
    Line(Event.DELETION_REFUSED, {"tenant": TENANT, "reason": MEAN_REASON}),
    Line(Event.STEP_FAILED, {"tenant": TENANT, "reason": MEAN_REASON}),
    # It has an alert of its own.
    Line(Event.WORK_HELD_UP, {"cause": "sign_in", "reason": "held-up cause=settings"}),
    Line(Event.SWITCH_RESET, {"requested_by": "ann", "reason": "looked at it"}),
]

TROUBLE = {
    "poison": Line(Event.MESSAGE_POISONED, {"queue": "orders-to-check-poison", "reason": "bad"}),
    "stuck": Line(Event.DELETION_STUCK, {"tenant": TENANT, "reason": "too old"}),
    "sweep-refused": Line(Event.SWEEP_REFUSED, {"reason": "rule 2"}),
    "switch-tripped": Line(
        Event.SWITCH_TRIPPED, {"requested_by": "tipsweep", "reason": "403/800019"}
    ),
    "held-up": Line(
        Event.WORK_HELD_UP,
        {"cause": "settings", "remedy": "Correct these settings", "reason": MEAN_REASON},
    ),
    "history-lost": Line(
        Event.HISTORY_LOST, {"tenant": TENANT, "kind": "call", "reason": MEAN_REASON}
    ),
    "sign-in": Line(Event.SIGN_IN_FAILED, {"step": "cancel_orders", "reason": "AADSTS7000222"}),
    "sign-in-unavailable": Line(
        Event.SIGN_IN_UNAVAILABLE, {"reason": MEAN_REASON, "retry_after_seconds": 60.0}
    ),
    "token-unstored": Line(
        Event.REFRESH_TOKEN_UNSTORED, {"reason": MEAN_REASON, "retry_after_seconds": 600.0}
    ),
    "token-60-days": redrive(refresh_token_age_days=60),
    "token-80-days": redrive(refresh_token_age_days=80.2),
    "backlog": redrive(oldest_seconds=21601),
}


# A blip is no alert: these fire on the fifth line within an hour.
BLIPS = ("sign-in-unavailable", "token-unstored")
LASTING = 5


def trouble(name: str) -> list[Line]:
    """Return the lines that the trouble of an alert leaves within its window."""
    return [TROUBLE[name]] * (LASTING if name in BLIPS else 1)


def logged(lines: Sequence[Line], caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Log the lines as the app does; return them as the rows that Application Insights keeps."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="tipsweep"):
        for line in lines:
            emit(line.event, **line.fields)
    assert len(caplog.messages) == len(lines)
    return [
        {"timestamp": NOW - line.ago, "message": message}
        for line, message in zip(lines, caplog.messages, strict=True)
    ]


def fires(name: str, rows: list[dict[str, Any]]) -> bool:
    """Evaluate one alert as Azure Monitor does: the rows of the window, the query, the count."""
    rule = ALERTS[name]
    window = {"PT30M": timedelta(minutes=30), "PT1H": timedelta(hours=1), "P2D": timedelta(days=2)}
    start = NOW - window[rule["windowSize"]]
    count = len(run(rule["query"], [row for row in rows if row["timestamp"] > start], NOW))
    if rule["operator"] == "LessThan":
        return count < int(rule["threshold"])
    assert rule["operator"] == "GreaterThan"
    return count > int(rule["threshold"])


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_silent_while_all_is_well(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not fires(name, logged(HEALTHY, caplog))


def test_a_requested_sweep_without_a_report_alerts(caplog: pytest.LogCaptureFixture) -> None:
    failed = Line(Event.SWEEP_FAILED, {"sweep": TENANT, "reason": MEAN_REASON})

    assert fires("sweep-refused", logged([*HEALTHY, failed], caplog))


@pytest.mark.parametrize("name", TROUBLE)
def test_an_alert_fires_on_its_trouble(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert fires(name, logged([*HEALTHY, *trouble(name)], caplog))


@pytest.mark.parametrize("name", TROUBLE)
def test_an_alert_misses_its_trouble_when_the_event_has_another_name(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """So that the tests of this file would notice a renamed event."""
    rows = logged(trouble(name), caplog)
    renamed = [row | {"message": "x" + row["message"]} for row in rows]

    assert fires(name, rows)
    assert not fires(name, renamed)


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_of_one_kind_does_not_fire_the_others(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = logged([*HEALTHY, *trouble(name)], caplog)
    expected = {name, "token-60-days"} if name == "token-80-days" else {name}

    assert {other for other in ALERTS if fires(other, rows)} == expected


@pytest.mark.parametrize("name", BLIPS)
def test_trouble_that_passes_soon_fires_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = logged(trouble(name)[1:], caplog)

    assert not [other for other in ALERTS if other in TROUBLE and fires(other, rows)]


def test_every_alert_is_tried_here() -> None:
    assert TROUBLE.keys() | {"sweep-silent", "redrive-silent"} == ALERTS.keys()


def test_the_move_to_a_poison_queue_by_the_host_fires() -> None:
    row = {"timestamp": NOW - timedelta(minutes=1), "message": HOST_LINE}

    assert fires("poison", [row])


def test_a_message_that_stays_in_a_poison_queue_fires(caplog: pytest.LogCaptureFixture) -> None:
    assert fires("poison", logged([redrive(poison=1)], caplog))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("token-60-days", redrive(refresh_token_age_days=59.9)),
        ("token-60-days", redrive(refresh_token_age_days=None)),
        ("token-80-days", redrive(refresh_token_age_days=79.9)),
        ("backlog", redrive(oldest_seconds=21600)),
        ("backlog", redrive(oldest_seconds=None)),
    ],
)
def test_an_alert_is_silent_below_its_threshold(
    name: str, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    assert not fires(name, logged([line], caplog))


@pytest.mark.parametrize(("hours_ago", "expected"), [(25.9, False), (26.1, True)])
def test_a_day_without_a_sweep_fires(
    hours_ago: float, expected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert fires("sweep-silent", logged([sweep(hours_ago=hours_ago)], caplog)) is expected


def test_an_app_that_logs_nothing_fires_both_heartbeats() -> None:
    assert {name for name in ALERTS if fires(name, [])} == {"sweep-silent", "redrive-silent"}


def queries() -> list[str]:
    items = json.loads(WORKBOOK.read_text())["items"]
    charts = [item["content"]["query"] for item in items if item["type"] == 3]
    return [*charts, *(rule["query"] for rule in ALERTS.values())]


def test_every_event_in_a_query_is_one_that_the_code_knows() -> None:
    named = {name for query in queries() for name in re.findall(r"startswith '(\w+) '", query)}

    assert len(named) > 7
    assert named <= {str(event) for event in Event}


def fields_read() -> dict[str, set[str]]:
    """Return, by event, the fields that alerts and workbook take out of its lines."""
    found: dict[str, set[str]] = {}
    for query in queries():
        for event in re.findall(r"startswith '(\w+) '", query):
            found.setdefault(event, set()).update(re.findall(r"' (\w+)=", query))
    # The poison alert names three events and takes a field from one of them.
    found["message_poisoned"].discard("poison")
    return found


def test_every_field_that_a_query_reads_is_logged_with_its_event() -> None:
    emitted = [
        call for path in (ROOT / "shared").rglob("*.py") for call in emit_calls(path.read_text())
    ]
    read = fields_read()

    assert {event for event, _ in emitted} & read.keys()
    missing = {event: read[event] - given for event, given in emitted if event in read}
    assert {event: fields for event, fields in missing.items() if fields} == {}


def emit_calls(source: str) -> list[tuple[str, set[str]]]:
    """Return event and field names of the calls `emit(Event.X, name=…)`."""
    return [
        (str(Event[call.args[0].attr]), {str(keyword.arg) for keyword in call.keywords})
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "emit"
        and isinstance(call.args[0], ast.Attribute)
    ]


def test_the_bicep_file_deploys_every_rule_with_what_the_file_says() -> None:
    source = tree(INFRA / "modules/alerts.bicep")
    used = {text(node) for node in walk(source, "member_expression")}

    assert text(variables(INFRA / "modules/alerts.bicep")["rules"]) == (
        "loadJsonContent('../alerts.json')"
    )
    assert {f"rule.{member}" for rule in ALERTS.values() for member in rule} <= used
