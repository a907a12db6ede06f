"""The violations that are known and not fixed yet: each with its reason and a seed that shows it.

A line goes when what it describes is fixed; the strict expected failure of its seed then says so.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import Kind
from tests.simulation.oracle import Violation


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of violation: its rule, the functions it shows in, the faults it needs one of."""

    name: str
    rule: str
    reason: str
    seed: int
    functions: frozenset[str] = frozenset()
    faults: frozenset[Kind] = frozenset()
    text: str = ""

    def matches(self, violation: Violation, struck: Collection[str]) -> bool:
        """Return whether a violation is of this kind."""
        return (
            violation.rule == self.rule
            and (not self.functions or violation.function in self.functions)
            and (not self.faults or not self.faults.isdisjoint(struck))
            and self.text in violation.text
        )


KNOWN: Final[tuple[Known, ...]] = (
    Known(
        "turn-before-gate",
        "over_limit",
        "A call counts from its turn on, but leaves only after its gate has asked",
        seed=920,
    ),
)


def known_as(violation: Violation, struck: Collection[str]) -> Known | None:
    """Return the known kind that a violation belongs to."""
    return next((each for each in KNOWN if each.matches(violation, struck)), None)
