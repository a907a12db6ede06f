"""The search for a minimal set of faults."""

from collections.abc import Callable

import pytest

from tests.simulation.__main__ import command
from tests.simulation.faults import Kind, Strike
from tests.simulation.oracle import Violation
from tests.simulation.outcome import Outcome
from tests.simulation.run import Options
from tests.simulation.shrink import Search

STRIKES: tuple[Strike, ...] = tuple(
    (kind.value, number) for kind in (Kind.SLOW, Kind.DEATH, Kind.TRIP) for number in (1, 2, 3)
)


def run(breaks: Callable[[set[Strike]], bool]) -> Callable[[Options], Outcome]:
    def one(options: Options) -> Outcome:
        struck = tuple(
            each
            for each in STRIKES
            if each[0] not in options.without and each not in options.skipped
        )
        violations = (Violation("storm", 1, "too many calls"),) if breaks(set(struck)) else ()
        return Outcome(1, violations, struck, {}, 0, 0.0)

    return one


def test_only_the_strikes_that_are_needed_are_left() -> None:
    needed = {("slow", 2), ("trip", 3)}

    found = Search(run(lambda struck: needed <= struck), "storm").smallest(frozenset())

    assert set(found.left) == needed


def test_what_can_go_only_after_something_else_goes_too() -> None:
    def breaks(struck: set[Strike]) -> bool:
        kinds = {kind for kind, _ in struck}
        return "death" in kinds or "trip" not in kinds

    found = Search(run(breaks), "storm").smallest(frozenset())

    assert found.left == ()


def test_the_printed_command_names_what_leads_to_the_same_run() -> None:
    one = run(lambda struck: ("slow", 2) in struck)

    found = Search(one, "storm").smallest(frozenset({"trip"}))

    assert one(Options(without=found.off, skipped=found.skipped)).struck == found.left
    assert command(7, found.off, found.skipped) == (
        "SEED=7 FAULTS_OFF=death,trip SKIP=slow:1,slow:3 make simulate"
    )


def test_a_rule_that_the_seed_does_not_break_is_an_error() -> None:
    with pytest.raises(LookupError, match="does not break storm"):
        Search(run(lambda _: False), "storm").smallest(frozenset())
