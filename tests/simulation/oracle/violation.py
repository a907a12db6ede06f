"""A violation: which rule, where and how."""

from dataclasses import dataclass
from typing import Self

from tests.simulation.log import Call


@dataclass(frozen=True, slots=True)
class Violation:
    """A breach of the rule of this name; `place` is where in the log it occurred."""

    rule: str
    place: int
    text: str
    run: str = ""

    @classmethod
    def of(cls, rule: str, call: Call, why: str) -> Self:
        """Return a breach by a call."""
        return cls(rule, call.left, f"{call.method} {call.path} {why}", call.run)

    @property
    def function(self) -> str:
        """The function that was running, without the number of its run."""
        return self.run.partition("#")[0]

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}" + (f" [{self.run}]" if self.run else "")
