"""What must not become of messages, and of requests while they are messages."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.simulation.log import Service
from tests.simulation.oracle.history import (
    POISON,
    History,
    Rejected,
    Request,
    Sent,
    function_of,
    stays_tripped,
)
from tests.simulation.oracle.requests import (
    deletions_of,
    step_tenant,
    subjects_of,
    unsealed,
    wishes_of,
)
from tests.simulation.oracle.violation import Violation

LEASE: Final = 600.0

# In seconds; more than a lease and the delay of a message that is put back, twice over.
_LONG_AFTER: Final = 3600.0

_RECORD_FIRST: Final = frozenset({"request_deletion", "start_sweep", "sweep_sandbox"})


def request_ignored(history: History) -> Iterator[Violation]:
    """Each accepted request leads to a deletion, joins one in progress, or is told to be nothing.

    A drop from the second of an abort, or before it, leaves the line that says so. One from a
    poison queue whose customer already has a record is listed as rejected, with its line: nobody
    can say whether it came before that record ended.
    """
    last = history.last
    if not last:
        return
    left = history.named("left on a queue")
    waiting = {tenant for event in left for tenant in subjects_of(event.fact("text"))}
    for request in history.requests:
        if not request.certain or request.tenant in waiting or _came_to_something(history, request):
            continue
        text = f"the {request.source} for {request.tenant} at {request.at:.3f} s came to nothing"
        yield Violation("request_ignored", last, text)


def _came_to_something(history: History, request: Request) -> bool:
    states = history.records.get(request.tenant, [])
    if any(each.live and each.until > request.place for each in states):
        return True
    if any(a.tenant == request.tenant and a.place > request.place for a in history.aborts):
        return True
    return request.source == "drop" and (
        _told_as_aborted(history, request) or _told_as_rejected(history, request)
    )


def _told_as_aborted(history: History, request: Request) -> bool:
    state = history.record_at(request.tenant, request.place)
    if state is None or state.state != "aborted" or int(state.at) < int(request.at):
        return False
    return _told(history, request.place, "deletion_duplicate ", request.tenant)


def _told_as_rejected(history: History, request: Request) -> bool:
    listed = any(
        each.place > request.place and request.tenant in deletions_of(each.text)
        for each in history.rejected
    )
    return listed and _told(history, request.place, "message_poisoned ", request.tenant)


def _told(history: History, place: int, line: str, tenant: str) -> bool:
    return any(
        event.place > place and event.fact("line").startswith(line) and tenant in event.fact("line")
        for event in history.named("log")
    )


def request_vanished(history: History) -> Iterator[Violation]:
    """The message and the record of a customer are never both missing.

    While the request is a message, it is on one of the queues, poison queues included.
    """
    for message in history.messages:
        if message.how != "done" or history.record_at(message.tenant, message.gone):
            continue
        others = (each for each in history.messages if each.tenant == message.tenant)
        if not any(each.place < message.gone < each.gone for each in others):
            text = f"{message.tenant} has no record, and no message after {message.id}"
            yield Violation("request_vanished", message.gone, text)


def left_over(history: History) -> Iterator[Violation]:
    """No good message is left on a poison queue, and no request on any queue, after all trouble.

    While the switch stays tripped, deletions are parked, and their messages wait.
    """
    if stays_tripped(history):
        return
    calm = max((event.at for event in history.named("calm")), default=None)
    for event in history.named("left on a queue"):
        if calm is not None and event.at - calm < _LONG_AFTER:
            continue
        text = event.fact("text")
        poisoned = event.fact("queue").endswith(POISON)
        if wishes_of(unsealed(text)) or (poisoned and subjects_of(text)):
            yield Violation("left_over", event.place, f"{event.fact('queue')}: {text[:200]}")


def message_lost(history: History) -> Iterator[Violation]:
    """A live deletion always has a message, so that it need not wait for redrive.

    One on a poison queue counts: its function puts it back, or ends the deletion. Where the record
    comes first, as in a request over HTTP, a crash may leave it without one.
    """
    for message in history.messages:
        if message.how != "done":
            continue
        state = history.record_at(message.tenant, message.gone)
        if state is None or not state.live or function_of(state.run) in _RECORD_FIRST:
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
    messages = [each for each in history.messages if not each.poisoned]
    for message in messages:
        if function_of(message.run) != "redrive":
            continue
        listed = history.runs[message.run][0]
        state = history.record_at(message.tenant, listed.left)
        age = listed.left_at - state.at if state else LEASE
        others = any(
            each.tenant == message.tenant and each.place < message.place < each.gone
            for each in messages
        )
        if state and others and age < LEASE - 2 * history.skew:
            text = f"{message.tenant}, whose record was written {age:.1f} s before"
            yield Violation("redriven_early", message.place, text, message.run)


def poisoned_good_message(history: History) -> Iterator[Violation]:
    """No good message is given up before its deadline.

    The app may put it back from a poison queue. A drop whose customer has a record by then is
    listed as rejected: nobody can say whether it came before that record ended.
    """
    for listed in history.rejected:
        tenants = deletions_of(listed.text)
        given_up = [each for each in tenants if _too_early(history, listed, each)]
        if tenants and len(given_up) == len(tenants):
            text = f"{listed.queue}: {listed.text[:200]}"
            yield Violation("poisoned_good_message", listed.place, text, _raised(history, listed))


def _too_early(history: History, listed: Rejected, tenant: str) -> bool:
    """Return whether a message was given up although its deletion had time left."""
    if step_tenant(unsealed(listed.text)) is None:
        record = history.record_at(tenant, listed.place)
        if record is not None and not record.live:
            return False
        begins = [each.at for each in history.requests if each.tenant == tenant]
    else:
        begins = [each.begun.at for each in history.deletions if each.tenant == tenant]
    asked = [each for each in begins if each <= listed.at]
    return not history.is_late(listed.at - min(asked, default=listed.at))


def _raised(history: History, listed: Rejected) -> str:
    """Return the last run that failed on a message before it was poisoned."""
    origin = {event.fact("copy"): event.fact("id") for event in history.named("poisoned")}
    wanted = origin.get(listed.id)
    failed = [each.run for each in history.named("raised") if each.fact("id") == wanted]
    return failed[-1] if failed else ""


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
