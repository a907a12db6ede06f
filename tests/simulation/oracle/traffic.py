"""How many calls may leave, and when."""

from collections.abc import Iterator
from typing import Final

from tests.simulation.log import Call, Service
from tests.simulation.oracle.history import History, tenant_of
from tests.simulation.oracle.violation import Violation

_ON_ITS_WAY: Final = 3.0


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
                yield Violation.of("retry_after_ignored", call, text)
                break


def _repeats(history: History, call: Call) -> bool:
    """Return whether a call is the library's own repeat of the one before."""
    before = [each for each in history.runs[call.run] if each.left < call.left]
    return bool(before) and (before[-1].method, before[-1].path) == (call.method, call.path)


def _signed_in_just_before(history: History, call: Call) -> bool:
    before = [each for each in history.runs[call.run] if each.left < call.left]
    return bool(before) and before[-1].service is Service.SIGN_IN


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
                yield Violation.of("over_limit", call, f"call {limit + 1} within 60 s of {process}")
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
