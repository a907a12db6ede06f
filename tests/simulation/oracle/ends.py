"""How deletions begin and end, and whether what their records say is true."""

from collections.abc import Iterator

from tests.simulation.log import Event
from tests.simulation.oracle.history import TERMINAL, History, stays_tripped, tenant_of
from tests.simulation.oracle.requests import wishes_of
from tests.simulation.oracle.violation import Violation


def live_without_request(history: History) -> Iterator[Violation]:
    """A record becomes live only by an accepted request that came after the last abort."""
    for tenant, states in history.records.items():
        begun = 0
        for state in states:
            if not state.live or (state.before and state.before not in TERMINAL):
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


def unended(history: History) -> Iterator[Violation]:
    """Each deletion ends, unless the switch stays tripped."""
    if stays_tripped(history):
        return
    for event in history.named("record"):
        if event.fact("state") not in {"deleted", "stuck", "refused", "aborted"}:
            text = f"{event.fact('tenant')} is still {event.fact('state')} at {event.at:.0f} s"
            yield Violation("unended", event.place, text)


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


def _begun(history: History, tenant: str) -> int:
    states = history.records[tenant]
    starts = [each.place for each in states if each.live and each.before in {"", *TERMINAL}]
    return starts[-1] if starts else 0


def _last_run(history: History, event: Event) -> str:
    states = history.records.get(event.fact("tenant"), [])
    return states[-1].run if states else ""


def hasty_stuck(history: History) -> Iterator[Violation]:
    """Trouble that passes before the deadline does not end a deletion as stuck."""
    if any(history.named("production")):
        return
    for tenant, states in history.records.items():
        begun = 0.0
        for state in states:
            if state.live and state.before in {"", *TERMINAL}:
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
