"""How deletions begin and end, and whether what their records say is true."""

import re
from collections.abc import Iterator
from typing import Final

from tests.simulation.log import Call
from tests.simulation.oracle.calls import code_of, is_write, tenant_of
from tests.simulation.oracle.history import (
    TERMINAL,
    Deletion,
    History,
    RecordState,
    Request,
    function_of,
)
from tests.simulation.oracle.requests import wishes_of
from tests.simulation.oracle.shown import Shown
from tests.simulation.oracle.trouble import Trouble, parked
from tests.simulation.oracle.truth import Standing, Truth
from tests.simulation.oracle.violation import Violation

_LATE: Final = "not cancelled before the deadline: "
_NEVER: Final = "never cancellable: "
_NAMED: Final = re.compile(r"(?:order|subscription) ([\w-]+) \(")
# Seconds that the slowest cancellation takes, those of its Azure subscriptions before it.
_SLOWEST: Final = 2100.0
# The looks that a customer needs at most: cancel, wait, cancel what was held up, DELETE.
_LOOKS: Final = 5


def live_without_request(history: History) -> Iterator[Violation]:
    """A record becomes live only by an accepted request that came after the last abort.

    A drop came in a later second than the abort was written. After another end, the request came
    after the last beginning, or as a drop in the very second of the end.
    """
    for tenant, states in history.records.items():
        begun = 0
        end: RecordState | None = None
        for state in states:
            if not state.live and (state.before not in TERMINAL or state.state == "aborted"):
                end = state
            if not state.live or (state.before and state.before not in TERMINAL):
                continue
            asked = any(
                r.tenant == tenant and r.effect <= state.place and _may_begin(r, begun, end)
                for r in history.requests
            )
            swept = state.before != "aborted" and history.may_sweep(tenant, state.place)
            if not asked and not swept:
                text = f"{tenant} went from {state.before or 'nothing'} to {state.state}"
                yield Violation("live_without_request", state.place, text, state.run)
            begun = state.place


def _may_begin(request: Request, begun: int, end: RecordState | None) -> bool:
    """Return whether a request may begin a deletion after another had begun and ended."""
    if end is None or end.state != "aborted":
        return begun < request.effect or request.may_follow(end)
    later = request.source != "drop" or int(request.at) > int(end.at)
    return later and end.place < request.effect


def unended(history: History) -> Iterator[Violation]:
    """Each deletion has ended when its time is over, not counting the time with trouble."""
    last = history.last
    trouble = Trouble(history)
    for deletion in history.deletions:
        if last and deletion.end is None and _overdue(history, trouble, deletion, history.end_at):
            state = deletion.states[-1]
            text = f"{state.tenant} is still {state.state} at {history.end_at:.0f} s"
            yield Violation("unended", last, text, state.run)


def ended_late(history: History) -> Iterator[Violation]:
    """Each request has ended within its deadline and the time with trouble.

    Two looks after the deadline end it: it may have been parked before the first of them.
    """
    trouble = Trouble(history)
    for deletion in history.deletions:
        end = deletion.end
        if end is not None and _overdue(history, trouble, deletion, end.at):
            seconds = end.at - _asked_at(history, deletion)
            text = f"{end.tenant} is {end.state} {seconds:.0f} s after it was requested"
            yield Violation("ended_late", end.place, text, end.run)


def _overdue(history: History, trouble: Trouble, deletion: Deletion, at: float) -> bool:
    _, times = parked(history, deletion, at)
    late = history.deadline + 3 * trouble.look + 2 * history.skew * (1 + times)
    return trouble.calm(_asked_at(history, deletion), at) > late


def _asked_at(history: History, deletion: Deletion) -> float:
    """Return when the request was made that began a deletion."""
    before = history.record_at(deletion.tenant, deletion.begun.place)
    since = before.place if before else 0
    times = [
        each.at
        for each in history.requests
        if each.tenant == deletion.tenant and since < each.place <= deletion.begun.place
    ]
    return min(times, default=deletion.begun.at)


def untrue_deleted(history: History) -> Iterator[Violation]:
    """A customer that is recorded as deleted is gone."""
    for state in _ends(history, {"deleted"}):
        truth = history.truth_at(state.tenant, state.place)
        if truth and not truth.deleted:
            text = f"{state.tenant} is recorded as deleted and still there"
            yield Violation("untrue_deleted", state.place, text, state.run)


def gone_but_not_deleted(history: History) -> Iterator[Violation]:
    """A customer that was deleted is not recorded as stuck, refused or aborted."""
    for deletion in history.deletions:
        end = deletion.end
        if end is None or end.state == "deleted":
            continue
        gone = any(
            call.method == "DELETE"
            and call.served_status in {200, 204}
            and tenant_of(call) == deletion.tenant
            and deletion.begun.place <= call.served < deletion.states[-1].until
            for call in history.writes
        )
        if gone:
            text = f"{deletion.tenant} was deleted, and is {end.state}: {end.reason}"
            yield Violation("gone_but_not_deleted", end.place, text, end.run)


def _ends(history: History, states: set[str]) -> Iterator[RecordState]:
    """Yield the ends of deletions in these states."""
    for deletion in history.deletions:
        if deletion.end is not None and deletion.end.state in states:
            yield deletion.end


