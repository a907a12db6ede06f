"""Finds a minimal set of faults with which a seed still breaks the same rule."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import Kind, Strike
from tests.simulation.outcome import Outcome, try_seed
from tests.simulation.run import Machine, Options

_MOST_TRIES: Final = 150


@dataclass(frozen=True, slots=True)
class Smallest:
    """The kinds to turn off and the single strikes to skip, and the strikes that are left."""

    off: frozenset[str]
    skipped: frozenset[Strike]
    left: tuple[Strike, ...]


class Search:
    """Removes kinds and then single strikes, for as long as the seed breaks the rule without them.

    What could not be removed at first may be removable once something else is gone, so this repeats
    until nothing more goes, or the tries are used up.
    """

    def __init__(self, run: Callable[[Options], Outcome], rule: str) -> None:
        self._run = run
        self._rule = rule
        self._tries = 0
        self._struck_at_first: Set[str] = frozenset()

    def smallest(self, without: Set[str]) -> Smallest:
        """Return what is left of a run that breaks the rule without these kinds."""
        best = self._tried(frozenset(without), frozenset())
        if best is None:
            raise LookupError(f"the seed does not break {self._rule}")
        self._struck_at_first = {kind for kind, _ in best.left}
        size = None
        while size != len(best.left) and self._tries < _MOST_TRIES:
            size = len(best.left)
            best = self._without_kinds(best)
            best = self._without_strikes(best)
        return self._named(best, frozenset(without))

    def _without_kinds(self, best: Smallest) -> Smallest:
        struck = {kind for kind, _ in best.left}
        best = self._tried(best.off | (set(Kind) - struck), best.skipped) or best
        for kind in sorted(struck):
            best = self._tried(best.off | {kind}, best.skipped) or best
        return best

    def _without_strikes(self, best: Smallest) -> Smallest:
        # Halves go first: most runs have many strikes that do nothing.
        share = len(best.left)
        while share:
            for start in range(0, len(best.left), share):
                some = frozenset(best.left[start : start + share])
                if some:
                    best = self._tried(best.off, best.skipped | some) or best
            share //= 2
        return best

    def _named(self, best: Smallest, without: frozenset[str]) -> Smallest:
        """Name only the kinds that the same run needs to be turned off."""
        for off in (without, without | (best.off & self._struck_at_first)):
            short = self._tried(off, best.skipped)
            if short is not None and short.left == best.left:
                return short
        return best

    def _tried(self, off: Set[str], skipped: frozenset[Strike]) -> Smallest | None:
        """Return what is left if the rule is still broken."""
        if self._tries >= _MOST_TRIES:
            return None
        self._tries += 1
        outcome = self._run(Options(without=frozenset(off), skipped=skipped))
        if all(each.rule != self._rule for each in outcome.violations):
            return None
        return Smallest(frozenset(off), skipped, outcome.struck)


def smallest(machine: Machine, seed: int, rule: str, without: Set[str]) -> Smallest:
    """Return the smallest set of faults with which a seed still breaks a rule."""
    return Search(lambda options: try_seed(machine, seed, options), rule).smallest(without)
