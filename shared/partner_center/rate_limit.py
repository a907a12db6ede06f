"""What a call needs before it may leave: a turn within the limit of calls per minute."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from shared.partner_center.deadline import Deadline

# A longer wait would only hold a thread: the step puts its message back instead.
LONGEST_WAIT_SECONDS: Final = 2.0


class Rank(IntEnum):
    """Who asks for a turn; each rank leaves some calls of the minute to those above it.

    A step whose customer has been worked on before goes before one that starts on a customer, so
    that what has begun ends first. A part is always left to people.
    """

    STARTING = 0
    STARTED = 1
    PERSON = 2


class RateLimited(Exception):
    """No call may be sent for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"No call may be sent for {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the minute is: the limit, the calls that count, and the seconds it is held for."""

    limit: int
    calls: int
    held_seconds: float = 0.0


class CallBudget(Protocol):
    """The calls that may begin in any 60 seconds.

    Source of the limit: Microsoft's page "API throttling guidance for partners". Every method
    raises the errors of the store that holds the budget: without it, no call may be sent.
    """

    def turn(self, rank: Rank, deadline: Deadline, *, patient: bool) -> float:
        """Take the turn of one call; return until when it may leave, on the monotonic clock.

        Raises RateLimited while there is no room, or OutOfTime. After that, one who is `patient`
        asks again once the time is over, within LONGEST_WAIT_SECONDS; the others come back later,
        and are told when there will be room for them too.
        """

    def require_usable(self, until: float) -> bool:
        """Whether a turn may still be used; raises RateLimited while calls are paused."""

    @property
    def crowded(self) -> bool:
        """Whether most of the minute is taken, so that a look that finds nothing delays others."""

    def expect(self, seconds: float) -> None:
        """Note that a customer that was worked on will be looked at again after some seconds.

        Steps that start on another one leave room for that.
        """

    def pause(self, seconds: float) -> None:
        """Hold all calls for this many seconds, as Partner Center asked."""

    def fill(self) -> Fill:
        """Return how full the minute is."""
