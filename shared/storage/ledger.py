"""The calls of the last minute as all processes see them, and what may be added; pure functions.

A claim adds calls that may leave until a tick. They count until 60 seconds and a guard after that
tick, so that no window of 60 seconds holds calls of claims that did not see each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final

from shared.partner_center.rate_limit import LONGEST_WAIT_SECONDS, Rank

WINDOW_SECONDS: Final = 60.0
# The longest time from the last look at the clock until Partner Center counts the call.
GUARD_SECONDS: Final = 1.0
# Narrow, so that room opens early; a claim costs what it does not use within its tick.
TICK_SECONDS: Final = 0.25
# Long enough for the calls of a step to share a claim, short enough to open early.
USE_SECONDS: Final = 0.75

# For people: a dry run, the sweep's preview and the status page work during a drain.
_RESERVE: Final = 10
# Near the end of the minute, no process takes the room that the others wait for.
_LARGEST_PART: Final = 4
# Two lists, five purchases and the DELETE of a customer of a full sandbox.
_CALLS_OF_CUSTOMER: Final = 8
# Another look, and the DELETE.
CALLS_OF_LOOK: Final = 2
# A customer that is started needs its calls within about so many seconds.
_STEP_SECONDS: Final = 5.0
# Its last calls may be those for which room opens while it sends the first ones.
_AHEAD_SECONDS: Final = 1.5
# A message comes late: its queue is polled every other second, and the step has to wait its turn.
_LATE_SECONDS: Final = 3.0

# No process holds all calls for longer, and none claims so far ahead.
_FURTHEST_SECONDS: Final = 660.0
# No delay of a message is longer.
_FURTHEST_LOOK_SECONDS: Final = 7 * 86_400.0
# More than a minute of any limit, or than all steps that may come back at once ask for.
_MOST_CALLS: Final = 1_000_000
# A time that is 2^n ticks away has this many bits; the rest are rounded up.
_FINE_BITS: Final = 6

LOWERED_SECONDS: Final = 600.0
_LEAST: Final = 60
_RISE_A_MINUTE: Final = 1.1
_LONGEST_RISE_MINUTES: Final = 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The time in seconds since 1970: it lies between the two."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """What all processes know of each other's calls; times are seconds since 1970.

    `used` are calls by the tick until which they may leave. `expected` are those that customers who
    were started still need, and `promised` those of steps that come back to start one, by the tick
    at which they do. `lowered_to` is 0 if no limit was learned.
    """

    used: Mapping[int, int] = field(default_factory=dict)
    promised: Mapping[int, int] = field(default_factory=dict)
    expected: Mapping[int, int] = field(default_factory=dict)
    held_until: float = 0.0
    lowered_to: int = 0
    lowered_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """Calls that one process may send until a tick, and the lowest rank that may use them.

    Of the steps that start on a customer, `starts` may use one.
    """

    calls: int = 0
    until: int = 0
    lowest: Rank = Rank.PERSON
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process asks for: calls for those who wait now, and for those expected soon.

    `use_seconds` is how long a grant is to last. One who is not `patient` comes back later.
    """

    rank: Rank
    waiting: int = 1
    ahead: int = 0
    use_seconds: float = USE_SECONDS
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The ledger to store, and the grant; without one, the seconds until there is room."""

    ledger: Ledger
    grant: Grant | None = None
    wait: float = 0.0


def decide(ledger: Ledger, ask: Ask, setting: int, now: Moment) -> Decision:
    """Decide on a claim; the ledger is the same object if nothing has to be stored.

    What counts is dropped at the earliest time that it may be, what is granted ends at the latest.
    """
    if now.earliest < ledger.held_until:
        return Decision(ledger, wait=ledger.held_until - now.earliest)
    limit = limit_of(ledger, setting, now.earliest)
    free = room(ledger, ask.rank, limit, now.earliest)
    starts = _starts(ledger, limit, now.earliest)
    if free < 1 or (ask.rank is Rank.STARTING and not starts):
        return _refused(ledger, ask, limit, now)
    calls = min(free, max(ask.waiting, min(ask.waiting + ask.ahead, free // _LARGEST_PART)))
    until = tick_of(now.latest + ask.use_seconds)
    after = claimed(ledger, calls, until, now.earliest)
    lowest = ask.rank if room(after, Rank.STARTED, limit, now.earliest) < 0 else Rank.STARTING
    return Decision(after, Grant(calls, until, lowest, starts))


def _refused(ledger: Ledger, ask: Ask, limit: int, now: Moment) -> Decision:
    missing = _missing(ledger, ask.rank, limit, now.earliest)
    opens_at = _opening(ledger, missing, limit, now.earliest)
    if ask.rank is Rank.PERSON or (ask.patient and opens_at - now.earliest <= LONGEST_WAIT_SECONDS):
        return Decision(ledger, wait=opens_at - now.earliest)
    after, back = _come_back(ledger, ask.rank, limit, now.earliest)
    return Decision(after, wait=back - now.earliest)


def tick_of(time: float) -> int:
    """Return the first tick that is not before a time."""
    return ceil(time / TICK_SECONDS)


def limit_of(ledger: Ledger, setting: int, now: float) -> int:
    """Return the limit: the setting, or what was learned from a 429, which rises slowly."""
    if not ledger.lowered_to:
        return setting
    minutes = (now - ledger.lowered_at - LOWERED_SECONDS) / 60.0
    risen = ledger.lowered_to * _RISE_A_MINUTE ** min(max(0.0, minutes), _LONGEST_RISE_MINUTES)
    return min(setting, int(risen))


def counted(ledger: Ledger, now: float) -> int:
    """Return the calls that a window which ends now may hold, those to come included."""
    return sum(calls for tick, calls in ledger.used.items() if _opens_at(tick) > now)


def _opens_at(tick: int) -> float:
    return tick * TICK_SECONDS + GUARD_SECONDS + WINDOW_SECONDS


def room(ledger: Ledger, rank: Rank, limit: int, now: float) -> int:
    """Return how many calls a rank may claim; negative if higher ranks have more than its share."""
    return _share(rank, limit) - counted(ledger, now)


def _share(rank: Rank, limit: int) -> int:
    return limit if rank is Rank.PERSON else limit - min(_RESERVE, limit // 10)


def _starts(ledger: Ledger, limit: int, now: float) -> int:
    """Return how many customers may be started: as many as there is room for until they end."""
    free = room(ledger, Rank.STARTING, limit, now + _AHEAD_SECONDS)
    free -= _still_expected(ledger, limit, now)
    return max(0, free // _calls_of_customer(limit))


def crowded(ledger: Ledger, setting: int, now: float) -> bool:
    """Whether more than half of the minute is used, or kept for customers that were started."""
    limit = limit_of(ledger, setting, now)
    free = room(ledger, Rank.STARTING, limit, now) - _still_expected(ledger, limit, now)
    return 2 * free < _share(Rank.STARTING, limit)


def _calls_of_customer(limit: int) -> int:
    return min(_CALLS_OF_CUSTOMER, max(1, _share(Rank.STARTING, limit) // 2))


def _still_expected(ledger: Ledger, limit: int, now: float) -> int:
    calls = _within_a_minute(_later(ledger.expected, now - _LATE_SECONDS), now)
    # What never comes must not keep everybody from starting.
    return min(_share(Rank.STARTING, limit) - _calls_of_customer(limit), calls)


def started_on(time: float, limit: int) -> tuple[float, int]:
    """Return when a customer that is started needs its other calls, and how many."""
    return time + _STEP_SECONDS, _calls_of_customer(limit) - 1


def expecting(
    ledger: Ledger, expected: Iterable[tuple[float, int]], sent: int, now: float
) -> Ledger:
    """Return the ledger with calls expected at some times, without those that were sent."""
    calls = _later(ledger.expected, now - _LATE_SECONDS)
    for time, count in expected:
        tick = _coarse(tick_of(time), now)
        calls[tick] = calls.get(tick, 0) + count
    return replace(ledger, expected=_without_first(calls, sent))


def _without_first(calls: Mapping[int, int], number: int) -> dict[int, int]:
    left = {}
    for tick in sorted(calls):
        taken = min(number, calls[tick])
        number -= taken
        if calls[tick] > taken:
            left[tick] = calls[tick] - taken
    return left


def claimed(ledger: Ledger, calls: int, until: int, now: float) -> Ledger:
    """Return the ledger with calls that may leave until a tick, without what no longer counts."""
    used = {tick: count for tick, count in ledger.used.items() if _opens_at(tick) > now}
    used[until] = used.get(until, 0) + calls
    return replace(ledger, used=used, promised=_due(ledger, now))


def returned(ledger: Ledger, calls: int, until: int) -> Ledger:
    """Return the ledger without calls that were claimed and certainly never leave."""
    if not calls:
        return ledger
    left = max(0, ledger.used.get(until, 0) - calls)
    return replace(ledger, used={**ledger.used, until: left})


def _missing(ledger: Ledger, rank: Rank, limit: int, now: float) -> int:
    """Return how many calls have to leave the minute before a rank may claim its next."""
    if rank is Rank.STARTING:
        needed = _calls_of_customer(limit) + _still_expected(ledger, limit, now)
        return needed - room(ledger, rank, limit, now)
    return 1 - room(ledger, rank, limit, now)


def _come_back(ledger: Ledger, rank: Rank, limit: int, now: float) -> tuple[Ledger, float]:
    """Return when a step should come back: when there is room for it and for those before it."""
    expected = _later(ledger.expected, now)
    if rank is Rank.STARTED:
        # It is expected when it comes back, and not at the earlier time.
        expected = _without_first(expected, CALLS_OF_LOOK)
        before = _within_a_minute(expected, now)
        missing = CALLS_OF_LOOK + before - room(ledger, rank, limit, now)
        back = max(_opening(ledger, missing, limit, now), now + LONGEST_WAIT_SECONDS)
        tick = _coarse(tick_of(back), now)
        expected[tick] = expected.get(tick, 0) + CALLS_OF_LOOK
        return replace(ledger, expected=expected), back
    promised = _due(ledger, now)
    missing = _missing(ledger, rank, limit, now) + sum(promised.values())
    opens_at = _opening(ledger, missing, limit, now) - _AHEAD_SECONDS
    back = max(opens_at, now + LONGEST_WAIT_SECONDS)
    tick = _coarse(tick_of(back), now)
    promised[tick] = promised.get(tick, 0) + _calls_of_customer(limit)
    return replace(ledger, promised=promised), back


def _coarse(tick: int, now: float) -> int:
    """Return a tick that stands for those around it: the later, the more of them.

    However many steps come back, a column of the row holds all that is noted of them.
    """
    distance = max(1, tick - tick_of(now))
    grid: int = 1 << max(0, distance.bit_length() - _FINE_BITS)
    return -(-tick // grid) * grid


def _due(ledger: Ledger, now: float) -> dict[int, int]:
    return _later(ledger.promised, now)


def _later(calls: Mapping[int, int], now: float) -> dict[int, int]:
    return {tick: count for tick, count in calls.items() if tick * TICK_SECONDS > now}


def _within_a_minute(calls: Mapping[int, int], now: float) -> int:
    soon = (now + WINDOW_SECONDS) / TICK_SECONDS
    return sum(count for tick, count in calls.items() if tick < soon)


def _opening(ledger: Ledger, missing: int, limit: int, now: float) -> float:
    """Return when so many more calls than now have left the window, or would have at the limit."""
    opens_at = max(now, ledger.held_until)
    for tick in sorted(ledger.used):
        if missing <= 0:
            return opens_at
        if _opens_at(tick) > now:
            missing -= ledger.used[tick]
            opens_at = max(opens_at, _opens_at(tick))
    return opens_at + max(0, missing) * WINDOW_SECONDS / limit


def throttled(ledger: Ledger, setting: int, now: float, seconds: float) -> Ledger:
    """Return the ledger after a 429: held, with half the limit.

    Of the responses to calls that had left together, only the first halves it.
    """
    held_until = max(ledger.held_until, now + seconds)
    if held_until - ledger.held_until < TICK_SECONDS:
        return ledger
    if now < ledger.held_until:
        return replace(ledger, held_until=held_until)
    halved = max(min(_LEAST, setting), limit_of(ledger, setting, now) // 2)
    return replace(ledger, held_until=held_until, lowered_to=halved, lowered_at=now)


def makes_sense(ledger: Ledger, now: float) -> bool:
    """Whether tipsweep may have written the ledger by this time.

    One from another time would hold calls for ever, and negative numbers would let too many leave.
    """
    furthest = now + _FURTHEST_SECONDS
    times = (ledger.held_until, ledger.lowered_at)
    return (
        all(0 <= each <= furthest for each in times)
        and ledger.lowered_to >= 0
        and _counts_make_sense(ledger.used, furthest)
        and _counts_make_sense(ledger.promised, now + _FURTHEST_LOOK_SECONDS)
        and _counts_make_sense(ledger.expected, now + _FURTHEST_LOOK_SECONDS)
    )


def _counts_make_sense(calls: Mapping[int, int], furthest: float) -> bool:
    last = tick_of(furthest)
    return all(0 <= tick <= last and 0 <= count <= _MOST_CALLS for tick, count in calls.items())


def full(limit: int, until: int) -> Ledger:
    """Return the ledger of a minute of which nothing is known."""
    return Ledger(used={until: limit})
