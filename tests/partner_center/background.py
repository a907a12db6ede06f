"""What the refresh token leaves to the background, run when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Background:
    """What waits to be run, with its delay; checks of the versions wait apart if they are due."""

    delays: list[float] = field(default_factory=list)
    acts: list[Callable[[], None]] = field(default_factory=list)
    checks: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds == 0:
            self.checks.append(act)
            return
        self.delays.append(seconds)
        self.acts.append(act)

    def run(self) -> None:
        """Run the first of those that wait for a time."""
        self.acts.pop(0)()

    def check(self) -> None:
        """Compare the versions until nothing is left to compare."""
        while self.checks:
            self.checks.pop(0)()
