"""Checks the log of a run: what must never happen, and how everything must end."""

from tests.simulation.oracle.history import History
from tests.simulation.oracle.rules import AT_EVERY_MOMENT, RULES
from tests.simulation.oracle.violation import Violation

__all__ = ["History", "Violation", "judge", "judge_so_far"]


def judge(history: History) -> list[Violation]:
    """Return every violation in the log."""
    return [violation for rule in RULES for violation in rule(history)]


def judge_so_far(history: History) -> list[Violation]:
    """Return every violation in the log of a run that goes on; none of them can be made good."""
    return [violation for rule in AT_EVERY_MOMENT for violation in rule(history)]
