"""The truth about a customer at one moment, as the simulator of Partner Center knows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.simulation.log import Event


@dataclass(frozen=True, slots=True)
class Standing:
    """How a purchase really stands; `ids` are those of its order and subscriptions.

    No call cancels it after the second `never_from` of the run, if that is set. One that is
    `endless` was perhaps cancelled, but never shows it. `blocks` says that it keeps its customer
    from being deleted.
    """

    ids: frozenset[str]
    kind: str
    status: str
    blocks: bool
    never_from: float | None
    endless: bool

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Read what the simulation has logged."""
        return cls(**{**facts, "ids": frozenset(facts["ids"])})

    @property
    def loose(self) -> bool:
        """Whether it may be unfinished without blocking: suspended where it could be deleted."""
        return self.status.endswith(("suspended", "active", "pending"))

    def never(self, at: float) -> bool:
        """Return whether no call cancels it at this second of the run."""
        return self.never_from is not None and at >= self.never_from


@dataclass(frozen=True, slots=True)
class Truth:
    """A customer; `age_days` is the age of its oldest purchase, None without one."""

    tenant: str
    place: int
    deleted: bool
    age_days: int | None
    purchases: tuple[Standing, ...]

    @classmethod
    def of(cls, event: Event) -> Self:
        """Read what the simulation has logged."""
        age = event.fact("age_days")
        return cls(
            event.fact("tenant"),
            event.place,
            event.fact("deleted") == "True",
            int(age) if age else None,
            tuple(Standing.of(facts) for facts in json.loads(event.fact("purchases") or "[]")),
        )
