"""The table `history`: entries are added, read newest first and removed when they are old."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient

from shared.partner_center.client import SentWrite
from shared.storage.history import (
    BATCH_ROWS,
    SLICE_TIME,
    SLICES,
    EntryKind,
    History,
    HistoryEntry,
)
from shared.storage.names import HISTORY_TABLE
from shared.tenants import TenantId
from tests.bench import Bench
from tests.simulation.storage.batches import batch_response
from tests.simulation.storage.http import Response

PARTNER = TenantId("8e1f2c3d-0000-4000-8000-000000000001")
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
OTHER = TenantId("00000000-0d3b-4c55-9a41-7f6b2d9e8c10")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEPT = timedelta(days=400)
PATCH = SentWrite("PATCH", "/v1/customers/c/orders/o", "cancelled", "request", 200)
DELETE = SentWrite("DELETE", "/v1/customers/c", "", "request", 204)


class Wire(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Counts the requests, loses some of them, and loses the responses to some."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.lose_requests = 0
        self.lose_responses = 0
        self.being_deleted = False

    def send(self, request: HttpRequest, **options: Any) -> Any:
        self.sent += 1
        if self.lose_requests:
            self.lose_requests -= 1
            message = "connection lost"
            raise ServiceRequestError(message)
        response = super().send(request, **options)
        if self.being_deleted:
            return refused(response, 409, "TableBeingDeleted")
        if self.lose_responses:
            self.lose_responses -= 1
            # As if a gateway had failed behind the write.
            response.status_code = 503
        return response


def refused(response: Any, status: int, code: str) -> Any:
    """Turn the response to a batch into one that refuses the batch with this code."""
    refusal = batch_response([Response(status, {"x-ms-error-code": code})], {})
    response.headers["Content-Type"] = response.content_type = refusal.headers["Content-Type"]
    response.internal_response.close()
    response.internal_response._content = refusal.body
    return response


@contextmanager
def opened(storage: str, wire: Wire) -> Iterator[History]:
    with TableClient.from_connection_string(
        storage, HISTORY_TABLE, transport=wire, retry_backoff_factor=0
    ) as client:
        yield History(client, PARTNER, KEPT)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def history(storage: str, bench: Bench, wire: Wire) -> Iterator[History]:  # noqa: ARG001
    """Give a history in the tables of the bench."""
    with opened(storage, wire) as history:
        yield history


def entry(detail: str, at: datetime = NOW, kind: EntryKind = EntryKind.WAITING) -> HistoryEntry:
    return HistoryEntry(kind, at, "ann", "correlation", detail)


def details(history: History, tenant: TenantId = TENANT) -> list[str]:
    return [each.detail for each in history.page(tenant, "", 1000)]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.message.startswith("history_lost ")]


def test_an_entry_is_read_as_it_was_added(history: History) -> None:
    added = [replace(entry("cancelled", kind=EntryKind.CALL), write=PATCH), entry("one open")]

    history.add(TENANT, added)

    assert history.page(TENANT, "", 10) == added[::-1]


def test_a_write_without_a_response_has_no_status(history: History) -> None:
    lost = replace(entry("no response"), write=replace(PATCH, status=None))

    history.add(TENANT, [lost])

    assert history.page(TENANT, "", 10) == [lost]


def test_the_newest_entry_comes_first(history: History) -> None:
    history.add(TENANT, [entry("second", NOW + SECOND), entry("third", NOW + SECOND)])
    history.add(TENANT, [entry("first")])

    assert details(history) == ["third", "second", "first"]


def test_a_page_goes_on_after_the_last_entry_of_the_one_before(history: History) -> None:
    history.add(TENANT, [entry(str(number)) for number in range(5)])

    first = history.page(TENANT, "", 3)
    second = history.page(TENANT, first[-1].key, 3)

    assert [each.detail for each in (*first, *second)] == ["4", "3", "2", "1", "0"]


def test_another_customers_entries_are_not_read(history: History) -> None:
    history.add(OTHER, [entry("other")])
    history.add_for_account(entry("switch"))

    assert details(history) == []
    assert [each.detail for each in history.account_page("", 10)] == ["switch"]


@pytest.mark.parametrize(("entries", "operations"), [(1, 1), (100, 1), (101, 2), (250, 3)])
def test_a_hundred_entries_cost_one_operation(
    history: History, wire: Wire, entries: int, operations: int
) -> None:
    history.add(TENANT, [entry(str(number)) for number in range(entries)])

    assert wire.sent == operations
    assert details(history) == [str(number) for number in reversed(range(entries))]


def test_the_same_entries_again_are_added_and_rewrite_nothing(history: History) -> None:
    history.add(TENANT, [entry("once")])
    history.add(TENANT, [entry("once")])

    assert details(history) == ["once", "once"]


def test_a_request_is_told_once_and_what_came_with_it_is_added(history: History) -> None:
    requested = entry("requested", kind=EntryKind.REQUESTED)

    history.add(TENANT, [requested, entry("first look", NOW + SECOND)])
    history.add(TENANT, [requested, entry("second look", NOW + 2 * SECOND)])
    history.add(TENANT, [requested])

    assert details(history) == ["second look", "first look", "requested"]


@pytest.mark.parametrize("kind", [EntryKind.REQUESTED, EntryKind.READY])
def test_a_batch_whose_response_was_lost_is_there_once(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture, kind: EntryKind
) -> None:
    wire.lose_responses = 1

    history.add(TENANT, [entry("first", kind=kind), entry("second", NOW + SECOND)])

    assert details(history) == ["second", "first"]
    assert lines(caplog) == []


def test_entries_that_cannot_be_stored_are_logged_one_by_one(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.lose_requests = 2

    history.add(TENANT, [replace(entry("cancelled"), write=PATCH), entry("one open")])

    assert details(history) == []
    first, second = lines(caplog)
    assert f"tenant={TENANT}" in first
    assert "method=PATCH path=/v1/customers/c/orders/o status=200 request=request" in first
    assert "correlation=correlation" in second
    assert "connection lost" in second
    assert [each.levelno for each in caplog.records][-2:] == [logging.ERROR] * 2


def test_a_lost_connection_loses_no_entry(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.lose_requests = 1

    history.add(TENANT, [entry("one open")])

    assert details(history) == ["one open"]
    assert lines(caplog) == []


def test_a_delete_is_worth_more_tries(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.lose_requests = 3

    history.add(TENANT, [replace(entry("deleted"), write=DELETE)])

    assert details(history) == ["deleted"]
    assert lines(caplog) == []


def test_a_delete_is_not_tried_for_ever(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.lose_requests = 100

    history.add(TENANT, [replace(entry("deleted"), write=DELETE)])

    assert wire.sent == 4
    assert len(lines(caplog)) == 1


def test_a_missing_table_is_logged(
    history: History, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with TableClient.from_connection_string(storage, HISTORY_TABLE) as table:
        table.delete_table()

    history.add(TENANT, [entry("lost")])

    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("kind", [EntryKind.REQUESTED, EntryKind.READY])
def test_a_table_that_is_being_deleted_is_logged(
    history: History, wire: Wire, caplog: pytest.LogCaptureFixture, kind: EntryKind
) -> None:
    wire.being_deleted = True

    history.add(TENANT, [entry("lost", kind=kind), entry("lost too")])

    assert len(lines(caplog)) == 2


def test_a_long_text_is_cut(history: History) -> None:
    history.add(TENANT, [entry("x" * 5_000)])

    assert details(history) == ["x" * 1_000]


def test_half_a_character_does_not_lose_the_entry(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history.add(TENANT, [entry("half \ud83d")])

    assert details(history) == ["half \ufffd"]
    assert lines(caplog) == []


def test_a_batch_of_the_longest_entries_fits_into_a_transaction(history: History) -> None:
    long = "\U0001f600" * 5_000
    many = replace(entry(long), requested_by=long, write=replace(PATCH, code=long))

    history.add(TENANT, [many] * BATCH_ROWS)

    assert len(details(history)) == BATCH_ROWS


def test_a_day_of_redrives_removes_what_is_older_than_is_kept(history: History) -> None:
    old, kept = NOW - KEPT - SECOND, NOW - KEPT + timedelta(days=2)
    for tenant in (TENANT, OTHER, PARTNER):
        history.add(tenant, [entry("old", old), entry("kept", kept)])

    removed = sum(history.remove_old(NOW + number * SLICE_TIME) for number in range(SLICES))

    assert removed == 3
    assert [details(history, tenant) for tenant in (TENANT, OTHER, PARTNER)] == [["kept"]] * 3


def test_a_redrive_reads_one_in_256_customers(history: History, wire: Wire) -> None:
    history.add(TENANT, [entry("old", NOW - 2 * KEPT)])
    before = wire.sent

    history.remove_old(NOW)

    assert wire.sent == before + 1
