"""The limit on calls per minute, on a clock of its own."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.partner_center.rate_limit import RateLimited, RateLimiter


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
    rate_limiter = RateLimiter(limit, monotonic=clock)
    turns: list[float] = []
    for pause in pauses:
        clock.now += pause
        with suppress(RateLimited):
            turns.append(clock.now + rate_limiter.acquire())

    for index, turn in enumerate(turns):
        assert sum(turn <= other < turn + 59.999 for other in turns[index:]) <= limit


def test_a_minute_holds_as_many_calls_as_the_ceiling_allows() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(475, monotonic=clock)

    waits = [rate_limiter.acquire() for _ in range(475)]

    assert waits == [0] * 475
    with pytest.raises(RateLimited):
        rate_limiter.acquire()
    clock.now = 59
    assert rate_limiter.acquire() == pytest.approx(1)


def test_a_pause_stops_all_calls_until_it_is_over() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(475, monotonic=clock)
    rate_limiter.pause(30)
    rate_limiter.pause(10)

    with pytest.raises(RateLimited) as caught:
        rate_limiter.acquire()
    clock.now = 30.01

    assert caught.value.seconds == pytest.approx(30)
    assert rate_limiter.acquire() == 0


def test_a_call_that_must_wait_reserves_nothing() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(1, monotonic=clock)
    rate_limiter.acquire()
    for _ in range(50):
        with pytest.raises(RateLimited):
            rate_limiter.acquire()

    clock.now = 61
    assert rate_limiter.acquire() == 0
