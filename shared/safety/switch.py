"""The safety switch: once tripped, nothing is written until a person resets it."""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from azure.core.exceptions import AzureError

from shared.errors import TipsweepError
from shared.events import Event, emit

# Between two writes of a trip that could not be stored.
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Whether the switch is tripped, and who last changed it, when and why.

    `trip_id` names the last trip; a reset keeps it, so that a trip can be found after its reset.
    `etag` changes with every write and is empty as long as nobody has used the switch. `at` is for
    people: clocks of different processes are never compared.
    """

    tripped: bool
    requested_by: str = ""
    reason: str = ""
    at: datetime | None = None
    trip_id: str = ""
    etag: str = field(default="", compare=False)


class SwitchTripped(TipsweepError):
    """The safety switch is tripped, so nothing may be written."""


class SwitchChanged(TipsweepError):
    """The switch is not in the state that a reset was meant for; `state` is the current one."""

    def __init__(self, state: SwitchState) -> None:
        super().__init__(
            f"The safety switch has changed since it was read: {_summary(state)}. "
            "Read it again before you reset it."
        )
        self.state = state


class SwitchStore(Protocol):
    """Where the state of the switch is kept for all processes.

    Every method raises if the store cannot be used, so that nobody takes an outage for a switch
    that is not tripped.
    """

    def read(self) -> SwitchState:
        """Return the stored state; untripped and without an ETag if nobody has used the switch."""

    def write(self, state: SwitchState) -> SwitchState:
        """Store a state, whatever is stored, and return it with its ETag."""

    def replace(self, state: SwitchState, known: SwitchState) -> SwitchState:
        """Store a state in place of the known one, and return it with its ETag.

        Raises SwitchChanged if anybody has written since `known` was read. A write of our own
        whose response was lost does not count as that.
        """


@dataclass(frozen=True, slots=True)
class _OwnTrip:
    """The last trip of this process, whether it is known to be stored, and whether people know."""

    state: SwitchState | None = None
    stored: bool = True
    told: bool = True


class Switch:
    """The switch of one partner account; `moved` is told of each trip and reset.

    A trip stops this process at once. If it cannot be stored, it is written again in the background
    and at every later question of this process, until it is stored and stops the others too.
    Messages carry it meanwhile, so that it outlives this process.
    """

    def __init__(
        self,
        store: SwitchStore,
        now: Callable[[], datetime],
        moved: Callable[[SwitchState], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._now = now
        self._moved = moved
        self._sleep = sleep
        self._lock = threading.Lock()
        self._writing = False
        self._own = _OwnTrip()

    def read(self) -> SwitchState:
        """Return the stored state, with a trip of this process stored first if it is not yet.

        Raises the errors of the store.
        """
        while True:
            own = self._own
            state = self._with_own_trip(self._store.read(), own)
            # What was read does not show a trip that another thread has made since.
            if self._own.state is own.state:
                return state

    def require_untripped(self) -> None:
        """Rule 4: nothing has tripped the switch.

        Raises SwitchTripped, or the errors of the store: while it is away, nobody may write.
        """
        state = self.read()
        if state.tripped:
            message = f"the safety switch was {_summary(state)}"
            raise SwitchTripped(message)

    @property
    def unstored(self) -> SwitchState | None:
        """The trip that this process holds and that is not known to be stored."""
        own = self._own
        return None if own.stored else own.state

    def store_own(self) -> None:
        """Store the trip of this process unless it is known to be; raises the errors of the store.

        Asks the store nothing if there is no such trip.
        """
        if self.unstored is not None:
            self.read()

    def take_over(self, trip: SwitchState) -> None:
        """Hold and store a trip that its own process could not store.

        One of this process is stored before it, because a reset of one must not lift the other
        unseen. Raises the errors of the store; a trip holds for this process all the same, and this
        one has to come back with its message.
        """
        while not self._taken_over(trip):
            self.store_own()
        self.store_own()

    def _taken_over(self, trip: SwitchState) -> bool:
        """Hold a trip in place of one that is stored; False if there is another that is not."""
        with self._lock:
            own = self._own
            if own.state is not None and own.state.trip_id == trip.trip_id:
                return True
            if own.stored:
                self._own = _OwnTrip(trip, stored=False, told=False)
            return own.stored

    def trip(self, requested_by: str, reason: str) -> SwitchState:
        """Stop everything, whatever is stored.

        Raises the errors of the store; the trip holds for this process all the same.
        """
        trip = SwitchState(True, requested_by, reason, self._now(), trip_id=str(uuid.uuid4()))
        with self._lock:
            self._own = _OwnTrip(trip, stored=False)
        # Before the write, because a trip that cannot be stored is what people must hear of.
        emit(Event.SWITCH_TRIPPED, requested_by=requested_by, reason=reason)
        try:
            return self._stored_at_once(trip)
        except AzureError:
            # This process may not be asked again, while another one goes on deleting.
            self._start_writing()
            raise
        finally:
            self._moved(trip)

    def reset(
        self,
        requested_by: str,
        reason: str,
        expected: Callable[[SwitchState], bool] = lambda _: True,
    ) -> SwitchState:
        """Let everything resume, unless the switch is tripped again before the reset is stored.

        `expected` says whether a state is the one that the caller means to reset. Raises
        SwitchChanged, or the errors of the store.
        """
        own = self._own
        known = self._store.read()
        current = self._with_own_trip(known, own)
        # A trip that was not stored until now is one that the caller cannot have seen.
        if current is not known or not expected(current):
            raise SwitchChanged(current)
        state = SwitchState(False, requested_by, reason, self._now(), trip_id=current.trip_id)
        stored = self._store.replace(state, current)
        emit(Event.SWITCH_RESET, requested_by=requested_by, reason=reason)
        self._moved(stored)
        return stored

    def _with_own_trip(self, stored: SwitchState, own: _OwnTrip) -> SwitchState:
        if own.state is None or own.stored:
            return stored
        # Written after all, although the response was lost; it may have been reset since.
        if stored.trip_id == own.state.trip_id:
            self._note_stored(own.state)
            return stored
        if not own.told:
            self._tell_taken_over(own.state)
        return self._write(own.state)

    def _tell_taken_over(self, trip: SwitchState) -> None:
        """Tell of a trip that is stored here for another process, as that one did, once."""
        with self._lock:
            if self._own.state is trip:
                self._own = replace(self._own, told=True)
        emit(Event.SWITCH_TRIPPED, requested_by=trip.requested_by, reason=trip.reason)
        self._moved(trip)

    def _stored_at_once(self, trip: SwitchState) -> SwitchState:
        """Write a trip, and once more at once: the library itself repeats only some failures."""
        try:
            return self._write(trip)
        except AzureError:
            # It may be stored, and its response lost.
            return self.read()

    def _start_writing(self) -> None:
        with self._lock:
            if self._writing:
                return
            self._writing = True
        threading.Thread(target=self._keep_writing, name="trip", daemon=True).start()

    def _keep_writing(self) -> None:
        """Write the trip of this process until it is stored."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._written():
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            with suppress(AzureError):
                self.read()

    def _written(self) -> bool:
        with self._lock:
            self._writing = not self._own.stored
            return self._own.stored

    def _write(self, trip: SwitchState) -> SwitchState:
        written = self._store.write(trip)
        self._note_stored(trip)
        return written

    def _note_stored(self, trip: SwitchState) -> None:
        with self._lock:
            # Another thread may have made another trip, which is not stored yet.
            if self._own.state is trip:
                self._own = _OwnTrip(trip, stored=True)


def _summary(state: SwitchState) -> str:
    if not state.tripped and not state.requested_by:
        return "not tripped"
    return f"{'tripped' if state.tripped else 'reset'} by {state.requested_by}: {state.reason}"
