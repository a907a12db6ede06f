"""Mistakes to plant in the app, so that the simulation proves that it sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.simulation.process import Replacement


@dataclass(frozen=True, slots=True)
class Mistake:
    """A patch of the app's sources, by module, and the seed that found it."""

    what: str
    replacements: Mapping[str, Replacement]
    seed: int | None = None


PLANTED: Final[Mapping[str, Mistake]] = {}
