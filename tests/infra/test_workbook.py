"""The charts of the workbook, computed from lines that the code logs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events import Event, line
from tests.infra.bicep import INFRA
from tests.infra.kql import run

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = json.loads((INFRA / "workbooks/operations.json").read_text())["items"]
QUERIES = {item["name"]: item["content"]["query"] for item in ITEMS if item["type"] == 3}


def row(hours: float, event: Event, **fields: str | float | None) -> dict[str, Any]:
    return {"timestamp": DAY + timedelta(hours=hours), "message": line(event, **fields)}


def chart(name: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return run(QUERIES[name], rows, DAY + timedelta(days=1))


def test_the_slots_chart_shows_the_most_customers_of_each_quarter_of_a_day() -> None:
    result = chart(
        "slots",
        row(3, Event.SWEEP_FINISHED, mode="delete", customers=74, free_slots=1),
        row(4, Event.SWEEP_FINISHED, mode="report", customers=70, free_slots=5),
        row(9, Event.SWEEP_FINISHED, mode="report", customers=61, free_slots=14),
        row(10, Event.STEP_FINISHED, step="check_orders", customers=99),
    )

    assert [(r["timestamp"].hour, r["Customers"]) for r in result] == [(0, 74), (6, 61)]


def test_the_states_chart_counts_ends_by_state_and_day() -> None:
    result = chart(
        "states",
        row(1, Event.DELETION_STARTED, tenant="a"),
        row(2, Event.DELETION_DELETED, tenant="a", seconds=60),
        row(3, Event.DELETION_DELETED, tenant="b", seconds=60),
        row(30, Event.DELETION_STUCK, tenant="c", reason="too old"),
        row(31, Event.DELETION_WAITING, tenant="d"),
    )

    assert [(r["State"], r["timestamp"].day, r["Deletions"]) for r in result] == [
        ("deleted", 1, 2),
        ("stuck", 2, 1),
    ]


def test_the_duration_chart_shows_the_median_and_the_slow_end() -> None:
    lines = [row(1, Event.DELETION_DELETED, tenant="a", seconds=n) for n in range(1, 101)]

    assert chart("duration", *lines) == [{"timestamp": DAY, "p50": 50.0, "p95": 95.0}]


def test_the_calls_chart_adds_up_calls_and_throttled_ones() -> None:
    result = chart(
        "calls",
        row(1.1, Event.STEP_FINISHED, step="check_orders", tenant="a", calls=7, throttled=1),
        row(1.9, Event.STEP_FINISHED, step="cancel_orders", tenant="b", calls=5, throttled=0),
        row(2.5, Event.STEP_FINISHED, step="delete_customer", tenant="b", calls=2, throttled=2),
    )

    assert [(r["Calls"], r["Throttled"]) for r in result] == [(12, 1), (2, 2)]


@pytest.mark.parametrize("reason", ["expired", 'order "A" is 70 days old, größer als 60', "409"])
def test_the_stuck_table_shows_the_reason_as_it_was_given(reason: str) -> None:
    lines = [row(1, Event.DELETION_STUCK, tenant="a", correlation="c", reason=reason)]

    assert chart("stuck", *lines) == [
        {"Since": DAY + timedelta(hours=1), "Tenant": "a", "Reason": reason}
    ]


def test_the_stuck_table_leaves_out_customers_that_were_tried_again() -> None:
    """A late message that changes nothing does not count as a new try."""
    result = chart(
        "stuck",
        row(1, Event.DELETION_STUCK, tenant="a", reason="first"),
        row(2, Event.DELETION_STARTED, tenant="a"),
        row(3, Event.DELETION_STUCK, tenant="b", reason="second"),
        row(4, Event.DELETION_DUPLICATE, tenant="b"),
        row(5, Event.DELETION_STUCK, tenant="c", reason="third"),
        row(6, Event.DELETION_DELETED, tenant="c"),
    )

    assert [(r["Tenant"], r["Reason"]) for r in result] == [("b", "second")]


def test_a_query_with_an_unknown_operator_is_rejected() -> None:
    """So that a new query cannot pass unread."""
    with pytest.raises(ValueError, match="unknown operator"):
        run("traces | join other", [], DAY)
