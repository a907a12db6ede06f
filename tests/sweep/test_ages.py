"""How a sweep determines ages, what that costs, and what it remembers."""

from datetime import timedelta

import pytest

from local.simulator import Fault, ProductKind, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import submit
from shared.settings import SweepMode
from shared.storage.names import SEEN_ROW_PREFIX
from shared.sweep.decision import SweepVerdict
from shared.sweep.run import last_report, preview_sweep, run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, found, ids, later, orders_read, started, verdicts


def test_only_customers_that_could_qualify_cost_a_call(bench: Bench, simulator: Simulator) -> None:
    bench.use(**PROTECTED, SWEEP_INCLUDE_DOMAINS="tipdemo*")
    wanted = add(simulator, 2)
    add(simulator, 1, prefix="keep-")
    add(simulator, 1, prefix="other")
    (busy,) = add(simulator, 1, prefix="tipdemo-busy")
    submit(bench.services, DeletionRequest(TenantId(busy.tenant_id)))

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert orders_read(bench) == ids(wanted)
    assert found(report, busy).verdict is SweepVerdict.IN_PROGRESS


def test_the_age_is_that_of_the_earliest_order(bench: Bench, simulator: Simulator) -> None:
    (customer,) = add(simulator, 1, age_days=3)
    customer.add_order(ProductKind.NCE_LICENCES, age_days=30)

    candidate = found(run_sweep(bench.services, SweepMode.REPORT), customer)

    assert candidate.age_days == 30
    assert candidate.reason == "30.0 days old by its earliest order"


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "2009-12-31T23:59:59.0000000"])
def test_a_date_before_2010_is_unknown_and_makes_no_customer_old(
    bench: Bench, simulator: Simulator, date: str
) -> None:
    (customer,) = add(simulator, 1)
    order = {"id": customer.orders[0].id, "status": "completed", "creationDate": date}
    simulator.add_fault(Fault(path="*/orders", status=200, body={"items": [order]}, times=None))

    candidate = found(run_sweep(bench.services, SweepMode.DELETE), customer)

    assert candidate.verdict is SweepVerdict.TOO_YOUNG
    assert candidate.reason == "its age is unknown: none of its orders has a date"
    assert not started(bench)


def test_an_age_before_2010_that_an_earlier_sweep_stored_is_unknown(
    bench: Bench, simulator: Simulator
) -> None:
    (customer,) = add(simulator, 1)
    run_sweep(bench.services, SweepMode.REPORT)
    partner = bench.services.settings.partner_center.tenant_id
    row = bench.sandbox.get_entity(partner, SEEN_ROW_PREFIX + customer.tenant_id)
    bench.sandbox.update_entity({**row, "ageSince": "0001-01-01T00:00:00+00:00"})

    assert found(preview_sweep(bench.services), customer).verdict is SweepVerdict.TOO_YOUNG


def test_without_orders_the_first_sweep_counts(bench: Bench, simulator: Simulator) -> None:
    (customer,) = add(simulator, 1, age_days=None)

    first = run_sweep(bench.services, SweepMode.REPORT)
    later(bench, timedelta(days=7))
    second = run_sweep(bench.services, SweepMode.REPORT)

    assert found(first, customer).verdict is SweepVerdict.TOO_YOUNG
    assert found(second, customer).verdict is SweepVerdict.DELETE
    assert found(second, customer).reason == "7.0 days old by the first sweep that saw it"


def test_a_customer_that_went_and_came_back_is_new(bench: Bench, simulator: Simulator) -> None:
    (customer,) = add(simulator, 1, age_days=None)
    run_sweep(bench.services, SweepMode.REPORT)
    customer.deleted = True
    later(bench, timedelta(days=7))
    run_sweep(bench.services, SweepMode.REPORT)
    customer.deleted = False

    report = run_sweep(bench.services, SweepMode.REPORT)

    assert found(report, customer).age_days == 0


def test_a_preview_writes_nothing_and_reads_no_orders(bench: Bench, simulator: Simulator) -> None:
    (customer,) = add(simulator, 1)

    report = preview_sweep(bench.services)

    assert found(report, customer).verdict is SweepVerdict.TOO_YOUNG
    assert found(report, customer).reason == (
        "its age is unknown: no sweep has read its orders yet"
    )
    assert not orders_read(bench)
    assert last_report(bench.services.reports) is None


def test_a_preview_knows_the_ages_of_the_last_sweep(bench: Bench, simulator: Simulator) -> None:
    add(simulator, 3)
    swept = run_sweep(bench.services, SweepMode.REPORT)
    simulator.clear_calls()

    surveyed = preview_sweep(bench.services)

    assert verdicts(surveyed) == verdicts(swept)
    assert len(bench.calls()) == 1
