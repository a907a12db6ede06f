"""What must come of a dry run, and what it must leave alone."""

from collections.abc import Iterator

from tests.simulation.log import Event
from tests.simulation.oracle.calls import is_write, row_of, writes_record, writes_row
from tests.simulation.oracle.history import History
from tests.simulation.oracle.requests import dry_runs_of
from tests.simulation.oracle.violation import Violation

_PLAN = "plan-"


def dry_run_wrote(history: History) -> Iterator[Violation]:
    """A dry run writes nothing to Partner Center, and no deletion record."""
    for run in sorted(history.dry_runs):
        for call in history.runs.get(run, ()):
            if is_write(call) or writes_record(call):
                yield Violation.of("dry_run_wrote", call, "was sent by a dry run")


def dry_run_lost(history: History) -> Iterator[Violation]:
    """After all trouble, each dry run has its result at the plan, or is listed as rejected.

    One over HTTP has its response, unless its process has ended.
    """
    last = history.last
    for event in history.named("dropped"):
        for tenant in dry_runs_of(event.fact("text")):
            if last and not _has_result(history, tenant, event.place):
                text = f"the one for {tenant}, dropped at {event.at:.3f} s, has no result"
                yield Violation("dry_run_lost", event.place, text)
    responded = {event.run for event in history.named("responded")}
    raised = {event.run for event in history.named("raised")}
    for event in history.asked_dry:
        born = history.instance(event.process, event.place)
        lived = history.instance(event.process, last) is born and not _ended(history, event)
        if last and lived and event.run not in responded | raised:
            yield Violation("dry_run_lost", event.place, "a call got no response", event.run)


def _ended(history: History, asked: Event) -> bool:
    """Return whether the process ended after a call came in."""
    return any(
        event.process == asked.process and event.place > asked.place
        for name in ("died", "stopped", "replaced")
        for event in history.named(name)
    )


def _has_result(history: History, tenant: str, place: int) -> bool:
    if any(tenant in dry_runs_of(each.fact("text")) for each in history.named("left on a queue")):
        return True
    plans = (call for call in history.calls if row_of(call) == ("sandbox", _PLAN + tenant))
    if any(writes_row(call) and call.served > place for call in plans):
        return True
    return any(each.place > place and tenant in dry_runs_of(each.text) for each in history.rejected)
