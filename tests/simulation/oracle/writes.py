"""What must never be written to Partner Center."""

from collections.abc import Iterator
from typing import Final

from tests.simulation.log import Call
from tests.simulation.oracle.calls import code_of, is_write, row_of, tenant_of
from tests.simulation.oracle.history import NEVER, History, RecordState, Stop
from tests.simulation.oracle.shown import open_purchases
from tests.simulation.oracle.violation import Violation

# In seconds: the most that a step takes, and how old the responses of the gate may be.
_STEP: Final = 100.0
_FRESH: Final = 2.0


def unasked_write(history: History) -> Iterator[Violation]:
    """No write for a customer without an accepted request that is not yet fulfilled.

    A request permits writes until its deletion has ended; a step that was about to write at that
    moment may still do so once.
    """
    for call in history.writes:
        tenant = tenant_of(call)
        ended = _last_end(history, call)
        if history.may_write(tenant, ended, call.left):
            continue
        if ended is None:
            yield Violation.of("unasked_write", call, "nobody requested it")
        elif not _was_about_to(history, ended, call):
            yield Violation.of("unasked_write", call, f"its deletion had ended as {ended.state}")


def _last_end(history: History, call: Call) -> RecordState | None:
    """Return the last terminal state of a customer's record before a write left.

    A record that was inserted as ended only says that a message could not be handled: it ends no
    other request.
    """
    states = history.records.get(tenant_of(call), ())
    ends = [each for each in states if not each.live and each.before and each.place < call.left]
    return ends[-1] if ends else None


def _was_about_to(history: History, ended: RecordState, call: Call) -> bool:
    """Return whether the run of a write could not have known that the deletion had ended."""
    if call.run == ended.run:
        return False
    stop = Stop("end", ended.tenant, ended.place, ended.at, NEVER)
    return _ignores(history, stop, call) is None


def protected_write(history: History) -> Iterator[Violation]:
    """No write for a customer that the settings of the process protect."""
    for call in history.writes:
        instance = history.instance(call.process, call.left)
        if instance and tenant_of(call) in instance.settings.get("PROTECTED_TENANTS", ""):
            yield Violation.of("protected_write", call, "it is protected")


def foreign_write(history: History) -> Iterator[Violation]:
    """No write for a customer that is not this partner's."""
    for call in history.writes:
        if tenant_of(call) not in history.truths:
            yield Violation.of("foreign_write", call, "it is not this partner's")


def stopped_but_wrote(history: History) -> Iterator[Violation]:
    """No write after a stored trip or an acknowledged abort, except one in flight in each run."""
    for stop, call in _writes_after_stops(history):
        if (why := _ignores(history, stop, call)) is not None:
            yield Violation.of(
                "stopped_but_wrote", call, f"{why} after the {stop.kind} at {stop.at:.3f} s"
            )


def asked_before_a_wait(history: History) -> Iterator[Violation]:
    """A write that a trip or an abort overtook asked for it directly before it left.

    The switch is asked last, the record just before it, and neither response is old.
    """
    for stop, call in _writes_after_stops(history):
        if _ignores(history, stop, call) is None and (why := _waited(history, stop, call)):
            text = f"{why}; the {stop.kind} of {stop.at:.3f} s came in between"
            yield Violation.of("asked_before_a_wait", call, text)


def _writes_after_stops(history: History) -> Iterator[tuple[Stop, Call]]:
    for stop in (*history.trips, *history.aborts):
        for call in history.writes:
            if stop.place < call.left < stop.until and stop.tenant in {"", tenant_of(call)}:
                yield stop, call


def _ignores(history: History, stop: Stop, call: Call) -> str | None:
    """Return how the run of a write could have known of the stop; None if it could not."""
    run = [each for each in history.runs[call.run] if each.left < call.left]
    since = [each for each in run if each.left > stop.place]
    if not run or run[0].left > stop.place:
        return "written by a run that began"
    if any(is_write(each) for each in since):
        return "written a second time"
    if any(_asks(each, stop) and each.served > stop.place and each.status for each in since):
        return "written although asked"
    return None


def _waited(history: History, stop: Stop, call: Call) -> str:
    """Return what came between the last check and the write, empty if nothing did."""
    run = [each for each in history.runs[call.run] if each.left < call.left]
    questions = [
        index for index, each in enumerate(run) if _asks(each, stop) and (each.status or 500) < 500
    ]
    if not questions:
        return "it did not ask"
    between = run[questions[-1] + 1 :]
    others = [each for each in between if not stop.tenant or not _asks_switch(each)]
    if others:
        return f"after its question came {others[0].method} {others[0].path}"
    if (age := call.left_at - run[questions[-1]].left_at) > _FRESH + 0.001:
        return f"it had asked {age:.3f} s before"
    waited = call.left_at - run[-1].returned_at
    return f"it waited {waited:.3f} s" if waited > 0.001 else ""


def _asks(call: Call, stop: Stop) -> bool:
    return row_of(call) == ("deletions", stop.tenant) if stop.tenant else _asks_switch(call)


def _asks_switch(call: Call) -> bool:
    return row_of(call) == ("sandbox", "switch") and call.method == "GET"


