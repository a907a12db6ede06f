"""A sweep on the real storage and the simulator: what it reports, keeps and starts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.simulator import Customer, ProductKind, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import submit
from shared.limits import SANDBOX_CUSTOMERS
from shared.settings import SweepMode
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.records import TERMINAL, DeletionRecord, Records, State, UnreadableRow
from shared.sweep.decision import REST, SweepVerdict
from shared.sweep.run import last_report, run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, found, ids, later, started, verdicts


def test_all_pages_of_customers_are_decided_on(bench: Bench, simulator: Simulator) -> None:
    simulator.behaviour = replace(simulator.behaviour, customers_page_size=30)
    customers = add(simulator, SANDBOX_CUSTOMERS, age_days=None)

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert set(verdicts(report)) == set(ids(customers))
    assert (report.customers, report.free_slots) == (SANDBOX_CUSTOMERS, 0)


def test_a_report_starts_nothing(bench: Bench, simulator: Simulator) -> None:
    add(simulator, 2)

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert len(report.selected) == 2
    assert not started(bench)
    assert not bench.waiting(ORDERS_TO_CHECK)
    assert not bench.writes()


def test_a_sweep_deletes_what_it_selected_and_nobody_else(
    bench: Bench, simulator: Simulator
) -> None:
    old, young = add(simulator, 2), add(simulator, 1, age_days=2, prefix="young")
    kept = add(simulator, 1, prefix="keep-")

    run_sweep(bench.services, SweepMode.DELETE)
    bench.pump()

    assert all(each.deleted for each in old)
    assert not any(each.deleted for each in (*young, *kept))
    assert not bench.errors


def test_the_records_are_read_once_to_decide_and_once_to_start(
    bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(simulator, 6)
    reads = 0
    rows = Records.rows

    def counted(records: Records) -> Iterator[DeletionRecord | UnreadableRow]:
        nonlocal reads
        reads += 1
        return rows(records)

    monkeypatch.setattr(Records, "rows", counted)

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert len(report.selected) == 6
    assert reads == 2


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    customers=st.lists(
        st.tuples(
            st.sampled_from(["tipdemo", "keep-", "other"]),
            st.sampled_from([None, 2, 8, 20]),
            st.sampled_from([None, *State]),
        ),
        max_size=8,
    ),
    limits=st.fixed_dictionaries(
        {
            "SWEEP_MAX_DELETIONS": st.sampled_from(["2", "25"]),
            "SWEEP_KEEP_FREE_SLOTS": st.sampled_from(["", "75"]),
        }
    ),
)
def test_the_report_is_what_the_deletion_does(
    simulator: Simulator,
    unused_accounts: Iterator[str],
    monkeypatch: pytest.MonkeyPatch,
    customers: list[tuple[str, float | None, State | None]],
    limits: dict[str, str],
) -> None:
    simulator.reset("empty")
    monkeypatch.setattr("shared.services._built", [])
    bench = Bench(simulator, next(unused_accounts))
    bench.use(**PROTECTED, **limits, SWEEP_INCLUDE_DOMAINS="tipdemo* keep-*")
    for prefix, age_days, state in customers:
        (customer,) = add(simulator, 1, age_days=age_days, prefix=prefix)
        if state is not None:
            put_record(bench, customer, state)

    report = run_sweep(bench.services, SweepMode.REPORT)
    deletion = run_sweep(bench.services, SweepMode.DELETE)

    assert verdicts(deletion) == verdicts(report)
    assert sorted(started(bench)) == sorted(report.selected)
    assert bench.waiting(ORDERS_TO_CHECK) == len(report.selected) + sum(
        each[2] is not None for each in customers
    )


def put_record(bench: Bench, customer: Customer, state: State) -> None:
    record = submit(bench.services, DeletionRequest(TenantId(customer.tenant_id), "somebody"))
    ended = bench.services.now() if state in TERMINAL else None
    bench.services.records.replace(replace(record, state=state, finished_at=ended))


def test_the_last_report_is_kept_as_it_was(bench: Bench, simulator: Simulator) -> None:
    for number in range(SANDBOX_CUSTOMERS):
        simulator.sandbox.add_customer(f"keep-{number}.onmicrosoft.com", "Größe " * 60)

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert last_report(bench.services.reports) == report
    assert len(report.to_json()) > 32_768


def test_a_stuck_deletion_is_tried_again_after_a_week(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.SAVINGS_PLAN, age_days=20)
    bench.run(customer.tenant_id)

    resting = run_sweep(bench.services, SweepMode.DELETE)
    later(bench, REST)
    again = run_sweep(bench.services, SweepMode.DELETE)

    assert found(resting, customer).verdict is SweepVerdict.STUCK
    assert "ended as stuck" in found(resting, customer).reason
    assert again.selected == (customer.tenant_id,)
