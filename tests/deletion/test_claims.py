"""Claims as pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deletion.claims import (
    Claim,
    Delivery,
    claimed,
    request_claim,
    require_sent,
    started,
    step_claim,
)
from shared.deletion.messages import BadMessage, DeletionRequest, StepMessage
from shared.storage.records import TERMINAL, DeletionRecord, State
from shared.tenants import TenantId

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
RECORD = DeletionRecord(
    tenant=TENANT,
    state=State.CHECKING,
    generation=5,
    correlation_id="c",
    requested_at=NOW,
    deadline=NOW + timedelta(days=1),
    claimed_by="mine",
)
LIVE = [state for state in State if state not in TERMINAL]


def step(generation: int) -> StepMessage:
    return StepMessage(TENANT, generation, "c")


@given(st.sampled_from(State), st.integers(1, 9), st.sampled_from(["", "mine", "other"]))
def test_at_most_one_message_works_on_a_generation(
    state: State, generation: int, claimed_by: str
) -> None:
    record = replace(RECORD, state=state, claimed_by=claimed_by)
    if step_claim(record, step(generation), "mine") is not Claim.CONTINUE:
        return

    taken = claimed(record, generation, "mine", now=NOW)

    assert step_claim(taken, step(generation), "mine") is Claim.CONTINUE
    assert step_claim(taken, step(generation), "other") is Claim.DUPLICATE


@given(st.sampled_from(State), st.integers(1, 2**31 - 3), st.integers(1, 2**31 - 1))
def test_a_record_can_have_sent_its_generation_and_one_more_but_none_above(
    state: State, reached: int, generation: int
) -> None:
    record = replace(RECORD, state=state, generation=reached)

    for sent in (1, reached, reached + 1):
        require_sent(record, step(sent))
    require_sent(None, step(generation))
    with pytest.raises(BadMessage, match=f"at most {reached + 1}"):
        require_sent(record, step(reached + 2))
    if generation > reached + 1:
        with pytest.raises(BadMessage, match=str(generation)):
            require_sent(record, step(generation))


@given(st.sampled_from(State), st.integers(1, 9), st.text(max_size=3))
def test_a_lower_generation_and_an_ended_deletion_are_stale(
    state: State, generation: int, message_id: str
) -> None:
    claim = step_claim(replace(RECORD, state=state), step(generation), message_id)

    if generation < RECORD.generation or state in TERMINAL:
        assert claim is Claim.STALE


def test_a_message_without_a_record_is_stale() -> None:
    assert step_claim(None, step(1), "mine") is Claim.STALE


@pytest.mark.parametrize("state", LIVE)
def test_a_request_that_was_claimed_is_continued_by_its_own_message_only(state: State) -> None:
    record = replace(RECORD, state=state)
    other = Claim.CONTINUE if state is State.REQUESTED else Claim.DUPLICATE

    assert request_claim(record, Delivery("mine", NOW)) is Claim.CONTINUE
    assert request_claim(record, Delivery("other", NOW)) is other


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize(
    ("inserted_after", "claim"),
    [(-1, Claim.DUPLICATE), (0, Claim.START), (1, Claim.START)],
)
@pytest.mark.parametrize("skew", [timedelta(minutes=-10), timedelta(0), timedelta(minutes=10)])
def test_only_a_later_request_restarts_an_ended_deletion(
    state: State, inserted_after: int, claim: Claim, skew: timedelta
) -> None:
    """In the same second as the end it does, unless a person has aborted the deletion."""
    if state is State.ABORTED and inserted_after < 1:
        claim = Claim.ABORTED
    ended_at = NOW + timedelta(milliseconds=690)
    record = replace(RECORD, state=state, finished_at=ended_at + skew, ended_at=ended_at)

    delivery = Delivery("m", NOW + timedelta(seconds=inserted_after))
    assert request_claim(record, delivery) is claim


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_the_message_that_a_deletion_ended_with_never_starts_another(state: State) -> None:
    record = replace(RECORD, state=state, ended_at=NOW)

    assert request_claim(record, Delivery("mine", NOW)) is not Claim.START


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_only_an_abort_holds_against_a_message_of_unknown_age(state: State) -> None:
    record = replace(RECORD, state=state, ended_at=NOW)

    claim = request_claim(record, Delivery("m"))

    assert claim is (Claim.ABORTED if state is State.ABORTED else Claim.START)


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("known_after", [-1, 0, 1])
def test_a_message_that_the_host_moved_restarts_nothing_that_has_ended(
    state: State, known_after: int
) -> None:
    """It may have been dropped before the end, or before an abort that preceded this deletion."""
    record = replace(RECORD, state=state, ended_at=NOW)
    delivery = Delivery("m", None, NOW + timedelta(hours=known_after))

    claim = request_claim(record, delivery)

    assert claim is Claim.UNSURE


@pytest.mark.parametrize(
    ("state", "generation", "claim"),
    [
        (State.REFUSED, 1, Claim.START),
        (State.STUCK, 1, Claim.START),
        (State.STUCK, 3, Claim.DUPLICATE),
        (State.ABORTED, 1, Claim.ABORTED),
    ],
)
def test_a_record_of_a_message_that_never_ran_answers_no_other_request(
    state: State, generation: int, claim: Claim
) -> None:
    """An abort may precede a later generation, so that one answers earlier drops."""
    record = replace(RECORD, state=state, generation=generation, claimed_by="", ended_at=NOW)

    assert request_claim(record, Delivery("m", NOW - timedelta(minutes=1))) is claim


@given(st.sampled_from(sorted(TERMINAL)), st.integers(1, 1000))
def test_a_new_deletion_is_above_every_message_of_the_one_before(
    state: State, generation: int
) -> None:
    previous = replace(RECORD, state=state, generation=generation)

    record = started(DeletionRequest(TENANT), previous, now=NOW, deadline=timedelta(days=1))

    for late in (generation, generation + 1):
        assert step_claim(record, step(late), "late") is Claim.STALE
    assert record.seen is (state is State.DELETED)
    assert not record.purchases
