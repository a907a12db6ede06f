"""Runs one actor at a time, in an order that the seed chooses, on a clock that jumps."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.clock import Clock

Act = Callable[[], None]
# In seconds; nobody knows how long a lock is held.
_A_WAIT: Final = 1.0


class Process(Protocol):
    """Where an actor runs."""

    name: str

    def adopt(self, thread: "Actor") -> None:
        """Register a thread that an actor of this process has started."""

    def enter(self) -> None:
        """Switch to the clock and the environment of the process."""

    def may_die(self, seconds: float) -> None:
        """Kill every actor of the process within the next seconds, if the seed says so."""


class Actor:
    """A run of the app's code that can be suspended at any of its calls."""

    def __init__(self, scheduler: "Scheduler", work: Act, name: str, process: "Process") -> None:
        self._scheduler = scheduler
        self._greenlet = greenlet(work, parent=scheduler.hub)
        self._sleeps = 0
        self.name = name
        self.process = process
        self.killed = False

    @property
    def ended(self) -> bool:
        """Whether the actor has finished or was killed."""
        return self.killed or self._greenlet.dead

    def go_on(self, sleep: int) -> None:
        """Wake up from the sleep with this number, unless it is over or the actor has ended."""
        if self.killed or self._sleeps != sleep or self._greenlet.dead:
            return
        self._sleeps += 1
        self._enter(self._greenlet.switch)

    def waker(self) -> Act:
        """Return a function that wakes the actor from its current sleep."""
        sleep = self._sleeps
        return lambda: self.go_on(sleep)

    def kill(self) -> None:
        """Kill the actor where it is; its cleanup code cannot send anything."""
        self.killed = True
        if not self._greenlet.dead:
            self._enter(lambda: self._greenlet.throw(GreenletExit))

    def _enter(self, switch: Callable[[], Any]) -> None:
        scheduler = self._scheduler
        before, scheduler.actor = scheduler.actor, self
        self.process.enter()
        switch()
        scheduler.actor = before
        scheduler.clock.look(0.0)


class Scheduler:
    """The pending events and the running actor.

    `hazard` is called whenever an actor begins to wait, with the seconds that it expects to wait;
    `waits` counts these.
    """

    def __init__(self, clock: Clock) -> None:
        self._events: list[tuple[float, int, Act]] = []
        self._numbers = count()
        self.clock = clock
        self.hub = getcurrent()
        self.actor: Actor | None = None
        self.waits = 0
        self.hazard: Callable[[Actor, float], None] = lambda _actor, _seconds: None

    def at(self, moment: float, act: Act) -> None:
        """Schedule an event; events that are due at the same moment keep their order."""
        heappush(self._events, (max(moment, self.clock.now), next(self._numbers), act))

    def after(self, seconds: float, act: Act) -> None:
        """Schedule an event this many seconds from now."""
        self.at(self.clock.now + seconds, act)

    def start(self, work: Act, name: str, process: Process) -> Actor:
        """Start an actor now."""
        actor = Actor(self, work, name, process)
        self.at(self.clock.now, actor.waker())
        return actor

    def run(self, until: float) -> None:
        """Run the events up to a moment, and set the clock to it."""
        while self._events and self._events[0][0] <= until:
            moment, _, act = heappop(self._events)
            self.clock.move(moment)
            act()
        self.clock.move(max(until, self.clock.now))

    def sleep(self, seconds: float) -> None:
        """Suspend the running actor; others run in the meantime."""
        actor = self.running()
        moment = self.clock.now + max(0.0, seconds)
        self.waits += 1
        self.hazard(actor, moment - self.clock.now)
        if not self._events or self._events[0][0] > moment:
            self.clock.move(moment)
            return
        self.at(moment, actor.waker())
        self._yield(actor)

    def park(self, timeout: float | None) -> Act:
        """Return a function that wakes the running actor from its next `wait`."""
        actor = self.running()
        waker = actor.waker()
        if timeout is not None:
            self.after(timeout, waker)
        return waker

    def wait(self) -> None:
        """Sleep until the function that `park` returned is called."""
        actor = self.running()
        self.waits += 1
        self.hazard(actor, _A_WAIT)
        self._yield(actor)

    def running(self) -> Actor:
        """Return the running actor; one that was killed ends here."""
        if self.actor is None:
            raise RuntimeError("only an actor can sleep, and none is running")
        if self.actor.killed:
            raise GreenletExit
        return self.actor

    def _yield(self, actor: Actor) -> None:
        self.hub.switch()
        if actor.killed:
            raise GreenletExit
