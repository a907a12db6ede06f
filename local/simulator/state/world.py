"""The state that every part of the simulator shares."""

import random
import uuid
from threading import RLock

from local.simulator.state.behaviour import Behaviour
from local.simulator.state.clock import Clock

_LONG_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class World:
    """The clock, the current behaviour, the source of IDs, and the lock around all state."""

    def __init__(self, behaviour: Behaviour, clock: Clock) -> None:
        self.lock = RLock()
        self.clock = clock
        self.behaviour = behaviour
        self.random = random.Random()  # noqa: S311 - for IDs, not for secrets

    def use(self, behaviour: Behaviour) -> None:
        """Replace the behaviour, between two calls."""
        with self.lock:
            self.behaviour = behaviour

    def advance(self, seconds: float) -> None:
        """Advance the clock, between two calls; raises ValueError for negative seconds."""
        with self.lock:
            self.clock.advance(seconds)

    def guid(self) -> str:
        """Return a random GUID."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def short_id(self) -> str:
        """Return twelve random hex digits, the form of alternate IDs."""
        return f"{self.random.getrandbits(48):012x}"

    def long_id(self) -> str:
        """Return a random ID of 32 characters that ends in a digit."""
        return "".join(self.random.choices(_LONG_ID_ALPHABET, k=31)) + "1"
