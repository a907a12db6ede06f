"""The outcome of one seed, small enough to be sent between processes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.faults import Strike
from tests.simulation.known import known_as
from tests.simulation.oracle import History, Violation, judge
from tests.simulation.planted import PLANTED
from tests.simulation.run import Machine, Options, Simulation, simulate


@dataclass(frozen=True, slots=True)
class Outcome:
    """The violations of a seed, and what its run reached."""

    seed: int
    violations: tuple[Violation, ...]
    struck: tuple[Strike, ...]
    states: Mapping[str, int]
    calls: int
    seconds: float

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of fault that struck."""
        return frozenset(kind for kind, _ in self.struck)

    @property
    def unknown(self) -> tuple[Violation, ...]:
        """The violations that are not known yet."""
        return tuple(each for each in self.violations if known_as(each, self.kinds) is None)

    @property
    def known(self) -> frozenset[str]:
        """The names of the known violations."""
        found = (known_as(each, self.kinds) for each in self.violations)
        return frozenset(each.name for each in found if each is not None)


def outcome_of(simulation: Simulation, seed: int) -> Outcome:
    """Judge a run."""
    history = History(simulation.log.entries)
    states = Counter(
        state.state
        for states in history.records.values()
        for state in states
        if state.state != state.before
    )
    return Outcome(
        seed=seed,
        violations=tuple(judge(history)),
        struck=tuple(simulation.faults.struck),
        states=dict(states),
        calls=simulation.wire.calls,
        seconds=simulation.clock.now,
    )


def try_seed(machine: Machine, seed: int, options: Options | None = None) -> Outcome:
    """Run a seed and judge it."""
    return outcome_of(simulate(machine, seed, options), seed)


def the_machine(planted: str = "") -> Machine:
    """Return the machine of this process, with a mistake planted if one is named."""
    if not _MACHINES:
        _MACHINES.append(Machine())
    _MACHINES[0].plant(planted, PLANTED[planted].replacements if planted else {})
    return _MACHINES[0]


_MACHINES: list[Machine] = []
