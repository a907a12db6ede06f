"""How runs of functions end."""

from collections.abc import Iterator
from typing import Final

from tests.simulation.oracle.history import History
from tests.simulation.oracle.violation import Violation

# In seconds, as in host.json.
_FUNCTION_TIMEOUT: Final = 300.0

_BUGS: Final = frozenset(
    {"AssertionError", "AttributeError", "IndexError", "KeyError", "NameError", "RecursionError",
     "TypeError", "UnboundLocalError", "ValueError", "RuntimeError"}
)  # fmt: skip


def crash(history: History) -> Iterator[Violation]:
    """No function raises an error that only a bug can cause."""
    for event in history.named("raised"):
        if event.fact("kind") in _BUGS:
            text = f"{event.fact('kind')}: {event.fact('text')}"
            yield Violation("crash", event.place, text, event.run)


def hung(history: History) -> Iterator[Violation]:
    """Every run ends."""
    began = {event.run: event.at for event in history.named("began")}
    for event in history.named("still running"):
        # A check repeats while the switch is tripped, so one may be running at the end.
        if event.at - began.get(event.run, 0.0) < _FUNCTION_TIMEOUT:
            continue
        yield Violation("hung", event.place, "it never ended", event.run)
