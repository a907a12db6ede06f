"""A violation: which rule, where and how."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A breach of the rule of this name; `place` is where in the log it occurred."""

    rule: str
    place: int
    text: str
    run: str = ""

    @property
    def function(self) -> str:
        """The function that was running, without the number of its run."""
        return self.run.partition("#")[0]

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}" + (f" [{self.run}]" if self.run else "")
