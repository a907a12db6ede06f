"""The rules; each is a function that yields its violations."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from tests.simulation.log import Call, Event, Service
from tests.simulation.oracle.history import (
    NEVER,
    History,
    RecordState,
    Sent,
    Stop,
    code_of,
    row_of,
    tenant_of,
)
from tests.simulation.oracle.requests import subjects_of, unsealed, wishes_of
from tests.simulation.oracle.shown import open_purchases
from tests.simulation.oracle.violation import Violation

Rule = Callable[[History], Iterator[Violation]]

POISON: Final = "-poison"
# In seconds, as in host.json.
_FUNCTION_TIMEOUT: Final = 300.0
_BUGS: Final = frozenset(
    {"AssertionError", "AttributeError", "IndexError", "KeyError", "NameError", "RecursionError",
     "TypeError", "UnboundLocalError", "ValueError", "RuntimeError"}
)  # fmt: skip


def unasked_write(history: History) -> Iterator[Violation]:
    """No write for a customer without an accepted request that is not yet fulfilled.

    A request permits writes until its deletion has ended; a step that was about to write at that
    moment may still do so once.
    """
    for call in history.writes:
        tenant = tenant_of(call)
        ended = _last_end(history, call)
        since = ended.place if ended else 0
        if history.may_write(tenant, since, call.left):
            continue
        if ended is None:
            yield _of("unasked_write", call, "nobody requested it")
        elif not _was_about_to(history, ended, call):
            yield _of("unasked_write", call, f"its deletion had ended as {ended.state}")


def _last_end(history: History, call: Call) -> RecordState | None:
    """Return the last terminal state of a customer's record before a write left."""
    states = history.records.get(tenant_of(call), ())
    ends = [each for each in states if not each.live and each.place < call.left]
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
            yield _of("protected_write", call, "it is protected")


def foreign_write(history: History) -> Iterator[Violation]:
    """No write for a customer that is not this partner's."""
    for call in history.writes:
        if tenant_of(call) not in history.customers:
            yield _of("foreign_write", call, "it is not this partner's")


def stopped_but_wrote(history: History) -> Iterator[Violation]:
    """No write after a stored trip or an acknowledged abort, except one in flight in each run."""
    for stop, call in _writes_after_stops(history):
        if (why := _ignores(history, stop, call)) is not None:
            yield _of("stopped_but_wrote", call, f"{why} after the {stop.kind} at {stop.at:.3f} s")


def asked_before_a_wait(history: History) -> Iterator[Violation]:
    """A write that a trip or an abort overtook asked the gate directly before it left."""
    for stop, call in _writes_after_stops(history):
        if _ignores(history, stop, call) is None and (why := _waited(history, stop, call)):
            text = f"{why}; the {stop.kind} of {stop.at:.3f} s came in between"
            yield _of("asked_before_a_wait", call, text)


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
    if any(_is_write(each) for each in since):
        return "written a second time"
    if any(_asks(each, stop) and each.served > stop.place and each.status for each in since):
        return "written although asked"
    return None


def _waited(history: History, stop: Stop, call: Call) -> str:
    """Return what came between the last check and the write, empty if nothing did."""
    run = [each for each in history.runs[call.run] if each.left < call.left]
    questions = [index for index, each in enumerate(run) if _asks(each, stop)]
    between = run[questions[-1] + 1 :] if questions else run
    others = [each for each in between if row_of(each)[0] not in {"sandbox", "deletions"}]
    if others:
        return f"after its question came {others[0].method} {others[0].service}"
    latest = run[-1].returned_at if run else call.left_at
    return f"it waited {call.left_at - latest:.3f} s" if call.left_at - latest > 0.001 else ""


def _asks(call: Call, stop: Stop) -> bool:
    if not stop.tenant:
        return row_of(call) == ("sandbox", "switch") and call.method == "GET"
    return row_of(call) == ("deletions", stop.tenant)


def _is_write(call: Call) -> bool:
    return call.service is Service.PARTNER_CENTER and call.method in {"PATCH", "POST", "DELETE"}


def wrote_after_refusal(history: History) -> Iterator[Violation]:
    """No write by a run after a response said that the account is not a sandbox."""
    refusal = history.first_refusal
    if refusal is None:
        return
    for call in history.writes:
        if call.run == refusal.run and call.left > refusal.returned:
            yield _of("wrote_after_refusal", call, f"after {refusal.status}/{code_of(refusal)}")


