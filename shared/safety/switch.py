"""The safety switch: once tripped, nothing is written until a person resets it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import TipsweepError
from shared.events import Event, emit


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Whether the switch is tripped, and who last changed it, when and why."""

    tripped: bool
    requested_by: str = ""
    reason: str = ""
    at: datetime | None = None


class SwitchTripped(TipsweepError):
    """The safety switch is tripped, so nothing may be written."""


class SwitchStore(Protocol):
    """Where the state of the switch is kept for all processes."""

    def read(self) -> SwitchState | None:
        """Return the stored state, None if nobody has used the switch."""

    def write(self, state: SwitchState) -> None:
        """Store a state, replacing the last one."""


class Switch:
    """The switch of one partner account; `moved` is told of each trip and reset."""

    def __init__(
        self,
        store: SwitchStore,
        now: Callable[[], datetime],
        moved: Callable[[SwitchState], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._now = now
        self._moved = moved
        self._lock = threading.Lock()
        self._own_trip: SwitchState | None = None

    def read(self) -> SwitchState:
        """Return the state as it is stored now, or our own trip while nothing newer is stored."""
        return self._remember(self._store.read() or SwitchState(tripped=False))

    def require_untripped(self) -> None:
        """Rule 4: nothing has tripped the switch; raises SwitchTripped."""
        state = self.read()
        if state.tripped:
            message = f"the safety switch was tripped by {state.requested_by}: {state.reason}"
            raise SwitchTripped(message)

    def trip(self, requested_by: str, reason: str) -> SwitchState:
        """Stop everything."""
        state = SwitchState(True, requested_by, reason, self._now())
        return self._move(Event.SWITCH_TRIPPED, state)

    def reset(self, requested_by: str, reason: str) -> SwitchState:
        """Let everything resume."""
        state = SwitchState(False, requested_by, reason, self._now())
        return self._move(Event.SWITCH_RESET, state)

    def _move(self, event: Event, state: SwitchState) -> SwitchState:
        # In memory first: this process stops even if the store cannot be written.
        self._remember(state)
        self._store.write(state)
        emit(event, requested_by=state.requested_by, reason=state.reason)
        self._moved(state)
        return state

    def _remember(self, state: SwitchState) -> SwitchState:
        """Keep a trip until something newer lifts it: a stale read or a lost write must not."""
        with self._lock:
            trip = self._own_trip
            if not state.tripped and trip and not _newer(state, trip):
                return trip
            self._own_trip = state if state.tripped else None
            return state


def _newer(state: SwitchState, trip: SwitchState) -> bool:
    return state.at is not None and trip.at is not None and state.at > trip.at
