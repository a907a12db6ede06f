"""Records in real table storage: nothing is lost, and nobody overwrites an unseen change."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.storage.names import DELETIONS_TABLE
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
    term_end=st.none() | st.just(NOW),
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
    failures=st.integers(0, 9),
    looked_at=st.none() | st.just(NOW),
    parked_since=st.none() | st.just(NOW),
    parked=st.timedeltas(timedelta(0), timedelta(days=90)),
    retry_at=st.none() | st.just(NOW),
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


def test_a_second_insert_fails(table: Records) -> None:
    table.insert(RECORD)

    with pytest.raises(RecordChanged, match=TENANT):
        table.insert(RECORD)


def test_a_write_over_an_unseen_change_fails(table: Records) -> None:
    first = table.insert(RECORD)
    table.replace(replace(first, generation=2))

    with pytest.raises(RecordChanged, match=TENANT):
        table.replace(replace(first, generation=3))


def test_a_write_over_a_removed_record_fails(table: Records, bench: Bench) -> None:
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


def test_an_update_starts_over_where_somebody_else_was_faster(table: Records) -> None:
    table.insert(RECORD)
    tries = 0

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        nonlocal tries
        tries += 1
        assert current is not None
        if tries == 1:
            table.replace(replace(current, attempt=7))
        return replace(current, generation=2)

    update = table.update(TENANT, change)

    assert update.written
    stored = table.get(TENANT)
    assert stored is not None
    assert (stored.generation, stored.attempt, tries) == (2, 7, 2)


def test_an_update_gives_up_where_others_are_always_faster(table: Records) -> None:
    table.insert(RECORD)

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        assert current is not None
        table.replace(replace(current, attempt=current.attempt + 1))
        return replace(current, generation=2)

    with pytest.raises(RecordChanged, match=TENANT):
        table.update(TENANT, change)


def test_an_update_may_leave_the_record_as_it_is(table: Records) -> None:
    known = table.insert(RECORD)

    update = table.update(TENANT, lambda current: current)

    assert (update.record, update.written) == (known, False)


class LosingResponses(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Carries the first write out and loses its response."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def send(self, request: HttpRequest, **options: Any) -> Any:
        response = super().send(request, **options)
        if request.method in {"PUT", "POST"} and not self.lost:
            self.lost += 1
            if request.method == "POST":
                # The library repeats an insert after a 503 only.
                response.status_code = 503
                return response
            message = "the response was lost"
            raise ServiceResponseError(message)
        return response


@pytest.fixture
def losing(storage: str, bench: Bench) -> Iterator[tuple[Records, LosingResponses]]:
    transport = LosingResponses()
    with TableClient.from_connection_string(
        storage, DELETIONS_TABLE, transport=transport, retry_backoff_factor=0
    ) as client:
        yield Records(client, bench.services.settings.partner_center.tenant_id), transport


def test_a_write_whose_response_was_lost_counts_as_written(
    table: Records, losing: tuple[Records, LosingResponses]
) -> None:
    known = table.insert(RECORD)
    records, transport = losing

    written = records.replace(replace(known, generation=2))

    assert transport.lost == 1
    assert table.replace(replace(written, generation=3)).generation == 3


def test_an_insert_whose_response_was_lost_counts_as_written(
    table: Records, losing: tuple[Records, LosingResponses]
) -> None:
    records, transport = losing

    written = records.insert(RECORD)

    assert transport.lost == 1
    assert table.replace(replace(written, generation=3)).generation == 3


def test_somebody_elses_write_after_a_lost_response_is_not_taken_for_our_own(
    table: Records, losing: tuple[Records, LosingResponses]
) -> None:
    """The same content by another writer is not our write."""
    known = table.insert(RECORD)
    table.replace(replace(known, generation=2))
    records, transport = losing

    with pytest.raises(RecordChanged):
        records.replace(replace(known, generation=2))
    assert transport.lost == 1
