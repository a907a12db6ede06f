"""Schedules: what the host reads, what it drops in silence, and what it reads as something else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.schedule import Schedule
from shared.schedules import NotASchedule, require_schedule

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "0 */5 * * * *",
        "0 0 * * * *",
        "0 0 */2 * * *",
        "0 0 9-17 * * *",
        "0 30 9 * * *",
        "0 30 9 * * 1-5",
        "0 30 9 * Jan Mon",
        "0 5 * * * *",
        "0-4 5-7 * * * *",
        "*/15 * * * * *",
        "3,5,7 * * * * *",
        "0 0 3 * * *",
        "0 3 * * *",
        "*/10 * * * *",
        "59 59 23 31 12 6",
        "0 0 0 29 2 *",
        "0 0 3 1,15 * *",
        "0 0 3 * January-March MONDAY-friday",
        "0 0 3 * sept sun,wed",
        "0 5/10 * * * *",
        "0 0-30/10,45 3 * * *",
        "00 00 03 01 01 *",
        "  0   0 3 * * *  ",
    ],
)
def test_a_schedule_that_the_host_reads_is_accepted(expression: str) -> None:
    require_schedule(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "it has 0 fields"),
        ("3", "it has 1 fields"),
        ("0 3 * *", "it has 4 fields"),
        ("0 0 3 * * * 2026", "it has 7 fields"),
        ("@daily", "it has 1 fields"),
        ("24:00:00", "it has 1 fields"),
        ("R/PT1H", "it has 1 fields"),
        ("every day at three", "it has 4 fields"),
        ("at three on every first monday", "the second has 'at'"),
        ("0,0,3,*,*,*", "it has 1 fields"),
        ("0\t0\t3\t*\t*\t*", "it has 1 fields"),
        ("60 0 3 * * *", "the second is 60, not 0 to 59"),
        ("0 60 3 * * *", "the minute is 60"),
        ("0 0 24 * * *", "the hour is 24, not 0 to 23"),
        ("0 0 3 0 * *", "the day is 0, not 1 to 31"),
        ("0 0 3 32 * *", "the day is 32"),
        ("0 0 3 * 0 *", "the month is 0"),
        ("0 0 3 * 13 *", "the month is 13"),
        ("0 0 3 * * 7", "the day of the week is 7, not 0 to 6"),
        ("0 0 3 ? * MON", "the day has '?'"),
        ("0 0 3 * * ?", "the day of the week has '?'"),
        ("0 0 3 L * *", "the day has 'L'"),
        ("0 0 3 15W * *", "the day has '15W'"),
        ("0 0 3 * * MON#1", "the day of the week has 'MON#1'"),
        ("0 0 3 * * 5L", "the day of the week has '5L'"),
        ("0 0 22-2 * * *", "the hour '22-2' runs backwards"),
        ("0 0 3 * * fri-sun", "the day of the week 'fri-sun' runs backwards"),
        ("0 0 3 * Janvier *", "the month has no name 'Janvier'"),
        ("0 0 3 * J *", "the month has no name 'J'"),
        ("0 0 3 * * Mi", "the day of the week has no name 'Mi'"),
        ("0 0 mon * * *", "the hour has 'mon'"),
        ("0 */0 * * * *", "has a step of 0"),
        ("0 */ * * * *", "where a number is expected"),
        ("0 /5 * * * *", "where a number is expected"),
        ("0 *5 * * * *", "the minute has '*5'"),
        ("0 1- * * * *", "where a number is expected"),
        ("0 -1 * * * *", "where a number is expected"),
        ("0 1,,2 * * * *", "where a number is expected"),
        ("0 1, * * * *", "where a number is expected"),
        ("0 +1 3 * * *", "where a number is expected"),
        ("0 1.5 3 * * *", "where a number is expected"),
        ("0 \u0663 3 * * *", "where a number is expected"),
        ("0 0 3 \u2217 * *", r"'\u2217'"),
        ('"0 0 3 * * *"', "the second has"),
        ("0 0 0 30 2 *", "its day is in none of its months"),
        ("0 0 0 31 4,6,9,11 *", "its day is in none of its months"),
        ("\u200b0 0 3 * * *", r"'\u200b0'"),
    ],
)
def test_a_schedule_that_the_host_drops_or_guesses_is_an_error(
    expression: str, reason: str
) -> None:
    with pytest.raises(NotASchedule) as caught:
        require_schedule(expression)

    assert reason in str(caught.value)
    assert "such as 0 0 3 * * *" in str(caught.value)


ITEMS = st.sampled_from(
    ["*", "0", "1", "5", "28", "31", "59", "1-5", "5-1", "*/2", "1/3", "1-5/2", "*/0", "Jan", "mon"]
)
FIELDS = st.lists(ITEMS, min_size=1, max_size=2).map(",".join)


@given(st.lists(FIELDS, min_size=4, max_size=7).map(" ".join))
def test_what_is_accepted_has_a_next_time(expression: str) -> None:
    try:
        require_schedule(expression)
    except NotASchedule:
        return
    assert Schedule.parse(expression, where="here").after(NOW) > NOW


@given(st.text())
def test_any_text_is_a_schedule_or_an_error_that_can_be_shown(text: str) -> None:
    reason = ""
    try:
        require_schedule(text)
    except NotASchedule as error:
        reason = str(error)
    assert reason.isprintable()
