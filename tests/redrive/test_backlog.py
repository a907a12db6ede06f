"""What redrive removes after 90 days, and the line that it logs."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient
from azure.functions.timer import TimerRequest

from functions.redrive import redrive
from local.simulator import Fault, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.poison import Poisoned, record_poisoned
from shared.deletion.submission import submit
from shared.settings import SweepMode
from shared.storage.budget import SharedBudget
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    DELETIONS_TABLE,
    POISON_QUEUES,
    REJECTED_ROW_PREFIX,
    SANDBOX_TABLE,
    SEEN_ROW_PREFIX,
)
from shared.storage.records import RecordChanged, State
from shared.storage.retention import KEPT, KEPT_SHORT
from shared.sweep.run import last_report, run_sweep
from shared.tenants import TenantId
from tests.bench import UNHURRIED, Bench

FIRST = TenantId("10000000-0000-4000-8000-000000000001")
SECOND = TenantId("10000000-0000-4000-8000-000000000002")
MINUTE = timedelta(minutes=1)


def ended(bench: Bench, tenant: TenantId, state: State, ago: timedelta) -> None:
    record = submit(bench.services, DeletionRequest(tenant))
    timestamp = bench.services.now() - ago
    bench.services.records.replace(replace(record, state=state, finished_at=timestamp))


def rows(bench: Bench, prefix: str) -> list[str]:
    table = bench.sandbox
    assert table.table_name == SANDBOX_TABLE
    return [row["RowKey"] for row in table.list_entities() if row["RowKey"].startswith(prefix)]


def logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Run the timer and return the fields of its line."""
    with caplog.at_level(logging.INFO, logger="tipsweep"):
        redrive(TimerRequest(past_due=False))
    lines = [each.message for each in caplog.records if each.name == "tipsweep"]
    (line,) = [each for each in lines if each.startswith("redrive_finished ")]
    assert bench.services.settings.partner_center.tenant_id not in line
    return dict(field.split("=") for field in line.split()[1:])


def test_a_finished_record_is_removed_after_90_days(bench: Bench) -> None:
    ended(bench, FIRST, State.DELETED, KEPT + MINUTE)
    ended(bench, SECOND, State.STUCK, KEPT - MINUTE)

    bench.redrive()

    assert [each.tenant for each in bench.services.records.all()] == [SECOND]


def test_a_live_record_is_never_removed(bench: Bench) -> None:
    submit(bench.services, DeletionRequest(FIRST))
    bench.move_clock_to(bench.services.now() + 2 * KEPT)

    bench.redrive()

    assert bench.record(FIRST).live


def test_a_record_that_was_requested_again_is_not_removed(bench: Bench) -> None:
    ended(bench, FIRST, State.DELETED, KEPT + MINUTE)
    old = bench.record(FIRST)
    submit(bench.services, DeletionRequest(FIRST))

    with pytest.raises(RecordChanged):
        bench.services.records.remove(old)

    assert bench.record(FIRST).live


def test_a_poisoned_message_is_removed_after_30_days(bench: Bench) -> None:
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "m1", b"nonsense"))
    bench.redrive()
    assert len(rows(bench, REJECTED_ROW_PREFIX)) == 1

    bench.move_clock_to(bench.services.now() + KEPT_SHORT + MINUTE)
    bench.redrive()

    assert not rows(bench, REJECTED_ROW_PREFIX)


