"""The state that every part of the simulator shares."""

import random
import uuid
from threading import RLock

from local.simulator.state.behaviour import Behaviour
from local.simulator.state.clock import Clock

_LONG_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class World:
    """The clock, the behaviour in force, the source of IDs, and the lock around all state."""

    def __init__(self, behaviour: Behaviour, clock: Clock) -> None:
        self.lock = RLock()
        self.clock = clock
        self.behaviour = behaviour
        self.random = random.Random()  # noqa: S311 - makes up IDs, keeps no secret

    def use(self, behaviour: Behaviour) -> None:
        """Put another behaviour in force, between two calls."""
        with self.lock:
            self.behaviour = behaviour

    def advance(self, seconds: float) -> None:
        """Move the clock on, between two calls; raises ValueError for negative seconds."""
        with self.lock:
            self.clock.advance(seconds)

    def guid(self) -> str:
        """Make up a GUID."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def short_id(self) -> str:
        """Make up twelve hex digits, the form of alternate IDs."""
        return f"{self.random.getrandbits(48):012x}"

    def long_id(self) -> str:
        """Make up an ID of 32 characters that ends in a digit."""
        return "".join(self.random.choices(_LONG_ID_ALPHABET, k=31)) + "1"
