"""When there was trouble that is nobody's fault, so that the time of a deletion stands still."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.simulation.log import Call, Service
from tests.simulation.oracle.calls import message_in, row_of
from tests.simulation.oracle.history import NEVER, Deletion, History, Step, function_of

Interval = tuple[float, float]

FOR_EVER: Final = 1e12
# Seconds: how long the host looks after a message became visible, and for how long it leases one.
_POLLED: Final = 30.0
_LEASE: Final = 600.0
_DEFAULT_WAIT: Final = 30.0
# Of the limit; a low one is used in so large parts that a crash wastes much of it.
_MOST: Final = 0.9
_MOST_OF_LOW: Final = 0.5
_LOW: Final = 100
_MINUTE: Final = 60.0
_ENDS: Final = frozenset({"died", "stopped", "replaced"})
_OUTSIDE: Final = frozenset({Service.PARTNER_CENTER, Service.SIGN_IN})


class Trouble:
    """The intervals with trouble, each prolonged by the look that follows it."""

    def __init__(self, history: History) -> None:
        self.look = longest_look(history)
        found = [(start, end + self.look) for start, end in _intervals(history)]
        self.intervals = list(_merged(sorted(found)))

    def calm(self, start: float, end: float) -> float:
        """Return how many of the seconds between two times were without trouble."""
        spoilt = sum(
            max(0.0, min(end, until) - max(start, since)) for since, until in self.intervals
        )
        return end - start - spoilt

    def since(self, at: float) -> float:
        """Return for how many seconds there had been no trouble at a time."""
        ends = [until for since, until in self.intervals if since <= at]
        return max(0.0, at - max(ends, default=0.0))


def longest_look(history: History) -> float:
    """Return the longest time from one look at a customer to the next, in seconds."""
    delays = (each.number("CHECK_MAX_DELAY_SECONDS", 300) for each in history.instances)
    return 1.25 * max(delays, default=300.0) + _POLLED


def _merged(intervals: list[Interval]) -> Iterator[Interval]:
    current: Interval | None = None
    for start, end in intervals:
        if current and start <= current[1]:
            current = current[0], max(current[1], end)
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current


def _intervals(history: History) -> Iterator[Interval]:
    yield from _outages(history)
    yield from _processes_down(history)
    yield from _failed_calls(history)
    yield from _held_back(history)
    yield from _late_messages(history)
    yield from _rested(history)
    for trip in history.trips:
        yield trip.at, history.time_of(trip.until) if trip.until < NEVER else FOR_EVER
    for event in history.named("bought something late"):
        yield event.at, event.at


def _outages(history: History) -> Iterator[Interval]:
    begun: dict[str, float] = {}
    for event in history.events:
        if event.name.endswith(" begins"):
            begun[event.name.removesuffix(" begins")] = event.at
        elif event.name.endswith(" ends"):
            since = begun.pop(event.name.removesuffix(" ends"), None)
            if since is not None:
                yield since, event.at
    calm = max((event.at for event in history.named("calm")), default=FOR_EVER)
    yield from ((since, max(since, calm)) for since in begun.values())


def _processes_down(history: History) -> Iterator[Interval]:
    """Yield from the end of a process until its leases have run out, or it is back if later."""
    for event in history.events:
        if event.name in _ENDS:
            starts = [
                each.at
                for each in history.named("started")
                if each.process == event.process and each.place > event.place
            ]
            yield event.at, max(min(starts, default=FOR_EVER), event.at + _LEASE)


def _failed_calls(history: History) -> Iterator[Interval]:
    for call in history.calls:
        if call.fault or call.status == 429:
            yield call.left_at, call.returned_at + max(call.retry_after, _DEFAULT_WAIT)


def _held_back(history: History) -> Iterator[Interval]:
    """Yield the minutes in which most of the limit was used up.

    Crashes waste what they had claimed, and each rank leaves a part to those above it.
    """
    limits = [
        each.number("PARTNER_CENTER_RATE_LIMIT_PER_MINUTE", 475) for each in history.instances
    ]
    limit = min(limits, default=475)
    most = max(1, int(limit * (_MOST if limit >= _LOW else _MOST_OF_LOW)))
    calls = history.partner_center
    for first, last in zip(calls, calls[most - 1 :], strict=False):
        if last.left_at - first.left_at < _MINUTE:
            yield first.left_at, last.left_at + _MINUTE


def _late_messages(history: History) -> Iterator[Interval]:
    """Yield the time for which a visible message was not polled."""
    began: dict[str, float] = {}
    for event in history.named("began"):
        began.setdefault(event.fact("id"), event.at)
    sent = [(each.fact("id"), each.at) for each in history.named("dropped")]
    for call in history.calls:
        if call.service is Service.QUEUE and (message := message_in(call)):
            hidden = parse_qs(urlsplit(call.path).query).get("visibilitytimeout", ["0"])[0]
            sent.append((message[1], call.served_at + float(hidden)))
    for identifier, visible in sent:
        if identifier in began and began[identifier] > visible + _POLLED:
            yield visible, began[identifier]


def _rested(history: History) -> Iterator[Interval]:
    """Yield the time for which a deletion waited for redrive."""
    for message in history.messages:
        if function_of(message.run) == "redrive":
            state = history.record_at(message.tenant, message.place)
            yield (state.at if state else 0.0), history.time_of(message.place)


def parked(history: History, deletion: Deletion, end: float) -> tuple[float, int]:
    """Return for how many seconds a deletion was certainly parked before a time, and how often.

    A step parked it if the switch was tripped, Partner Center throttled it or the sign-in was
    refused, and it could be noted in the record.
    """
    last = deletion.end
    until = last.place if last else NEVER
    steps = [
        each
        for each in history.steps.get(deletion.tenant, ())
        if deletion.begun.place <= each.calls[-1].left and each.calls[0].left < until
    ]
    waits = [
        min(other.at, end) - one.until
        for one, other in pairwise(steps)
        if other.at > one.until and _parks(one)
    ]
    return sum(max(0.0, each) for each in waits), len(waits)


def _parks(step: Step) -> bool:
    noted = [each for each in step.calls if row_of(each)[0] == "deletions" and each.method == "PUT"]
    if not noted or b'"parkedSince"' not in noted[-1].sent or noted[-1].status != 204:
        return False
    asked = [each for each in step.calls if row_of(each) == ("sandbox", "switch")]
    calls = [each for each in step.calls if each.service in _OUTSIDE]
    tripped = bool(asked) and b'"tripped":true' in asked[-1].received.replace(b" ", b"")
    return tripped or (bool(calls) and _says_wait(calls[-1]))


def _says_wait(call: Call) -> bool:
    return call.status == 429 or (call.service is Service.SIGN_IN and (call.status or 0) >= 400)