def trip_lost(history: History) -> Iterator[Violation]:
    """Once a response has said that the account is not a sandbox, other runs soon stop writing."""
    refusal = history.first_refusal
    if refusal is None:
        return
    since = refusal.returned_at + 60
    for call in history.writes:
        if call.run != refusal.run and call.left_at > since:
            yield _of("trip_lost", call, f"{call.left_at - refusal.returned_at:.0f} s after it")
            return


def delete_while_open(history: History) -> Iterator[Violation]:
    """No DELETE while the last state that the app has read had something open to cancel."""
    for call in history.writes:
        if call.method == "DELETE" and (left := open_purchases(history, call)):
            yield _of("delete_while_open", call, f"the app was shown {', '.join(left)}")


def deleted_twice(history: History) -> Iterator[Violation]:
    """At most one DELETE succeeds, and none follows the record of it until the next request."""
    yield from _second_deletes(history)
    for call in history.writes:
        tenant = tenant_of(call)
        state = history.record_at(tenant, call.left)
        if call.method != "DELETE" or state is None or state.state != "deleted":
            continue
        if not any(r.tenant == tenant and r.effect > state.place for r in history.requests):
            yield _of("deleted_twice", call, "it had been deleted")


def _second_deletes(history: History) -> Iterator[Violation]:
    """Yield each DELETE that succeeded after one of which the app knew, or could have known."""
    done: dict[str, Call] = {}
    for call in history.writes:
        if call.method != "DELETE" or call.served_status // 100 != 2:
            continue
        first = done.get(tenant_of(call))
        if first and not _may_repeat(history, first, call):
            yield _of("deleted_twice", call, f"the DELETE of {first.run} had succeeded")
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


def unended(history: History) -> Iterator[Violation]:
    """Each deletion ends, unless the switch stays tripped."""
    if _stays_tripped(history):
        return
    for event in history.named("record"):
        if event.fact("state") not in {"deleted", "stuck", "refused", "aborted"}:
            text = f"{event.fact('tenant')} is still {event.fact('state')} at {event.at:.0f} s"
            yield Violation("unended", event.place, text)


def request_ignored(history: History) -> Iterator[Violation]:
    """Each accepted request leads to a deletion, or joins the one in progress."""
    last = max((event.place for event in history.named("end")), default=0)
    left = history.named("left on a queue")
    waiting = {tenant for event in left for tenant in subjects_of(event.fact("text"))}
    for request in history.requests:
        if not request.certain or request.tenant in waiting:
            continue
        states = history.records.get(request.tenant, [])
        if any(each.live and each.until > request.place for each in states):
            continue
        if any(a.tenant == request.tenant and a.place > request.place for a in history.aborts):
            continue
        text = f"the {request.source} for {request.tenant} at {request.at:.3f} s came to nothing"
        yield Violation("request_ignored", last, text)


def left_over(history: History) -> Iterator[Violation]:
    """No good message is left on a poison queue, and no request on any queue, after all trouble.

    While the switch stays tripped, deletions are parked, and their messages wait.
    """
    if _stays_tripped(history):
        return
    calm = max((event.at for event in history.named("calm")), default=None)
    for event in history.named("left on a queue"):
        if calm is not None and event.at - calm < _LONG_AFTER:
            continue
        text = event.fact("text")
        poisoned = event.fact("queue").endswith(POISON)
        if wishes_of(unsealed(text)) or (poisoned and subjects_of(text)):
            yield Violation("left_over", event.place, f"{event.fact('queue')}: {text[:200]}")


# In seconds; more than a lease and the delay of a message that is put back, twice over.
_LONG_AFTER: Final = 3600.0


def _stays_tripped(history: History) -> bool:
    return any(stop.until == NEVER for stop in history.trips) or any(history.named("production"))


