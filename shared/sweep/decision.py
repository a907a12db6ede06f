"""What a sweep does with each customer of the sandbox, and why. Pure, without I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domains import comparable, matches
from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.resources import Customer
from shared.safety.rules import Refused, require_deletable
from shared.settings import Settings, SweepSettings
from shared.storage.records import DeletionRecord, State, UnreadableRow
from shared.storage.sightings import Age
from shared.tenants import TenantId

REQUESTED_BY: Final = "sweep"
REST: Final = timedelta(days=7)
_REASON_CHARACTERS: Final = 500
_DAY: Final = timedelta(days=1)


class SweepVerdict(StrEnum):
    """What a sweep does with a customer; all but `delete` leave it alone."""

    DELETE = "delete"
    OVER_LIMIT = "over_limit"
    ENOUGH_FREE = "enough_free"
    TOO_YOUNG = "too_young"
    NOT_INCLUDED = "not_included"
    IN_PROGRESS = "in_progress"
    STUCK = "stuck"
    REFUSED = "refused"
    ABORTED = "aborted"
    DELETED = "deleted"
    PROTECTED = "protected"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A customer with its verdict and the reason in plain words."""

    tenant: TenantId
    domain: str
    company_name: str
    verdict: SweepVerdict
    reason: str
    age_days: float | None


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a sweep decides on: the customers, their deletion records, their ages."""

    customers: Mapping[TenantId, Customer]
    records: Mapping[TenantId, DeletionRecord | UnreadableRow]
    ages: Mapping[TenantId, Age]
    at: datetime

    @property
    def free_slots(self) -> int:
        """How many more customers the sandbox can hold."""
        return max(0, SANDBOX_CUSTOMERS - len(self.customers))


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason not to delete a customer."""

    verdict: SweepVerdict
    reason: str


_ENDED: Final = {
    State.DELETED: SweepVerdict.DELETED,
    State.STUCK: SweepVerdict.STUCK,
    State.REFUSED: SweepVerdict.REFUSED,
    State.ABORTED: SweepVerdict.ABORTED,
}
# A deleted customer may stay listed for a while.
_BEING_FREED: Final = frozenset({SweepVerdict.IN_PROGRESS, SweepVerdict.DELETED})
_PERHAPS_STARTED: Final = frozenset({SweepVerdict.IN_PROGRESS, SweepVerdict.UNREADABLE})


def decide(sandbox: Sandbox, settings: Settings) -> tuple[Candidate, ...]:
    """Return the verdict on each customer: first those that qualify, oldest first.

    Two sweeps at the same time select the same customers, because what is in progress counts
    towards both limits.
    """
    judged = [_judge(tenant, sandbox, settings) for tenant in sandbox.customers]
    freeing = sum(each.verdict in _BEING_FREED for each in judged)
    needed = _needed(settings.sweep, sandbox.free_slots + freeing)
    allowed = _Limit(
        settings.sweep.max_deletions - _own_in_progress(judged, sandbox),
        SweepVerdict.OVER_LIMIT,
        f"SWEEP_MAX_DELETIONS is {settings.sweep.max_deletions}, and older customers come first",
    )
    qualified = sorted(
        (each for each in judged if each.verdict is SweepVerdict.DELETE),
        key=lambda each: (sandbox.ages[each.tenant].since or sandbox.at, each.tenant),
    )
    others = [each for each in judged if each.verdict is not SweepVerdict.DELETE]
    limit = min(needed, allowed, key=lambda each: each.count) if needed else allowed
    return (*(_limited(each, rank, limit) for rank, each in enumerate(qualified)), *others)


def exclude(
    customer: Customer,
    record: DeletionRecord | UnreadableRow | None,
    settings: Settings,
    at: datetime,
) -> Finding | None:
    """Return a reason not to delete, apart from age and limits; None if there is none."""
    return (
        _protected(customer, settings)
        or remembered(record, at)
        or _not_included(customer, settings.sweep)
    )


@dataclass(frozen=True, slots=True)
class _Limit:
    count: int
    verdict: SweepVerdict
    reason: str