def wrote_after_refusal(history: History) -> Iterator[Violation]:
    """No write by a process that was told that its account is not a sandbox.

    Each of its other runs may send the write that had passed its gate by then. Only a code tells:
    a refusal without one may mean anything, so the app cannot know.
    """
    for refusal in history.refusals:
        instance = history.instance(refusal.process, refusal.left)
        for call in _later_writes(history, refusal):
            if history.instance(call.process, call.left) is instance and (
                call.run == refusal.run or not _had_passed(history, refusal, call)
            ):
                text = f"after {refusal.status}/{code_of(refusal)} in {refusal.run}"
                yield Violation.of("wrote_after_refusal", call, text)


def trip_lost(history: History) -> Iterator[Violation]:
    """After the first response that the account is not a sandbox, no process writes any more.

    The process stores the trip at once. Until then each run of another process may send one write,
    and afterwards no more than after any other trip. If storage fails or the process ends first,
    each process has to be told itself.
    """
    refusal = next(iter(history.refusals), None)
    if refusal is None:
        return
    stored = min(
        (trip.place for trip in history.trips if trip.until > refusal.left and trip.stored),
        default=NEVER,
    )
    if stored > refusal.returned and _could_not_store(history, refusal):
        return
    for call in _later_writes(history, refusal):
        if call.process == refusal.process or call.left > stored:
            continue
        if not _had_passed(history, refusal, call):
            text = f"{call.left_at - refusal.returned_at:.3f} s after {refusal.run} was refused"
            yield Violation.of("trip_lost", call, text)
    if stored == NEVER and refusal.returned_at < history.end_at - 1:
        yield Violation.of("trip_lost", refusal, "tripped no switch")


def _later_writes(history: History, refusal: Call) -> Iterator[Call]:
    """Yield the writes after a refusal, until somebody resets the switch."""
    until = min((each for each in history.resets if each > refusal.returned), default=NEVER)
    return (call for call in history.writes if refusal.returned < call.left < until)


def _had_passed(history: History, refusal: Call, call: Call) -> bool:
    """Return whether this is the first write of a run since a refusal, asked about before it."""
    run = [each for each in history.runs[call.run] if each.left < call.left]
    asked = [each for each in run if row_of(each) == ("sandbox", "switch")]
    again = any(is_write(each) and each.left > refusal.returned for each in run)
    return bool(asked) and asked[-1].left < refusal.returned and not again


def _could_not_store(history: History, refusal: Call) -> bool:
    """Return whether storage failed, or the process ended, before a trip was stored."""
    ends = (event for name in ("died", "stopped", "replaced") for event in history.named(name))
    soon = refusal.returned_at + _STEP
    if any(
        each.process == refusal.process and refusal.left < each.place and each.at < soon
        for each in ends
    ):
        return True
    tries = [each for each in history.runs[refusal.run] if each.left > refusal.returned]
    return any(
        row_of(each) == ("sandbox", "switch") and not 200 <= (each.status or 0) < 300
        for each in tries
    )


def delete_while_open(history: History) -> Iterator[Violation]:
    """No DELETE while the last state that the app has read had something open to cancel."""
    for call in history.writes:
        if call.method == "DELETE" and (left := open_purchases(history, call)):
            yield Violation.of("delete_while_open", call, f"the app was shown {', '.join(left)}")


def deleted_twice(history: History) -> Iterator[Violation]:
    """At most one DELETE succeeds, and none follows the record of it until the next request."""
    yield from _second_deletes(history)
    for call in history.writes:
        tenant = tenant_of(call)
        state = history.record_at(tenant, call.left)
        if call.method != "DELETE" or state is None or state.state != "deleted":
            continue
        if not any(r.tenant == tenant and r.effect > state.place for r in history.requests):
            yield Violation.of("deleted_twice", call, "it had been deleted")


def _second_deletes(history: History) -> Iterator[Violation]:
    """Yield each DELETE that succeeded after one of which the app knew, or could have known."""
    done: dict[str, Call] = {}
    for call in history.writes:
        if call.method != "DELETE" or call.served_status // 100 != 2:
            continue
        first = done.get(tenant_of(call))
        if first and not _may_repeat(history, first, call):
            yield Violation.of("deleted_twice", call, f"the DELETE of {first.run} had succeeded")
        done[tenant_of(call)] = call


def _may_repeat(history: History, first: Call, second: Call) -> bool:
    """Return whether nobody could know at the second DELETE that the first had succeeded.

    A lost response, a death or a failed save leaves the app without knowledge, and Partner Center
    may respond 204 once more for a customer that is gone.
    """
    life = history.instance(first.process, first.left)
    if history.instance(first.process, second.left) is not life:
        return True
    if first.status is None or first.status >= 500:
        # A request that arrived late has an entry of its own, beside that of its sender.
        same = [each for each in history.runs[first.run] if each.left == first.left]
        return any(0 < each.returned < second.left for each in same)
    since = [
        each
        for each in history.runs[first.run]
        if first.left < each.left < second.left and row_of(each)[0] == "deletions"
    ]
    return any(each.method != "GET" and (each.status or 500) >= 400 for each in since)
