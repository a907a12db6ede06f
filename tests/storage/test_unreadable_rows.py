"""A row that this version cannot read, in any table, is skipped or shown, and stops nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables import TableClient, UpdateMode

from local.simulator import ProductKind, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.poison import Poisoned, record_poisoned
from shared.deletion.submission import submit
from shared.safety.switch import SwitchTripped
from shared.settings import SweepMode
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.names import (
    CUSTOMERS_TO_DELETE,
    DELETIONS_TABLE,
    HISTORY_TABLE,
    PLAN_ROW_PREFIX,
    POISON_SUFFIX,
    REJECTED_ROW_PREFIX,
    SANDBOX_TABLE,
    SEEN_ROW_PREFIX,
    SWEEP_REPORT_ROW,
    SWITCH_ROW,
)
from shared.storage.plans import UnreadablePlan
from shared.storage.records import DeletionRecord, UnreadableRecord, UnreadableRow
from shared.storage.retention import KEPT
from shared.sweep.decision import SweepVerdict
from shared.sweep.run import last_report, preview_sweep, run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, found, later

TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
OTHER = TenantId("6e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
GONE = "(no such column)"
YEAR_1 = "0001-01-01T00:00:00+00:00"
YEAR_9999 = "9999-12-31T23:59:59.999999-14:00"
BAD_TIMES = [YEAR_1, YEAR_9999, "2026-11-28T06:00:00", "yesterday", 7, GONE]


def table(bench: Bench, name: str = SANDBOX_TABLE) -> TableClient:
    return bench.tables.get_table_client(name)


def spoil(bench: Bench, key: str, *, name: str = SANDBOX_TABLE, **changes: Any) -> None:
    """Rewrite a row of the sandbox with other values, or without these columns."""
    partner = bench.services.settings.partner_center.tenant_id
    row = {**table(bench, name).get_entity(partner, key), **changes}
    kept = {column: each for column, each in row.items() if each != GONE}
    table(bench, name).update_entity(kept, UpdateMode.REPLACE)


def reject(bench: Bench, name: str) -> str:
    """Record a rejected message of this name, and return the ID of its row."""
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, name, name.encode()))
    rejected = bench.services.rejected.all()
    return next(each.message_id for each in rejected if each.body == name.encode())


def request(bench: Bench, tenant: TenantId = TENANT) -> None:
    submit(bench.services, DeletionRequest(tenant))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "paused"},
        {"generation": "1"},
        {"seen": "yes"},
        {"parkedSeconds": 1e300},
        {"parkedSeconds": "long"},
        *({"requestedAt": each} for each in BAD_TIMES),
        *({"finishedAt": each} for each in BAD_TIMES[:-1]),
        {"deadline": YEAR_9999},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_read_hides_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    request(bench)
    request(bench, OTHER)
    spoil(bench, TENANT, name=DELETIONS_TABLE, **changes)

    odd, good = bench.services.records.rows()

    assert isinstance(odd, UnreadableRow)
    assert isinstance(good, DeletionRecord)
    assert f"row_unreadable key={TENANT}" in caplog.text
    with pytest.raises(UnreadableRecord, match=TENANT):
        bench.services.records.get(TENANT)


def test_half_a_character_in_a_row_is_replaced_when_it_is_read(bench: Bench) -> None:
    request(bench)
    rejected = reject(bench, "contoso")
    half = dict.fromkeys(("reason", "requestedBy"), "Contoso \ud83d")
    spoil(bench, TENANT, name=DELETIONS_TABLE, **half)
    spoil(bench, REJECTED_ROW_PREFIX + rejected, **half)

    record = bench.services.records.get(TENANT)

    assert record is not None
    assert (record.reason, record.requested_by) == ("Contoso \ufffd", "Contoso \ufffd")
    assert bench.services.rejected.all()[0].reason == "Contoso \ufffd"


@pytest.mark.parametrize(
    "changes",
    [
        *({"firstSeen": each} for each in BAD_TIMES),
        {"ageSince": YEAR_1},
        {"ageSince": "2026-11-28T06:00:00+00:00", "ageBasis": GONE},
    ],
    ids=str,
)
def test_a_customer_whose_sighting_cannot_be_read_is_never_old(
    bench: Bench, simulator: Simulator, changes: dict[str, Any]
) -> None:
    bench.use(**PROTECTED, SWEEP_MAX_DELETIONS="25")
    odd, other = add(simulator, 2, age_days=None)
    run_sweep(bench.services, SweepMode.REPORT)
    key = SEEN_ROW_PREFIX + odd.tenant_id
    spoil(bench, key, **changes)
    later(bench, timedelta(days=20))

    for report in (preview_sweep(bench.services), run_sweep(bench.services, SweepMode.REPORT)):
        assert found(report, odd).verdict is SweepVerdict.TOO_YOUNG
        assert "cannot be read" in found(report, odd).reason

    assert found(report, other).verdict is SweepVerdict.DELETE
    row = table(bench).get_entity(bench.services.settings.partner_center.tenant_id, key)
    for column, each in changes.items():
        assert row.get(column, GONE) == each


def test_the_orders_of_a_customer_tell_its_age_whatever_its_sighting_says(
    bench: Bench, simulator: Simulator
) -> None:
    bench.use(**PROTECTED)
    (customer,) = add(simulator, 1)
    run_sweep(bench.services, SweepMode.REPORT)
    spoil(bench, SEEN_ROW_PREFIX + customer.tenant_id, firstSeen=7)

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert found(report, customer).verdict is SweepVerdict.DELETE


@pytest.mark.parametrize(
    "changes",
    [{"parts": GONE}, {"parts": "1"}, {"plan0": GONE}, {"plan0": b"\xff"}, {"plan0": "text"}],
    ids=str,
)
def test_a_plan_that_cannot_be_read_is_named_and_stops_no_dry_run(
    bench: Bench, simulator: Simulator, changes: dict[str, Any]
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=TENANT)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    drop = json.dumps({"tenantId": TENANT, "dryRun": True})
    bench.drop(drop)
    bench.pump()
    spoil(bench, PLAN_ROW_PREFIX + TENANT, **changes)
    with pytest.raises(UnreadablePlan, match=TENANT):
        bench.services.plans.last(TENANT, str)

    bench.drop(drop, CUSTOMERS_TO_DELETE + POISON_SUFFIX)
    bench.pump()
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 1
    bench.drop(drop)
    bench.pump()

    assert '"outcome":"cancel"' in str(bench.services.plans.last(TENANT, str))


@pytest.mark.parametrize(
    "changes",
    [{"queue": GONE}, {"reason": 7}, {"tenant": GONE}, *({"at": each} for each in BAD_TIMES)],
    ids=str,
)
def test_a_rejected_message_that_cannot_be_read_is_listed_and_can_be_dismissed(
    bench: Bench, changes: dict[str, Any]
) -> None:
    odd, other = reject(bench, "odd"), reject(bench, "other")
    spoil(bench, REJECTED_ROW_PREFIX + odd, **changes)

    listed = {each.message_id: each for each in bench.services.rejected.all()}

    assert "cannot be read" in listed[odd].reason
    assert "is not a tenant ID" in listed[other].reason
    assert bench.services.rejected.dismiss(odd, "ann", bench.services.now()) == listed[odd]
    assert [each.message_id for each in bench.services.rejected.all()] == [other]


@pytest.mark.parametrize(
    "changes",
    [{"parts": GONE}, {"parts": "1"}, {"report0": GONE}, {"report0": 7}, {"report0": "[]"}],
    ids=str,
)
def test_a_report_that_cannot_be_read_counts_as_none(
    bench: Bench, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    run_sweep(bench.services, SweepMode.REPORT)
    spoil(bench, SWEEP_REPORT_ROW, **changes)

    assert last_report(bench.services.reports) is None
    assert f"row_unreadable key={SWEEP_REPORT_ROW}" in caplog.text


@pytest.mark.parametrize(
    "changes",
    [{"kind": GONE}, {"detail": 7}, {"method": 7}, *({"at": each} for each in BAD_TIMES)],
    ids=str,
)
def test_an_entry_of_the_history_that_cannot_be_read_is_shown_as_one(
    bench: Bench, changes: dict[str, Any]
) -> None:
    now = bench.services.now()
    entries = [HistoryEntry(EntryKind.WAITING, now, detail=each) for each in ("odd", "good")]
    bench.services.history.add(TENANT, entries)
    rows = table(bench, HISTORY_TABLE)
    (row,) = rows.query_entities("detail eq 'odd'")
    changed = {**row, **changes}
    kept = {column: each for column, each in changed.items() if each != GONE}
    rows.update_entity(kept, UpdateMode.REPLACE)

    good, odd = bench.services.history.page(TENANT, "", 10)

    assert (good.kind, good.detail) == ("waiting", "good")
    assert odd.kind == "unreadable"
    assert "cannot be read" in odd.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"tripped": GONE},
        {"tripped": "false"},
        {"tripped": 0},
        {"reason": GONE},
        {"tripId": 7},
        *({"at": each} for each in BAD_TIMES),
    ],
    ids=str,
)
def test_a_switch_that_cannot_be_read_counts_as_tripped_until_it_is_reset(
    bench: Bench, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    switch = bench.services.switch
    switch.trip("ann", "test")
    switch.reset("ann", "test")
    switch.require_untripped()
    spoil(bench, SWITCH_ROW, **changes)

    with pytest.raises(SwitchTripped, match="cannot be read"):
        switch.require_untripped()

    assert f"row_unreadable key={SWITCH_ROW}" in caplog.text
    switch.reset("ann", "looked at it")
    switch.require_untripped()


@pytest.mark.parametrize("at", [YEAR_1, "2020-01-01T00:00:00", "2020", ""])
def test_redrive_keeps_rows_whose_age_is_unknown_and_removes_the_others(
    bench: Bench, at: str
) -> None:
    odd, _ = reject(bench, "odd"), reject(bench, "old")
    spoil(bench, REJECTED_ROW_PREFIX + odd, at=at)
    later(bench, KEPT)

    bench.redrive()

    assert [row["RowKey"] for row in bench.poisoned()] == [REJECTED_ROW_PREFIX + odd]
