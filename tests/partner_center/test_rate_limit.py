"""The ceiling on calls per minute, on a clock of its own."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.partner_center.rate_limit import NoTurn, Pace


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.integers(1, 500),
    st.lists(st.floats(0, 3), min_size=1, max_size=300),
)
def test_no_minute_holds_more_calls_than_the_ceiling(limit: int, pauses: list[float]) -> None:
    clock = Clock()
    pace = Pace(limit, monotonic=clock)
    turns: list[float] = []
    for pause in pauses:
        clock.now += pause
        with suppress(NoTurn):
            turns.append(clock.now + pace.take_turn())

    for index, turn in enumerate(turns):
        assert sum(turn <= other < turn + 59.999 for other in turns[index:]) <= limit


def test_a_minute_holds_as_many_calls_as_the_ceiling_allows() -> None:
    clock = Clock()
    pace = Pace(475, monotonic=clock)

    waits = [pace.take_turn() for _ in range(475)]

    assert waits == [0] * 475
    with pytest.raises(NoTurn):
        pace.take_turn()
    clock.now = 59
    assert pace.take_turn() == pytest.approx(1)


def test_a_hold_stops_everybody_until_it_is_over() -> None:
    clock = Clock()
    pace = Pace(475, monotonic=clock)
    pace.hold(30)
    pace.hold(10)

    with pytest.raises(NoTurn) as caught:
        pace.take_turn()
    clock.now = 30.01

    assert caught.value.seconds == pytest.approx(30)
    assert pace.take_turn() == 0


def test_a_refused_turn_costs_nothing() -> None:
    clock = Clock()
    pace = Pace(1, monotonic=clock)
    pace.take_turn()
    for _ in range(50):
        with pytest.raises(NoTurn):
            pace.take_turn()

    clock.now = 61
    assert pace.take_turn() == 0
