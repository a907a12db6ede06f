"""What people do: drop IDs, ask over HTTP, abort, trip and reset the switch, start sweeps."""

from random import Random
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.simulation.scenario import drop_text

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

REQUESTS = "customers-to-delete"


class People:
    """The users and operators of one run."""

    def __init__(self, world: "Simulation", stream: Random) -> None:
        self._world = world
        self._stream = stream

    def plan(self) -> None:
        """Decide who does what when."""
        for customer in self._world.scenario.customers:
            self._world.scheduler.at(
                self._stream.uniform(0, 20),
                lambda tenant=customer.tenant_id: self._drop(tenant),
            )

    def _drop(self, tenant: str) -> None:
        self._put(drop_text(self._stream, tenant))

    def _put(self, text: str) -> None:
        world = self._world
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"
        response = world.around.queue("POST", f"{REQUESTS}/messages", body.encode())
        if response is None:
            world.scheduler.after(30, lambda: self._put(text))
            return
        world.log.note(world.clock.now, "dropped", text=text)
        world.around.announce(REQUESTS, world.clock.now)
