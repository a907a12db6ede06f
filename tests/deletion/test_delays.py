"""How long a deletion waits for its next check."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.deletion.deletion import next_delay
from shared.settings import CheckSettings

CHECKS = CheckSettings(timedelta(seconds=5), timedelta(seconds=300), timedelta(hours=24))
jitters = st.floats(0, 1)


@given(st.integers(0, 10_000), jitters)
def test_a_delay_lies_between_the_first_and_the_longest_with_jitter(
    attempt: int, jitter: float
) -> None:
    delay = next_delay(CHECKS, attempt, jitter)

    assert CHECKS.first_delay <= delay <= CHECKS.max_delay * 1.25


@given(st.integers(0, 100), jitters)
def test_a_later_check_never_waits_less(attempt: int, jitter: float) -> None:
    assert next_delay(CHECKS, attempt, jitter) <= next_delay(CHECKS, attempt + 1, jitter)


@given(st.integers(0, 100), jitters)
def test_a_check_in_a_crowded_minute_waits_twice_as_long_up_to_the_longest_delay(
    attempt: int, jitter: float
) -> None:
    alone = next_delay(CHECKS, attempt, jitter)
    crowded = next_delay(CHECKS, attempt, jitter, crowded=True)

    expected = min(2 * alone, CHECKS.max_delay * (1 + 0.25 * jitter))
    assert abs(crowded - expected) <= timedelta(microseconds=2)


@given(st.integers(0, 100), jitters, st.floats(0, 86_400))
def test_a_crowded_minute_changes_no_wait_that_partner_center_asks_for(
    attempt: int, jitter: float, retry_after: float
) -> None:
    crowded = next_delay(CHECKS, attempt, jitter, retry_after, crowded=True)

    assert crowded == next_delay(CHECKS, attempt, jitter, retry_after)


@given(st.integers(0, 100), jitters, st.floats(0, 86_400))
def test_retry_after_is_kept_to_and_lasting_trouble_backs_off(
    attempt: int, jitter: float, retry_after: float
) -> None:
    delay = next_delay(CHECKS, attempt, jitter, retry_after)
    grown = next_delay(CHECKS, attempt, jitter) if attempt else timedelta(0)

    assert delay >= timedelta(seconds=retry_after)
    assert delay == max(timedelta(seconds=retry_after) * (1 + 0.25 * jitter), grown)
