"""How many calls may leave, and when."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, log
from typing import Final

from tests.simulation.log import Call, Service
from tests.simulation.oracle.calls import body_of
from tests.simulation.oracle.history import STEPS, Deletion, History, function_of
from tests.simulation.oracle.violation import Violation

_LONGEST_HOLD: Final = 600.0
_GROWTH: Final = 1.5
# A token is renewed this many seconds before it expires.
_RENEWAL: Final = 300.0


def retry_after_ignored(history: History) -> Iterator[Violation]:
    """After a Retry-After has arrived, no call leaves the process until the time has passed."""
    limits = [call for call in history.partner_center if call.status == 429 and call.retry_after]
    for limit in limits:
        instance = history.instance(limit.process, limit.left)
        until = limit.returned_at + min(limit.retry_after, _LONGEST_HOLD)
        for call in history.partner_center:
            if call.process != limit.process or not limit.returned < call.left:
                continue
            if call.left_at > until - 0.001:
                break
            if history.instance(call.process, call.left) is instance:
                kind = "a repeat, " if _repeats(history, call) else ""
                text = f"{kind}{until - call.left_at:.3f} s too early"
                yield Violation.of("retry_after_ignored", call, text)
                break


def _repeats(history: History, call: Call) -> bool:
    """Return whether a call is a short repeat of the one before."""
    before = [each for each in history.runs[call.run] if each.left < call.left]
    return bool(before) and (before[-1].method, before[-1].path) == (call.method, call.path)


def over_limit(history: History) -> Iterator[Violation]:
    """All processes together send no more calls in any 60 seconds than the setting allows.

    That holds over restarts, and with clocks that are seconds apart.
    """
    limits = [
        each.number("PARTNER_CENTER_RATE_LIMIT_PER_MINUTE", 475) for each in history.instances
    ]
    limit = int(min(limits, default=475))
    # A request that arrived after its sender gave up has an entry of its own.
    calls = [call for call in history.partner_center if call.returned]
    for first, call in zip(calls, calls[limit:], strict=False):
        if call.left_at - first.left_at < 59.99:
            yield Violation.of("over_limit", call, f"call {limit + 1} within 60 s")
            return


def storm(history: History) -> Iterator[Violation]:
    """The run ends before it has used up its calls."""
    for event in history.named("end"):
        if int(event.fact("calls")) >= int(event.fact("most")):
            yield Violation("storm", event.place, f"{event.fact('calls')} calls, and no end")


def repeated_call(history: History) -> Iterator[Violation]:
    """A step sends each call once for each time that it looks or tries.

    It reads a list twice at most, because a new order makes it read everything, and it reads a
    subscription before each of its changes. It repeats a call at most twice after a failure.
    """
    for run, calls in history.runs.items():
        if function_of(run) not in STEPS:
            continue
        sent = Counter(_same(each) for each in calls if each.service is Service.PARTNER_CENTER)
        failed = Counter(_same(each) for each in calls if each.status is None or each.fault)
        for same, count in sent.items():
            if count > _most_alike(same[0]) + 2 * failed[same]:
                call = [each for each in calls if _same(each) == same][-1]
                yield Violation.of("repeated_call", call, f"was sent {count} times in one step")


def _same(call: Call) -> tuple[str, str, bytes]:
    return call.method, call.path, call.sent


def _most_alike(method: str) -> int:
    return 4 if method == "GET" else 2


def too_many_looks(history: History) -> Iterator[Violation]:
    """A deletion is looked at as often as its delays allow: they grow to the longest one.

    They start again after progress, of which each purchase allows a few. A look may be two steps:
    the second sends the DELETE. Our own limit may hold a step back for seconds at a time.
    """
    end = history.end_at
    for deletion in history.deletions:
        if any(each.number(_LIMIT, _USUAL) < _USUAL for each in history.instances):
            return
        seconds = (deletion.end.at if deletion.end else end) - deletion.begun.at
        most = _most_looks(history, deletion, seconds)
        looks = len({each.generation for each in deletion.states})
        if looks > most:
            text = f"{deletion.tenant}: {looks} messages in {seconds:.0f} s, expected {most}"
            yield Violation("too_many_looks", deletion.states[-1].place, text)


_LIMIT: Final = "PARTNER_CENTER_RATE_LIMIT_PER_MINUTE"


def _most_looks(history: History, deletion: Deletion, seconds: float) -> int:
    first = min(each.number("CHECK_FIRST_DELAY_SECONDS", 5) for each in history.instances)
    longest = min(each.number("CHECK_MAX_DELAY_SECONDS", 300) for each in history.instances)
    growth = ceil(log(max(longest / first, 1), _GROWTH)) + 1
    truth = history.truth_at(deletion.tenant, deletion.begun.place)
    things = sum(len(each.ids) for each in truth.purchases) if truth else 0
    return ceil(2 * (growth * (things + 1) + seconds / longest))


def too_many_sign_ins(history: History) -> Iterator[Violation]:
    """A process signs in when its token is about to expire, was refused or was not issued.

    A token that lives too briefly to be kept is fetched for each call. Tokens tell whole seconds.
    """
    for instance in history.instances:
        calls = [
            each
            for each in history.calls
            if each.process == instance.process
            and history.instance(each.process, each.left) is instance
        ]
        issued = [each for each in calls if each.service is Service.SIGN_IN and _is_issued(each)]
        for one, other in pairwise(issued):
            between = [each for each in calls if one.returned < each.left < other.left]
            if other.left_at - one.returned_at >= _lifetime(one) - _RENEWAL - 1:
                continue
            if not any(each.status == 401 for each in between):
                text = f"{other.left_at - one.returned_at:.0f} s after the last one"
                yield Violation.of("too_many_sign_ins", other, text)


def _is_issued(call: Call) -> bool:
    return call.method == "POST" and call.status == 200


def _lifetime(call: Call) -> float:
    body = body_of(call)
    return float(body.get("expires_in", 0)) if isinstance(body, dict) else 0.0


def busy_storage(history: History) -> Iterator[Violation]:
    """A step makes few calls to storage: some to begin and to end, and some for each write.

    Each that fails, or is so slow that a turn ends meanwhile, may be repeated three times. Calls to
    Partner Center that follow each other share a claim of the budget, which is a read and a write;
    near a low limit, each needs its own.
    """
    low = any(each.number(_LIMIT, _USUAL) < _USUAL for each in history.instances)
    for run, calls in history.runs.items():
        if function_of(run) not in STEPS:
            continue
        stored = [each for each in calls if each.service in {Service.QUEUE, Service.TABLE}]
        failed = sum(_is_repeated(each) for each in stored)
        writes = sum(
            each.service is Service.PARTNER_CENTER and each.method != "GET" for each in calls
        )
        most = 12 + 3 * writes + 3 * failed + 2 * _claims(calls, failed, shared=not low)
        if len(stored) > most:
            text = f"{len(stored)} calls to storage with {writes} writes, expected {most} at most"
            yield Violation.of("busy_storage", stored[-1], text)


def _is_repeated(call: Call) -> bool:
    return call.status is None or bool(call.fault) or call.status in _REPEATED


def _claims(calls: Sequence[Call], failed: int, *, shared: bool) -> int:
    """Return how often a step may claim: once for each call, or for each time that a claim lasts.

    One more is for the calls of others that its own claim was made for.
    """
    sent = [each for each in calls if each.service is Service.PARTNER_CENTER]
    turns = len(sent) + failed
    if not shared or not sent:
        return 1 + turns
    lasted = calls[-1].left_at - sent[0].left_at
    return 1 + min(turns, 1 + int(lasted / _CLAIM_SECONDS))


# A claim may be used for this long, at the latest.
_CLAIM_SECONDS: Final = 0.75
_USUAL: Final = 475
_REPEATED: Final = frozenset({409, 412, 500, 503})
