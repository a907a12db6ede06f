"""The order in which a queue hands out its messages: nearly that in which they became visible."""

from collections.abc import Callable
from typing import Final

from tests.simulation.clock import Clock
from tests.simulation.faults import Faults, Kind
from tests.simulation.storage.messages import Message

_MEAN_SECONDS: Final = 20.0


class Order:
    """Holds messages back for a while, so that later ones overtake them, and shuffles the rest.

    `announce` is told when the messages of a queue can be taken again.
    """

    def __init__(
        self, clock: Clock, faults: Faults, announce: Callable[[str, float], None]
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._announce = announce
        self._held: dict[tuple[str, int], float] = {}

    def pick(self, queue: str, messages: list[Message]) -> list[Message]:
        """Return the messages that are handed out next, in their order."""
        if not messages or not self._faults.may(Kind.REORDERED):
            return messages
        free = [each for each in messages if not self._is_held(queue, each)]
        self._faults.details[Kind.REORDERED].shuffle(free)
        return free

    def _is_held(self, queue: str, message: Message) -> bool:
        delivery = (message.id, message.dequeue_count)
        if delivery not in self._held:
            seconds = 0.0
            if self._faults.strikes(Kind.REORDERED):
                seconds = self._faults.details[Kind.REORDERED].expovariate(1 / _MEAN_SECONDS)
                self._announce(queue, self._clock.now + seconds)
            self._held[delivery] = self._clock.now + seconds
        return self._clock.now < self._held[delivery]
