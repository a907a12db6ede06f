"""Finds a minimal set of faults with which a seed still breaks the same rule."""

from collections.abc import Callable

from tests.simulation.faults import Kind, Strike
from tests.simulation.outcome import Outcome, try_seed
from tests.simulation.run import Machine, Options

_MOST_STRIKES = 40


def smallest(
    machine: Machine, seed: int, rule: str, without: frozenset[str]
) -> tuple[frozenset[str], frozenset[Strike]]:
    """Return the kinds to turn off and the single strikes to skip."""
    fails = _still(machine, seed, rule)
    first = try_seed(machine, seed, Options(without=without))
    off = set(without) | (set(Kind) - first.kinds)
    if not fails(off, set()):
        off = set(without)
    for kind in sorted(first.kinds):
        if fails(off | {kind}, set()):
            off.add(kind)
    skipped: set[Strike] = set()
    left = try_seed(machine, seed, Options(without=off)).struck
    for strike in left[:_MOST_STRIKES]:
        if fails(off, skipped | {strike}):
            skipped.add(strike)
    return frozenset(off), frozenset(skipped)


def _still(machine: Machine, seed: int, rule: str) -> Callable[[set[str], set[Strike]], bool]:
    def fails(off: set[str], skipped: set[Strike]) -> bool:
        outcome: Outcome = try_seed(machine, seed, Options(without=off, skipped=skipped))
        return any(each.rule == rule for each in outcome.violations)

    return fails
