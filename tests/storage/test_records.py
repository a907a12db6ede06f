"""Records in real table storage: nothing is lost, and nobody overwrites an unseen change."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.storage import memory
from shared.storage.memory import STORED_BYTES
from shared.storage.names import DELETIONS_TABLE
from shared.storage.records import (
    DeletionRecord,
    RecordChanged,
    Records,
    State,
    UnreadableRecord,
)
from shared.tenants import TenantId
from tests.bench import Bench

NOW = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
OTHER = TenantId("6e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
CHANCE = Random(12)  # noqa: S311 - IDs, not secrets
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
    trouble=texts,
    rejected=st.frozensets(st.sampled_from(Action)),
    reason=texts,
    needs_activation=st.booleans(),
    wait_until=st.none() | st.just(NOW),
)
records = st.builds(
    replace,
    st.just(RECORD),
    state=st.sampled_from(State),
    generation=st.integers(1, 2**31 - 1),
    requested_by=texts,
    claimed_by=texts,
    seen=st.booleans(),
    told=st.booleans(),
    attempt=st.integers(0, 1000),
    failures=st.integers(0, 9),
    looked_at=st.none() | st.just(NOW),
    parked_since=st.none() | st.just(NOW),
    parked=st.timedeltas(timedelta(0), timedelta(days=90)),
    granted=st.timedeltas(timedelta(0), timedelta(days=90)),
    retry_at=st.none() | st.just(NOW),
    next_check_at=st.none() | st.just(NOW),
    finished_at=st.none() | st.just(NOW),
    reason=texts,
    remedy=texts,
    purchases=st.lists(purchases, max_size=5).map(tuple),
)


def row_of(bench: Bench) -> dict[str, Any]:
    partner = bench.services.settings.partner_center.tenant_id
    return dict(bench.tables.get_table_client(DELETIONS_TABLE).get_entity(partner, TENANT))


def write_row(bench: Bench, changes: dict[str, Any]) -> None:
    table = bench.tables.get_table_client(DELETIONS_TABLE)
    table.update_entity({**row_of(bench), **changes})


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


@pytest.mark.slow
def test_2000_orders_and_2000_subscriptions_are_all_remembered(
    table: Records, bench: Bench
) -> None:
    many = tuple(
        Purchase(
            kind,
            str(uuid.UUID(int=CHANCE.getrandbits(128))),
            "active",
            parent=str(uuid.UUID(int=CHANCE.getrandbits(128))),
            product=Product.NCE,
            created=NOW - timedelta(seconds=CHANCE.randrange(10**7)),
            name="Microsoft 365 Business Basic",
            rejected=frozenset({Action.DELETE_SUBSCRIPTION}),
            reason=f"failed with status 400/800061: Order {CHANCE.getrandbits(64)} cannot be "
            "canceled." + "x" * 150,
        )
        for kind in (PurchaseKind.ORDER, PurchaseKind.SUBSCRIPTION)
        for _ in range(2_000)
    )
    table.insert(replace(RECORD, purchases=many))

    stored = table.get(TENANT)
    assert stored is not None
    assert stored.purchases == many
    assert stored.last_error == ""
    row = row_of(bench)
    pieces = [value for value in row.values() if isinstance(value, bytes)]
    assert max(len(piece) for piece in pieces) <= 65_536
    assert sum(len(piece) for piece in pieces) < STORED_BYTES * 3 // 4


def test_a_memory_that_shrinks_leaves_no_piece_behind(table: Records, bench: Bench) -> None:
    many = tuple(
        Purchase(PurchaseKind.ORDER, str(CHANCE.getrandbits(128)), "pending") for _ in range(1_000)
    )
    first = table.insert(replace(RECORD, purchases=many))
    assert any(isinstance(value, bytes) for value in row_of(bench).values())

    table.replace(replace(first, purchases=many[:1]))

    stored = table.get(TENANT)
    assert stored is not None
    assert stored.purchases == many[:1]
    assert not any(isinstance(value, bytes) for value in row_of(bench).values())


def test_what_had_to_be_left_out_is_said_in_the_record(
    table: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "STORED_BYTES", 15_000)
    many = tuple(
        Purchase(
            PurchaseKind.ORDER,
            f"order-{number}",
            "completed",
            name="Reserved VM Instance",
            rejected=frozenset({Action.CANCEL_ORDER}),
            reason=str(CHANCE.getrandbits(600)),
        )
        for number in range(300)
    )
    table.insert(replace(RECORD, purchases=many))

    stored = table.get(TENANT)
    assert stored is not None
    assert stored.purchases == tuple(replace(each, name="", reason="") for each in many)
    assert stored.last_error.startswith("The 300 orders and subscriptions are too many to store")


@pytest.mark.parametrize(
    "damage",
    [
        {"purchases": "["},
        {"purchases": '[{"kind": "gift", "id": "x", "status": "active"}]'},
        {"purchases": "[1]"},
        {"purchases0": b"not compressed"},
    ],
)
def test_a_memory_that_cannot_be_read_is_empty_and_logged(
    table: Records, bench: Bench, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    table.insert(RECORD)
    write_row(bench, damage)

    assert table.get(TENANT) == RECORD
    assert f"row_unreadable key={TENANT}" in caplog.text


DAMAGE: list[dict[str, Any]] = [
    {"state": "paused"},
    {"generation": "two"},
    {"requestedAt": "yesterday"},
    {"deadline": "2026-11-21T00:00:00"},
    {"seen": "yes"},
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_row_that_cannot_be_read_is_skipped_and_logged(
    table: Records, bench: Bench, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    table.insert(RECORD)
    other = table.insert(replace(RECORD, tenant=OTHER))
    write_row(bench, damage)

    assert list(table.all()) == [other]
    assert [row.tenant for row in table.rows()] == [TENANT, OTHER]
    assert f"row_unreadable key={TENANT}" in caplog.text
    with pytest.raises(UnreadableRecord, match=f"customer {TENANT} cannot be read"):
        table.get(TENANT)


def test_the_etag_is_read_without_the_record(table: Records, bench: Bench) -> None:
    known = table.insert(RECORD)
    write_row(bench, {"state": "paused"})

    assert table.etag(TENANT) not in {"", known.etag}
    assert table.etag(OTHER) == ""


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