def hasty_stuck(history: History) -> Iterator[Violation]:
    """A deletion ends as stuck because something can really never be cancelled, or too late.

    Before its deadline, moved by the time for which it was parked, a DELETE must have been rejected
    for something that no call cancels. After it, trouble that passed long before is no reason.
    """
    trouble = Trouble(history)
    for deletion in history.deletions:
        end = deletion.end
        if end is None or end.state != "stuck" or _is_production(history, end):
            continue
        truth = history.truth_at(end.tenant, end.place)
        if _is_late(history, deletion, end):
            why = _without_reason(history, trouble, truth, end)
        else:
            why = _too_early(history, truth, end)
        if why:
            seconds = end.at - deletion.begun.at
            text = f"{end.tenant} after {seconds:.0f} s, {why}: {end.reason[:300]}"
            yield Violation("hasty_stuck", end.place, text, end.run)


def _is_production(history: History, end: RecordState) -> bool:
    return any(event.place < end.place for event in history.named("production"))


def _is_late(history: History, deletion: Deletion, end: RecordState) -> bool:
    seconds, times = parked(history, deletion, end.at)
    tolerance = 2 * history.skew * times
    return history.is_late(end.at - deletion.begun.at - seconds + tolerance)


def _too_early(history: History, truth: Truth | None, end: RecordState) -> str:
    if not _rejected_delete(history, end):
        return "before its deadline and without a rejected DELETE"
    blocking = [each for each in truth.purchases if each.blocks] if truth else []
    if truth and not any(_never(history, end, each) for each in blocking):
        return "blocked by nothing that can never be cancelled"
    return ""


def _without_reason(
    history: History, trouble: Trouble, truth: Truth | None, end: RecordState
) -> str:
    enough = _LOOKS * trouble.look + _SLOWEST
    if truth is None or trouble.since(end.at) < enough:
        return ""
    blocking = [each for each in truth.purchases if each.blocks]
    if any(
        each.endless or _never(history, end, each) or _rejected_without_code(history, end, each)
        for each in blocking
    ):
        return ""
    return f"{trouble.since(end.at):.0f} s after the last trouble"


def _rejected_delete(history: History, end: RecordState) -> Call | None:
    """Return the DELETE that a run ended a deletion for, None if it was not rejected for good."""
    calls = [
        each
        for each in history.runs.get(end.run, ())
        if is_write(each) and each.left < end.place and tenant_of(each) == end.tenant
    ]
    last = calls[-1] if calls else None
    rejected = last is not None and last.method == "DELETE" and 400 <= (last.status or 0) < 500
    return last if rejected else None


def _never(history: History, end: RecordState, purchase: Standing) -> bool:
    """Return whether a purchase can never be cancelled, as far as the app can know."""
    return purchase.never(end.at + history.skew)


def _rejected_without_code(history: History, end: RecordState, purchase: Standing) -> bool:
    """Return whether the last response to a write for a purchase was nothing but a status."""
    calls = [
        call
        for call in history.writes
        if 0 < call.returned < end.place
        and any(f"/{identifier}" in call.path for identifier in purchase.ids)
    ]
    last = calls[-1] if calls else None
    return last is not None and 400 <= (last.status or 0) < 500 and not code_of(last).isdecimal()


def untrue_stuck(history: History) -> Iterator[Violation]:
    """What the reason of a stuck record names is what keeps the customer from being deleted.

    What it calls never cancellable is so. What it calls not cancelled in time is not cancelled. A
    rejected DELETE names what blocks it, unless its response says nothing.
    """
    for end in _ends(history, {"stuck"}):
        truth = history.truth_at(end.tenant, end.place)
        if truth is None or _is_production(history, end) or _given_up(end):
            continue
        for why in _untruths(history, truth, end):
            text = f"{end.tenant}: {why}: {end.reason[:400]}"
            yield Violation("untrue_stuck", end.place, text, end.run)


def _given_up(end: RecordState) -> bool:
    return function_of(end.run).startswith("record_poison")


def _untruths(history: History, truth: Truth, end: RecordState) -> Iterator[str]:
    by_id = {identifier: each for each in truth.purchases for identifier in each.ids}
    before, _, after = end.reason.partition(_NEVER)
    for identifier in _NAMED.findall(after):
        found = by_id.get(identifier)
        if found is None or not _never(history, end, found):
            yield f"{identifier} can be cancelled"
    if before.startswith(_LATE):
        for identifier in _NAMED.findall(before):
            found = by_id.get(identifier)
            unfinished = found is not None and (found.blocks or found.loose)
            if not unfinished and identifier not in _shown_unfinished(history, end):
                yield f"{identifier} is cancelled"
    delete = _rejected_delete(history, end)
    blocking = {identifier for each in truth.purchases if each.blocks for identifier in each.ids}
    if delete and delete.received and not any(each in end.reason for each in blocking):
        yield "it names nothing that blocks"


def _shown_unfinished(history: History, end: RecordState) -> set[str]:
    """Return what the run that ended a deletion was shown as not cancelled."""
    shown = Shown()
    for call in history.runs.get(end.run, ()):
        if 0 < call.returned < end.place and tenant_of(call) == end.tenant:
            shown.learn(call)
    items = (*shown.orders.values(), *shown.subscriptions.values())
    return {each["id"] for each in items if each["status"] not in {"cancelled", "deleted"}}


def untrue_refusal(history: History) -> Iterator[Violation]:
    """Nothing is refused without a valid reason."""
    ever = " ".join(each.settings.get("PROTECTED_TENANTS", "") for each in history.instances)
    junk = {
        tenant
        for event in history.named("dropped")
        for tenant in history.truths
        if not wishes_of(event.fact("text")) and tenant in event.fact("text")
    }
    for state in _ends(history, {"refused"}):
        truth = history.truth_at(state.tenant, state.place)
        if truth is None or truth.deleted or state.tenant in ever or state.tenant in junk:
            continue
        if not _is_production(history, state):
            text = f"{state.tenant}: {state.reason[:300]}"
            yield Violation("untrue_refusal", state.place, text, state.run)