def _judge(tenant: TenantId, sandbox: Sandbox, settings: Settings) -> Candidate:
    customer = sandbox.customers[tenant]
    age = sandbox.ages[tenant]
    record = sandbox.records.get(tenant)
    finding = exclude(customer, record, settings, sandbox.at) or _by_age(
        age, settings.sweep, sandbox.at
    )
    return Candidate(
        tenant=tenant,
        domain=customer.domain,
        company_name=customer.company_name,
        verdict=finding.verdict,
        reason=finding.reason[:_REASON_CHARACTERS],
        age_days=None if age.since is None else round((sandbox.at - age.since) / _DAY, 1),
    )


def _protected(customer: Customer, settings: Settings) -> Finding | None:
    try:
        require_deletable(customer, settings)
    except Refused as refusal:
        return Finding(SweepVerdict.PROTECTED, refusal.finding)
    return None


def remembered(record: DeletionRecord | UnreadableRow | None, at: datetime) -> Finding | None:
    """Leave alone what is in progress, what a person aborted and, for a time, what has ended.

    That time is a week, or lasts until what was stuck can be cancelled again. What the record of a
    customer says is unknown if it cannot be read: perhaps "aborted".
    """
    if record is None:
        return None
    if isinstance(record, UnreadableRow):
        return Finding(SweepVerdict.UNREADABLE, record.reason)
    if record.live:
        reason = f"its deletion is {record.state}, requested {record.requested_at:%Y-%m-%d %H:%M}"
        return Finding(SweepVerdict.IN_PROGRESS, reason)
    if record.state is State.ABORTED:
        return Finding(SweepVerdict.ABORTED, f"a person stopped its deletion: {record.reason}")
    ended = record.finished_at or record.requested_at
    until = record.retry_at or ended + REST
    if at >= until:
        return None
    reason = f"left alone until {until:%Y-%m-%d}: its deletion ended as {record.state}"
    return Finding(_ENDED[record.state], reason + (f", {record.reason}" if record.reason else ""))


def counts_as_started(row: DeletionRecord | UnreadableRow) -> bool:
    """Whether a row counts towards SWEEP_MAX_DELETIONS: one that cannot be read might."""
    if isinstance(row, UnreadableRow):
        return True
    return row.live and row.requested_by == REQUESTED_BY


def _not_included(customer: Customer, sweep: SweepSettings) -> Finding | None:
    for domain in customer.domains:
        compared = comparable(domain) or ""
        if not any(matches(compared, pattern) for pattern in sweep.include_domains):
            named = f"domain {domain}" if domain else "an unknown domain"
            reason = f"{named} matches no pattern in SWEEP_INCLUDE_DOMAINS"
            return Finding(SweepVerdict.NOT_INCLUDED, reason)
    return None


def _by_age(age: Age, sweep: SweepSettings, at: datetime) -> Finding:
    if age.since is None:
        return Finding(SweepVerdict.TOO_YOUNG, f"its age is unknown: {age.basis}")
    reason = f"{(at - age.since) / _DAY:.1f} days old by {age.basis}"
    if at - age.since < sweep.min_age:
        minimum = f"SWEEP_MIN_AGE_DAYS is {sweep.min_age.days}"
        return Finding(SweepVerdict.TOO_YOUNG, f"{reason}, and {minimum}")
    return Finding(SweepVerdict.DELETE, reason)


def _needed(sweep: SweepSettings, becoming_free: int) -> _Limit | None:
    if sweep.keep_free_slots is None:
        return None
    return _Limit(
        sweep.keep_free_slots - becoming_free,
        SweepVerdict.ENOUGH_FREE,
        f"SWEEP_KEEP_FREE_SLOTS is {sweep.keep_free_slots}: {becoming_free} slots are free or "
        "being freed, and older customers make up the rest",
    )


def _own_in_progress(judged: list[Candidate], sandbox: Sandbox) -> int:
    records = (sandbox.records[each.tenant] for each in judged if each.verdict in _PERHAPS_STARTED)
    return sum(counts_as_started(each) for each in records)


def _limited(candidate: Candidate, rank: int, limit: _Limit) -> Candidate:
    if rank < limit.count:
        return candidate
    return replace(candidate, verdict=limit.verdict, reason=limit.reason)