def live_without_request(history: History) -> Iterator[Violation]:
    """A record becomes live only by an accepted request that came after the last abort."""
    for tenant, states in history.records.items():
        begun = 0
        for state in states:
            if not state.live or (state.before and state.before not in _TERMINAL):
                continue
            abort = max(
                (a.place for a in history.aborts if a.tenant == tenant and a.place < state.place),
                default=0,
            )
            since = max(begun, abort if state.before == "aborted" else 0)
            asked = any(
                r.tenant == tenant and since < r.effect <= state.place for r in history.requests
            )
            swept = state.before != "aborted" and history.may_sweep(tenant, state.place)
            if not asked and not swept:
                text = f"{tenant} went from {state.before or 'nothing'} to {state.state}"
                yield Violation("live_without_request", state.place, text, state.run)
            begun = state.place


_TERMINAL: Final = frozenset({"deleted", "stuck", "refused", "aborted"})


def message_lost(history: History) -> Iterator[Violation]:
    """A live deletion always has a message, so that it need not wait for redrive.

    Where the record comes first, as in a request over HTTP, a crash may leave it without one.
    """
    for message in history.messages:
        if message.how != "done":
            continue
        state = history.record_at(message.tenant, message.gone)
        if state is None or not state.live or _function(state.run) in _RECORD_FIRST:
            continue
        others = (
            each.tenant == message.tenant and each.place < message.gone < each.gone
            for each in history.messages
        )
        if not any(others) and not _still_at_work(history, message):
            text = f"{message.tenant} is {state.state} and has no message after {message.id}"
            yield Violation("message_lost", message.gone, text, state.run)


def _still_at_work(history: History, message: Sent) -> bool:
    """Return whether another delivery of the message is still running and sends the next one."""
    runs = [each.run for each in history.named("began") if each.fact("id") == message.id]
    return any(call.left > message.gone for run in runs for call in history.runs[run])


_RECORD_FIRST: Final = frozenset({"request_deletion", "start_sweep", "sweep_sandbox"})


def claimed_twice(history: History) -> Iterator[Violation]:
    """Only one message works on each generation of a deletion."""
    for tenant, states in history.records.items():
        for one, other in pairwise(states):
            same = (one.correlation, one.generation) == (other.correlation, other.generation)
            if same and one.live and "" != one.claimed_by != other.claimed_by:
                text = f"{tenant}, generation {one.generation}: {one.claimed_by} had claimed it"
                yield Violation("claimed_twice", other.place, text, other.run)


def generation_fell(history: History) -> Iterator[Violation]:
    """The generation of a deletion only grows, so that late messages can be recognized."""
    for tenant, states in history.records.items():
        for one, other in pairwise(states):
            if one.correlation == other.correlation and other.generation < one.generation:
                text = f"{tenant} went from {one.generation} to {other.generation}"
                yield Violation("generation_fell", other.place, text, other.run)


def redriven_early(history: History) -> Iterator[Violation]:
    """Redrive leaves a deletion alone while its message may still be leased."""
    for message in history.messages:
        if _function(message.run) != "redrive":
            continue
        listed = history.runs[message.run][0]
        state = history.record_at(message.tenant, listed.left)
        age = listed.left_at - state.at if state else LEASE
        others = any(
            each.tenant == message.tenant and each.place < message.place < each.gone
            for each in history.messages
        )
        if state and others and age < LEASE - 2 * history.skew:
            text = f"{message.tenant}, whose record was written {age:.1f} s before"
            yield Violation("redriven_early", message.place, text, message.run)


LEASE: Final = 600.0


def retry_after_ignored(history: History) -> Iterator[Violation]:
    """After a Retry-After, the process sends no call until the time has passed."""
    limits = [call for call in history.partner_center if call.status == 429 and call.retry_after]
    for limit in limits:
        instance = history.instance(limit.process, limit.left)
        until = limit.returned_at + min(limit.retry_after, 600)
        for call in history.partner_center:
            early = limit.returned_at + _ON_ITS_WAY < call.left_at < until - 1
            if call.process != limit.process or not early:
                continue
            if history.instance(call.process, call.left) is not instance:
                continue
            if not _signed_in_just_before(history, call):
                kind = "a repeat, " if _repeats(history, call) else ""
                text = f"{kind}{until - call.left_at:.0f} s too early"
                yield _of("retry_after_ignored", call, text)
                break


_ON_ITS_WAY: Final = 3.0


def _repeats(history: History, call: Call) -> bool:
    """Return whether a call is the library's own repeat of the one before."""
    before = [each for each in history.runs[call.run] if each.left < call.left]
    return bool(before) and (before[-1].method, before[-1].path) == (call.method, call.path)


