"""What must not become of messages, and of requests while they are messages."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.simulation.log import Event, Service
from tests.simulation.oracle.history import History, Sent, function_of, stays_tripped
from tests.simulation.oracle.requests import subjects_of, unsealed, wishes_of
from tests.simulation.oracle.violation import Violation

POISON: Final = "-poison"

LEASE: Final = 600.0

# In seconds; more than a lease and the delay of a message that is put back, twice over.
_LONG_AFTER: Final = 3600.0

_RECORD_FIRST: Final = frozenset({"request_deletion", "start_sweep", "sweep_sandbox"})


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

    Where the record comes first, as in a request over HTTP, a crash may leave it without one.
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
    for message in history.messages:
        if function_of(message.run) != "redrive":
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


def _raised(history: History, event: Event) -> str:
    """Return the last run that failed on a message."""
    failed = [each.run for each in history.named("raised") if each.fact("id") == event.fact("id")]
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
