"""Checks the log of a run: what must never happen, and how everything must end."""

from tests.simulation.oracle.history import History
from tests.simulation.oracle.rules import RULES
from tests.simulation.oracle.violation import Violation

__all__ = ["History", "Violation", "judge"]


def judge(history: History) -> list[Violation]:
    """Return every violation in the log."""
    return [violation for rule in RULES for violation in rule(history)]