def _signed_in_just_before(history: History, call: Call) -> bool:
    before = [each for each in history.runs[call.run] if each.left < call.left]
    return bool(before) and before[-1].service is Service.SIGN_IN


def untrue_deleted(history: History) -> Iterator[Violation]:
    """A customer that is recorded as deleted is gone."""
    for event in history.named("record"):
        customer = history.customers.get(event.fact("tenant"))
        if event.fact("state") == "deleted" and customer and customer.fact("deleted") != "True":
            text = f"{event.fact('tenant')} is recorded as deleted and still there"
            yield Violation("untrue_deleted", event.place, text, _last_run(history, event))


def gone_but_not_deleted(history: History) -> Iterator[Violation]:
    """A customer that was deleted is not recorded as stuck, refused or aborted."""
    done = {
        tenant_of(call): call
        for call in history.writes
        if call.method == "DELETE" and call.served_status in {200, 204}
    }
    for event in history.named("record"):
        call = done.get(event.fact("tenant"))
        if call and event.fact("state") in {"stuck", "refused", "aborted"}:
            last = history.records[event.fact("tenant")][-1]
            begun = _begun(history, event.fact("tenant"))
            if call.served < begun:
                continue
            text = f"{event.fact('tenant')} was deleted, and is {last.state}: {last.reason}"
            yield Violation("gone_but_not_deleted", event.place, text, last.run)


def hasty_stuck(history: History) -> Iterator[Violation]:
    """Trouble that passes before the deadline does not end a deletion as stuck."""
    if any(history.named("production")):
        return
    for tenant, states in history.records.items():
        begun = 0.0
        for state in states:
            if state.live and state.before in {"", *_TERMINAL}:
                begun = state.at
            if state.state != "stuck" or state.before == "stuck":
                continue
            customer = history.customers.get(tenant)
            if _late(history, state.at - begun) or (
                customer and customer.fact("hopeless") == "True"
            ):
                continue
            text = f"{tenant} after {state.at - begun:.0f} s: {state.reason[:300]}"
            yield Violation("hasty_stuck", state.place, text, state.run)


def _late(history: History, seconds: float) -> bool:
    """Return whether this many seconds are past the deadline, whichever clock was used."""
    hours = min(
        (each.number("DELETION_DEADLINE_HOURS", 24) for each in history.instances), default=24
    )
    return seconds >= hours * 3600 - 2 * history.skew - 5


def untrue_refusal(history: History) -> Iterator[Violation]:
    """Nothing is refused without a valid reason."""
    ever = " ".join(each.settings.get("PROTECTED_TENANTS", "") for each in history.instances)
    if any(history.named("production")):
        return
    gone = {name for name, each in history.customers.items() if each.fact("deleted") == "True"}
    junk = {
        tenant
        for event in history.named("dropped")
        for tenant in history.customers
        if not wishes_of(event.fact("text")) and tenant in event.fact("text")
    }
    for tenant, states in history.records.items():
        for state in states:
            if state.state != "refused" or state.before == "refused":
                continue
            if tenant in ever or tenant not in history.customers or tenant in gone | junk:
                continue
            text = f"{tenant}: {state.reason[:300]}"
            yield Violation("untrue_refusal", state.place, text, state.run)


def poisoned_good_message(history: History) -> Iterator[Violation]:
    """No good message ends in a poison queue; the app may put it back from there."""
    given_up = [
        (event.place, event.fact("line"))
        for event in history.named("log")
        if event.fact("line").startswith("message_poisoned ")
    ]
    for event in history.named("poisoned"):
        tenants = subjects_of(event.fact("text"))
        queue = f"queue={event.fact('queue')} "
        # The line about a drop of several customers names none of them.
        named = next(iter(tenants)) if len(tenants) == 1 else f"message={event.fact('copy')} "
        if tenants and any(
            place > event.place and queue in line and named in line for place, line in given_up
        ):
            text = f"{event.fact('queue')}: {event.fact('text')[:200]}"
            yield Violation("poisoned_good_message", event.place, text, _raised(history, event))


