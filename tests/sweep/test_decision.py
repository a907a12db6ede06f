"""The decision of a sweep, which report and deletion share, on generated sandboxes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.resources import Customer
from shared.safety.rules import (
    Refused,
    require_other_tenant,
    require_unlisted,
    require_unprotected,
)
from shared.settings import Settings, read_settings
from shared.storage.records import TERMINAL, DeletionRecord, State, UnreadableRow
from shared.storage.sightings import Age
from shared.sweep.decision import (
    REQUESTED_BY,
    REST,
    Candidate,
    Sandbox,
    SweepVerdict,
    decide,
)
from shared.tenants import TenantId

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
PARTNER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
LIMITED = frozenset({SweepVerdict.OVER_LIMIT, SweepVerdict.ENOUGH_FREE})
FREED = frozenset({SweepVerdict.IN_PROGRESS, SweepVerdict.DELETED})
OLD = Age("its earliest order", NOW - timedelta(days=30))
AGES = st.sampled_from([-1, 0, 6, 7, 8, 29, 30, 31]).map(
    lambda days: Age("its earliest order", NOW - timedelta(days=days))
)


def tenant(number: int) -> TenantId:
    return TenantId(f"00000000-0000-4000-8000-{number:012d}")


def settings(**environment: str) -> Settings:
    return read_settings(
        {
            "PARTNER_TENANT_ID": PARTNER,
            "SANDBOX_TENANT_CONFIRMATION": PARTNER,
            "PARTNER_CENTER_CLIENT_ID": PARTNER,
            "PARTNER_CENTER_CLIENT_SECRET": "x",
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "PROTECTED_DOMAINS": "keep-*",
            **environment,
        }
    )


def customer(number: int, domain: str = "tipdemo.onmicrosoft.com") -> Customer:
    return Customer(tenant(number), domain, f"Demo {number}")


def record(
    number: int, state: State, *, ended: datetime | None = None, requested_by: str = ""
) -> DeletionRecord:
    return DeletionRecord(
        tenant=tenant(number),
        state=state,
        generation=3,
        correlation_id="c",
        requested_at=NOW - timedelta(days=30),
        deadline=NOW - timedelta(days=29),
        requested_by=requested_by,
        finished_at=ended if state in TERMINAL else None,
        reason="an order is too old" if state is State.STUCK else "",
    )


def sandbox(
    customers: Iterable[Customer],
    *,
    records: Iterable[DeletionRecord] = (),
    age: Age = OLD,
) -> Sandbox:
    listed = {TenantId(each.id): each for each in customers}
    return Sandbox(listed, {each.tenant: each for each in records}, dict.fromkeys(listed, age), NOW)


@st.composite
def records(draw: st.DrawFn, number: int) -> DeletionRecord:
    return record(
        number,
        draw(st.sampled_from(State)),
        ended=NOW - draw(st.timedeltas(timedelta(0), 2 * REST)),
        requested_by=draw(st.sampled_from(["", REQUESTED_BY])),
    )


@st.composite
def sandboxes(draw: st.DrawFn) -> Sandbox:
    numbers = draw(st.lists(st.integers(0, 99), unique=True, max_size=SANDBOX_CUSTOMERS))
    domains = st.sampled_from(["tipdemo.example", "keep-me.example", "other.example", ""])
    ages = AGES | st.just(Age("its orders could not be read"))
    return Sandbox(
        customers={tenant(each): customer(each, draw(domains)) for each in numbers},
        records={
            tenant(each): draw(records(each)) for each in numbers if draw(st.integers(0, 3)) == 0
        },
        ages={tenant(each): draw(ages) for each in numbers},
        at=NOW,
    )


@st.composite
def choices(draw: st.DrawFn) -> Settings:
    return settings(
        PROTECTED_DOMAINS=draw(st.sampled_from(["keep-*", "none"])),
        PROTECTED_TENANTS=draw(st.sampled_from(["", tenant(1), f"{tenant(2)},{tenant(3)}"])),
        SWEEP_INCLUDE_DOMAINS=draw(st.sampled_from(["", "tipdemo.*", "*.example"])),
        SWEEP_MIN_AGE_DAYS=draw(st.sampled_from(["", "0", "30"])),
        SWEEP_MAX_DELETIONS=draw(st.sampled_from(["", "1", "3", "75"])),
        SWEEP_KEEP_FREE_SLOTS=draw(st.sampled_from(["", "0", "5", "40", "75"])),
    )


def with_verdict(candidates: Iterable[Candidate], *verdicts: SweepVerdict) -> list[TenantId]:
    return [each.tenant for each in candidates if each.verdict in verdicts]


def verdict(account: Sandbox, **environment: str) -> Candidate:
    (candidate,) = decide(account, settings(**environment))
    return candidate


@given(sandboxes(), choices())
def test_each_customer_gets_one_verdict_and_a_reason(account: Sandbox, chosen: Settings) -> None:
    candidates = decide(account, chosen)

    assert sorted(each.tenant for each in candidates) == sorted(account.customers)
    assert all(each.reason.strip() for each in candidates)


@given(sandboxes(), choices())
def test_a_customer_qualifies_if_the_rules_of_a_deletion_let_it_go(
    account: Sandbox, chosen: Settings
) -> None:
    qualified = with_verdict(decide(account, chosen), SweepVerdict.DELETE, *LIMITED)

    assert set(qualified) == {each for each in account.customers if may_go(account, each, chosen)}


def may_go(account: Sandbox, who: TenantId, chosen: Settings) -> bool:
    """Say in different words from the code what a sweep may delete."""
    try:
        require_other_tenant(who, chosen.partner_center.tenant_id)
        require_unlisted(who, chosen.protection)
        require_unprotected(account.customers[who], chosen.protection)
    except Refused:
        return False
    known, since = account.records.get(who), account.ages[who].since
    assert not isinstance(known, UnreadableRow)
    if known is not None and (known.finished_at is None or NOW - known.finished_at < REST):
        return False
    if known is not None and known.state is State.ABORTED:
        return False
    patterns = chosen.sweep.include_domains
    included = any(fnmatchcase(account.customers[who].domain, pattern) for pattern in patterns)
    return included and since is not None and NOW - since >= chosen.sweep.min_age


@given(sandboxes(), choices(), st.data())
def test_a_sweep_that_starts_while_another_submits_selects_the_same(
    account: Sandbox, chosen: Settings, data: st.DataObject
) -> None:
    selected = with_verdict(decide(account, chosen), SweepVerdict.DELETE)
    submitted = data.draw(st.sets(st.sampled_from(selected))) if selected else set()
    begun = {
        each: replace(record(0, State.REQUESTED, requested_by=REQUESTED_BY), tenant=each)
        for each in submitted
    }

    again = decide(replace(account, records={**account.records, **begun}), chosen)

    assert with_verdict(again, SweepVerdict.DELETE) == [
        each for each in selected if each not in submitted
    ]


@given(sandboxes(), choices())
def test_the_order_of_the_listing_does_not_matter(account: Sandbox, chosen: Settings) -> None:
    backwards = replace(account, customers=dict(reversed(list(account.customers.items()))))

    assert set(decide(backwards, chosen)) == set(decide(account, chosen))


@given(sandboxes(), choices())
def test_the_oldest_go_first(account: Sandbox, chosen: Settings) -> None:
    candidates = decide(account, chosen)

    going = with_verdict(candidates, SweepVerdict.DELETE)
    staying = with_verdict(candidates, *LIMITED)
    since = [account.ages[each].since or NOW for each in (*going, *staying)]
    assert since[: len(going)] == sorted(since[: len(going)])
    assert not staying or max(since[: len(going)], default=NOW - timedelta(days=99)) <= min(
        since[len(going) :]
    )


@given(sandboxes(), choices())
def test_no_more_slots_are_freed_than_asked_for_and_no_fewer_than_possible(
    account: Sandbox, chosen: Settings
) -> None:
    candidates = decide(account, chosen)
    keep = chosen.sweep.keep_free_slots

    going = len(with_verdict(candidates, SweepVerdict.DELETE))
    free = account.free_slots + len(with_verdict(candidates, *FREED))
    if keep is None:
        assert not with_verdict(candidates, SweepVerdict.ENOUGH_FREE)
    else:
        assert going <= max(0, keep - free)
        assert free + going >= keep or not with_verdict(candidates, SweepVerdict.ENOUGH_FREE)
    assert going <= chosen.sweep.max_deletions


@pytest.mark.parametrize(
    ("most", "keep", "reason"),
    [("1", "75", SweepVerdict.OVER_LIMIT), ("3", "74", SweepVerdict.ENOUGH_FREE)],
)
def test_the_tighter_limit_gives_the_reason(most: str, keep: str, reason: SweepVerdict) -> None:
    account = sandbox([customer(1), customer(2), customer(3)])
    chosen = settings(SWEEP_MAX_DELETIONS=most, SWEEP_KEEP_FREE_SLOTS=keep)

    verdicts = [each.verdict for each in decide(account, chosen)]

    assert verdicts.count(SweepVerdict.DELETE) == (1 if most == "1" else 2)
    assert set(verdicts[verdicts.count(SweepVerdict.DELETE) :]) == {reason}


def test_a_protected_customer_stays_protected_while_its_deletion_runs() -> None:
    account = sandbox([customer(1, "keep-me.example")], records=[record(1, State.CHECKING)])

    assert verdict(account).verdict is SweepVerdict.PROTECTED


def test_the_partner_itself_is_never_selected() -> None:
    account = sandbox([Customer(TenantId(PARTNER), "sandbox.onmicrosoft.com", "Ourselves")])

    assert verdict(account).verdict is SweepVerdict.PROTECTED


def test_what_a_person_has_aborted_stays_until_it_is_requested_again() -> None:
    aborted = record(1, State.ABORTED, ended=NOW - 5 * REST)

    assert verdict(sandbox([customer(1)], records=[aborted])).verdict is SweepVerdict.ABORTED


@pytest.mark.parametrize("state", sorted(TERMINAL - {State.ABORTED}))
def test_an_ended_deletion_is_left_alone_for_a_week(state: State) -> None:
    fresh = record(1, state, ended=NOW - REST + timedelta(seconds=1))
    rested = record(1, state, ended=NOW - REST)

    left = verdict(sandbox([customer(1)], records=[fresh]))

    assert left.verdict == state.value
    assert left.reason.startswith("left alone until 2026-03-01: its deletion ended as")
    assert verdict(sandbox([customer(1)], records=[rested])).verdict is SweepVerdict.DELETE


def test_the_reason_of_a_stuck_deletion_is_shown() -> None:
    account = sandbox([customer(1)], records=[record(1, State.STUCK, ended=NOW)])

    assert verdict(account).reason.endswith("ended as stuck, an order is too old")


def test_an_unknown_age_counts_as_too_young_whatever_the_minimum() -> None:
    account = sandbox([customer(1)], age=Age("its orders could not be read"))

    candidate = verdict(account, SWEEP_MIN_AGE_DAYS="0")

    assert candidate.verdict is SweepVerdict.TOO_YOUNG
    assert candidate.age_days is None


def test_a_customer_without_domain_matches_only_the_pattern_for_all() -> None:
    account = sandbox([customer(1, "")])

    assert verdict(account, PROTECTED_DOMAINS="none").verdict is SweepVerdict.DELETE
    assert (
        verdict(account, PROTECTED_DOMAINS="none", SWEEP_INCLUDE_DOMAINS="tip*").verdict
        is SweepVerdict.NOT_INCLUDED
    )


def test_a_customer_that_is_listed_twice_is_included_only_if_each_domain_is() -> None:
    listed = customer(1, "tip1.example")
    twice = replace(listed, other_domains=frozenset({"tip2.example"}))
    odd = replace(listed, other_domains=frozenset({"shop.example"}))

    included = verdict(sandbox([twice]), SWEEP_INCLUDE_DOMAINS="tip*")
    left = verdict(sandbox([odd]), SWEEP_INCLUDE_DOMAINS="tip*")

    assert included.verdict is SweepVerdict.DELETE
    assert left.verdict is SweepVerdict.NOT_INCLUDED
    assert "shop.example" in left.reason


def test_enough_free_says_what_it_counted() -> None:
    account = sandbox([customer(each) for each in range(73)], records=[record(0, State.CHECKING)])

    candidates = decide(account, settings(SWEEP_KEEP_FREE_SLOTS="3"))

    assert not with_verdict(candidates, SweepVerdict.DELETE)
    assert "3 slots are free or being freed" in candidates[0].reason