@pytest.fixture
def before_removal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that lets something happen after rows were read and before one is removed."""
    delete = TableClient.delete_entity

    def arrange(name: str, event: Callable[[], object]) -> None:
        def removed(table: TableClient, *row: Any, **options: Any) -> None:
            if table.table_name == name:
                monkeypatch.setattr(TableClient, "delete_entity", delete)
                event()
            delete(table, *row, **options)

        monkeypatch.setattr(TableClient, "delete_entity", removed)

    return arrange


def test_a_plan_that_is_replaced_while_old_rows_are_removed_stays(
    bench: Bench, before_removal: Callable[..., None]
) -> None:
    plans, now = bench.services.plans, bench.services.now()
    plans.keep(FIRST, "old", now - KEPT_SHORT - MINUTE)
    before_removal(SANDBOX_TABLE, lambda: plans.keep(FIRST, "fresh", now))

    bench.redrive()

    assert plans.last(FIRST, str) == "fresh"


@pytest.mark.parametrize("table", [SANDBOX_TABLE, DELETIONS_TABLE])
def test_a_table_that_is_missing_when_old_rows_are_removed_hides_none_of_them_for_ever(
    bench: Bench, before_removal: Callable[..., None], table: str
) -> None:
    """The library takes the 404 of the table for a row that is gone."""
    ended(bench, FIRST, State.DELETED, KEPT + MINUTE)
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "m1", b"nonsense"))
    client = bench.tables.get_table_client(table)
    kept = list(client.list_entities())
    bench.move_clock_to(bench.services.now() + KEPT_SHORT + MINUTE)
    before_removal(table, client.delete_table)
    with suppress(HttpResponseError):
        bench.redrive()
    client.create_table()
    for row in kept:
        client.create_entity(row)

    bench.redrive()

    assert not rows(bench, REJECTED_ROW_PREFIX)
    assert not list(bench.services.records.all())


def test_a_customer_that_no_sweep_sees_is_forgotten_after_90_days(
    bench: Bench, simulator: Simulator
) -> None:
    simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    report = run_sweep(bench.services, SweepMode.REPORT)
    bench.services.switch.reset("ann", "looked at it")

    bench.move_clock_to(bench.services.now() + KEPT + MINUTE)
    bench.redrive()

    assert not rows(bench, SEEN_ROW_PREFIX)
    assert last_report(bench.services.reports) == report
    assert bench.services.switch.read().requested_by == "ann"


def test_a_quiet_app_logs_a_line_of_zeros(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    fields = "live stuck redriven removed oldest_seconds customers_to_delete orders_to_check"
    fields += " customers_ready poison calls_used calls_held_seconds"

    zeros = dict.fromkeys(fields.split(), "0")
    assert logged(bench, caplog) == zeros | {"calls_limit": str(UNHURRIED)}


def test_the_line_counts_records_and_messages(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    submit(bench.services, DeletionRequest(FIRST))
    ended(bench, SECOND, State.STUCK, timedelta(days=1))
    bench.drop("x", CUSTOMERS_TO_DELETE)
    bench.drop("x", CUSTOMERS_READY)
    for queue in POISON_QUEUES:
        bench.drop("x", queue)
    bench.move_clock_to(bench.record(FIRST).requested_at + timedelta(hours=7))

    fields = logged(bench, caplog)

    assert (fields["live"], fields["stuck"], fields["redriven"]) == ("1", "1", "1")
    assert fields["oldest_seconds"] == "25200"
    assert fields["orders_to_check"] == "3"
    assert (fields["customers_to_delete"], fields["customers_ready"]) == ("1", "1")
    assert fields["poison"] == "3"


def test_the_age_of_the_refresh_token_is_logged(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    account = simulator.sandbox
    simulator.key_vault.put(account.refresh_token_name, account.refresh_token, age_days=61)
    bench.use(**simulator.environment(auth="user"))

    assert logged(bench, caplog)["refresh_token_age_days"] == "61.0"
    assert account.refresh_token not in caplog.text


def test_a_vault_that_cannot_be_read_is_a_failed_sign_in_and_costs_nothing_else(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.add_fault(Fault(path="/secrets/*", status=403, times=None))
    bench.use(**simulator.environment(auth="user"))

    fields = logged(bench, caplog)

    assert "refresh_token_age_days" not in fields
    name = simulator.sandbox.refresh_token_name
    assert any(
        message.startswith("sign_in_failed reason=") and name in message
        for message in caplog.messages
    )


def test_the_line_shows_the_budget_of_calls(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.use(PARTNER_CENTER_RATE_LIMIT_PER_MINUTE="300")
    services = bench.services
    budget = SharedBudget(services.budget_row, 300)
    bench.put(replace(services, budget=budget))
    budget.pause(60)

    line = logged(bench, caplog)

    assert (line["calls_limit"], line["calls_used"]) == ("150", "0")
    assert 55 <= int(line["calls_held_seconds"]) <= 61
