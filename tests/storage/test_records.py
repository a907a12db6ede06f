"""Records in real table storage: nothing is lost, nobody overwrites unseen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.storage.records import DeletionRecord, RecordChanged, Records, State
from shared.tenants import TenantId
from tests.bench import Bench

NOW = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
RECORD = DeletionRecord(
    tenant=TENANT,
    state=State.REQUESTED,
    generation=1,
    correlation_id="c",
    requested_at=NOW,
    deadline=NOW + timedelta(days=1),
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
purchases = st.builds(
    Purchase,
    kind=st.sampled_from(PurchaseKind),
    id=texts.filter(bool),
    status=texts.filter(bool),
    parent=texts,
    product=st.none() | st.sampled_from(Product),
    created=st.none() | st.just(NOW),
    name=texts,
    sent=st.frozensets(st.sampled_from(Action)),
    rejected=st.frozensets(st.sampled_from(Action)),
    reason=texts,
    needs_activation=st.booleans(),
)
records = st.builds(
    replace,
    st.just(RECORD),
    state=st.sampled_from(State),
    generation=st.integers(1, 2**31 - 1),
    requested_by=texts,
    claimed_by=texts,
    seen=st.booleans(),
    attempt=st.integers(0, 1000),
    next_check_at=st.none() | st.just(NOW),
    finished_at=st.none() | st.just(NOW),
    reason=texts,
    remedy=texts,
    purchases=st.lists(purchases, max_size=5).map(tuple),
)


@pytest.fixture
def table(bench: Bench) -> Records:
    return bench.services.records


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records)
def test_a_record_comes_back_as_it_was_written(bench: Bench, record: DeletionRecord) -> None:
    table = bench.services.records
    known = table.get(TENANT)
    table.replace(replace(record, etag=known.etag)) if known else table.insert(record)

    assert table.get(TENANT) == record


def test_a_second_insert_is_refused(table: Records) -> None:
    table.insert(RECORD)

    with pytest.raises(RecordChanged, match=TENANT):
        table.insert(RECORD)


def test_a_write_over_an_unseen_change_is_refused(table: Records) -> None:
    first = table.insert(RECORD)
    table.replace(replace(first, generation=2))

    with pytest.raises(RecordChanged, match=TENANT):
        table.replace(replace(first, generation=3))


def test_a_write_over_a_removed_record_is_refused(table: Records, bench: Bench) -> None:
    first = table.insert(RECORD)
    bench.remove_record(TENANT)

    with pytest.raises(RecordChanged):
        table.replace(first)


def test_a_long_memory_keeps_what_is_unfinished(table: Records) -> None:
    done = tuple(
        Purchase(PurchaseKind.ORDER, f"order-{number:028}", "cancelled", reason="x" * 40)
        for number in range(300)
    )
    still = Purchase(PurchaseKind.ORDER, "still", "pending", sent=frozenset({Action.CANCEL_ORDER}))
    table.insert(replace(RECORD, purchases=(*done, still)))

    stored = table.get(TENANT)
    assert stored is not None
    assert stored.purchases == (still,)


def test_a_memory_that_cannot_be_stored_is_dropped(table: Records) -> None:
    many = tuple(
        Purchase(PurchaseKind.ORDER, f"order-{number}", "pending", reason="x" * 200)
        for number in range(300)
    )
    table.insert(replace(RECORD, purchases=many))

    stored = table.get(TENANT)
    assert stored is not None
    assert stored.purchases == ()