def junk_vanished(history: History) -> Iterator[Violation]:
    """A message that cannot be read is kept in the poison queue."""
    kept = [
        call
        for call in history.calls
        if call.service is Service.QUEUE
        and call.method == "POST"
        and f"{POISON}/messages" in call.path
        and call.served_status == 201
    ]
    poisoned = {event.fact("id") for event in history.named("poisoned")}
    done = {event.fact("id"): event for event in history.named("done")}
    for event in history.named("dropped"):
        if wishes_of(event.fact("text")) or event.fact("id") in poisoned or kept:
            continue
        if event.fact("id") in done:
            yield Violation("junk_vanished", event.place, f"{event.fact('text')!r} left no trace")


def over_limit(history: History) -> Iterator[Violation]:
    """A process sends no more calls in any 60 seconds than its setting allows."""
    for process in {each.process for each in history.instances}:
        # A request that arrived after its sender gave up has an entry of its own.
        sent = [call for call in history.partner_center if call.process == process]
        calls = [call for call in sent if call.returned]
        for index, call in enumerate(calls):
            instance = history.instance(process, call.left)
            if instance is None:
                continue
            limit = int(instance.number("PARTNER_CENTER_RATE_LIMIT_PER_MINUTE", 475))
            first = calls[index - limit] if index >= limit else None
            if first and first.left > instance.place and call.left_at - first.left_at < 59.99:
                yield _of("over_limit", call, f"call {limit + 1} within 60 s of {process}")
                break


def storm(history: History) -> Iterator[Violation]:
    """The number of calls stays within what the plan can require."""
    for event in history.named("end"):
        if int(event.fact("calls")) >= int(event.fact("most")):
            yield Violation("storm", event.place, f"{event.fact('calls')} calls, and no end")
    looks = max(
        (3600 * each.number("DELETION_DEADLINE_HOURS", 24)
         / each.number("CHECK_MAX_DELAY_SECONDS", 300) for each in history.instances),
        default=0,
    )  # fmt: skip
    for tenant, customer in history.customers.items():
        count = sum(tenant_of(call) == tenant for call in history.writes)
        if count > (int(customer.fact("purchases")) + 1) * 4 * (looks + 10):
            yield Violation("storm", customer.place, f"{count} writes for {tenant}")


def crash(history: History) -> Iterator[Violation]:
    """No function raises an error that only a bug can cause."""
    for event in history.named("raised"):
        if event.fact("kind") in _BUGS:
            text = f"{event.fact('kind')}: {event.fact('text')}"
            yield Violation("crash", event.place, text, event.run)


def hung(history: History) -> Iterator[Violation]:
    """Every run ends."""
    began = {event.run: event.at for event in history.named("began")}
    for event in history.named("still running"):
        # A check repeats while the switch is tripped, so one may be running at the end.
        if event.at - began.get(event.run, 0.0) < _FUNCTION_TIMEOUT:
            continue
        yield Violation("hung", event.place, "it never ended", event.run)


RULES: Final[tuple[Rule, ...]] = (
    unasked_write,
    protected_write,
    foreign_write,
    stopped_but_wrote,
    asked_before_a_wait,
    wrote_after_refusal,
    trip_lost,
    delete_while_open,
    deleted_twice,
    unended,
    request_ignored,
    left_over,
    live_without_request,
    message_lost,
    claimed_twice,
    generation_fell,
    redriven_early,
    retry_after_ignored,
    untrue_deleted,
    gone_but_not_deleted,
    hasty_stuck,
    untrue_refusal,
    poisoned_good_message,
    junk_vanished,
    over_limit,
    storm,
    crash,
    hung,
)


def _function(run: str) -> str:
    return run.partition("#")[0]


def _of(rule: str, call: Call, why: str) -> Violation:
    return Violation(rule, call.left, f"{call.method} {call.path} {why}", call.run)


def _begun(history: History, tenant: str) -> int:
    states = history.records[tenant]
    starts = [each.place for each in states if each.live and each.before in {"", *_TERMINAL}]
    return starts[-1] if starts else 0


def _last_run(history: History, event: Event) -> str:
    states = history.records.get(event.fact("tenant"), [])
    return states[-1].run if states else ""


def _raised(history: History, event: Event) -> str:
    """Return the last run that failed on a message."""
    failed = [each.run for each in history.named("raised") if each.fact("id") == event.fact("id")]
    return failed[-1] if failed else ""
