"""Throttling, failures half-way and two sweeps at once."""

import itertools
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.storage.queue import QueueServiceClient

from local.simulator import Fault, Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.redrive import GRACE
from shared.deletion.submission import abort, submit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.deadline import Deadline
from shared.partner_center.resources import Order
from shared.settings import SweepMode
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.queues import Queues
from shared.storage.records import State
from shared.sweep.decision import REQUESTED_BY, SweepVerdict
from shared.sweep.run import run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, found, ids, later, orders_read, started


def test_throttling_ends_the_reading_of_ages_and_what_is_unknown_stays(
    bench: Bench, simulator: Simulator
) -> None:
    first, second, third = add(simulator, 3)
    simulator.add_fault(
        Fault(path=f"*/{second.tenant_id}/orders", status=429, headers={"Retry-After": "60"})
    )

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert report.selected == (first.tenant_id,)
    assert started(bench) == [first.tenant_id]
    assert "failed with status 429" in found(report, second).reason
    assert found(report, third).reason == (
        "its age is unknown: its orders were not read, because Partner Center throttles"
    )
    assert orders_read(bench) == ids([first, second])


def test_a_row_that_cannot_be_read_counts_towards_the_limit(
    bench: Bench, simulator: Simulator
) -> None:
    first, second, third = add(simulator, 3)
    submit(bench.services, DeletionRequest(TenantId(first.tenant_id), REQUESTED_BY))
    bench.make_unreadable(first.tenant_id)
    bench.use(**PROTECTED, SWEEP_MAX_DELETIONS="2")

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert report.selected == (second.tenant_id,)
    assert found(report, third).verdict is SweepVerdict.OVER_LIMIT
    assert started(bench) == [second.tenant_id]


def test_a_lost_connection_ends_the_reading_of_ages(bench: Bench, simulator: Simulator) -> None:
    first, second = add(simulator, 2)
    simulator.add_fault(Fault(path=f"*/{first.tenant_id}/orders", drop=True, times=None))

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert not report.selected
    assert "got no response" in found(report, second).reason
    assert set(orders_read(bench)) == set(ids([first]))


def test_reading_ages_ends_after_90_seconds(bench: Bench, simulator: Simulator) -> None:
    first, second = add(simulator, 2)
    start = bench.services.now()
    seconds = itertools.count(0, 50)
    slow = replace(bench.services, now=lambda: start + timedelta(seconds=next(seconds)))

    report = run_sweep(slow, SweepMode.REPORT)

    assert report.selected == (first.tenant_id,)
    assert "reading orders took more than 90 s" in found(report, second).reason
    assert orders_read(bench) == ids([first])


def test_orders_without_a_date_give_no_age(bench: Bench, simulator: Simulator) -> None:
    (customer,) = add(simulator, 1)
    undated = {"totalCount": 1, "items": [{"id": "x", "status": "completed"}]}
    simulator.add_fault(Fault(path="*/orders", status=200, body=undated))

    candidate = found(run_sweep(bench.services, SweepMode.REPORT), customer)

    assert candidate.reason == "its age is unknown: none of its orders has a date"


def test_a_customer_whose_orders_fail_does_not_stop_the_others(
    bench: Bench, simulator: Simulator
) -> None:
    first, second, third = add(simulator, 3)
    simulator.add_fault(Fault(path=f"*/{second.tenant_id}/orders", status=500))

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert report.selected == (first.tenant_id, third.tenant_id)
    assert found(report, second).verdict is SweepVerdict.TOO_YOUNG


def test_two_sweeps_at_once_delete_nobody_twice_and_keep_the_limit(
    bench: Bench, simulator: Simulator
) -> None:
    bench.use(**PROTECTED, SWEEP_MAX_DELETIONS="4")
    oldest = add(simulator, 7)[:4]
    together = threading.Barrier(2)

    def sweep() -> None:
        together.wait()
        run_sweep(bench.services, SweepMode.DELETE)

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(started(bench)) == sorted(ids(oldest))
    assert bench.waiting(ORDERS_TO_CHECK) == 4


def test_what_a_person_aborts_while_the_sweep_reads_ages_stays_aborted(
    bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.use(**PROTECTED)
    (customer,) = add(simulator, 1)
    tenant = TenantId(customer.tenant_id)
    original = PartnerCenter.orders

    def orders(client: PartnerCenter, customer_id: str) -> list[Order]:
        submit(bench.services, DeletionRequest(tenant))
        abort(bench.services, tenant, "ann")
        return original(client, customer_id)

    monkeypatch.setattr(PartnerCenter, "orders", orders)

    run_sweep(bench.services, SweepMode.DELETE)

    assert bench.record(tenant).state is State.ABORTED


def test_a_sweep_that_knew_less_than_another_keeps_the_limit(
    bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one starts its deletions after this one has listed the records."""
    bench.use(**PROTECTED, SWEEP_MAX_DELETIONS="2")
    customers = add(simulator, 4)
    others = [TenantId(each.tenant_id) for each in customers[2:]]
    original = PartnerCenter.orders

    def orders(client: PartnerCenter, customer_id: str) -> list[Order]:
        for tenant in others:
            submit(bench.services, DeletionRequest(tenant, REQUESTED_BY))
        return original(client, customer_id)

    monkeypatch.setattr(PartnerCenter, "orders", orders)

    run_sweep(bench.services, SweepMode.DELETE)

    assert sum(record.live for record in bench.services.records.all()) == 2


class LosingTransport(RequestsTransport):  # type: ignore[misc]  # the SDK leaves it untyped
    """Loses the connection when one of the messages is sent."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._left = lost

    def send(self, request: HttpRequest, **options: Any) -> Any:
        if request.method == "POST":
            self._left -= 1
            if not self._left:
                message = "connection lost"
                raise ServiceRequestError(message)
        return super().send(request, **options)


def test_a_sweep_that_fails_half_way_deletes_nobody_twice_and_forgets_nobody(
    bench: Bench, simulator: Simulator, storage: str
) -> None:
    customers = add(simulator, 5)
    whole = bench.services
    with QueueServiceClient.from_connection_string(
        storage, transport=LosingTransport(lost=3), retry_total=0
    ) as losing:
        bench.put(replace(whole, queues=Queues(losing)))
        with pytest.raises(ServiceRequestError):
            run_sweep(bench.services, SweepMode.DELETE)
    bench.put(whole)
    assert bench.waiting(ORDERS_TO_CHECK) == 2

    run_sweep(bench.services, SweepMode.DELETE)
    assert bench.waiting(ORDERS_TO_CHECK) == 4
    later(bench, GRACE)
    bench.redrive()
    bench.pump()

    assert all(each.deleted for each in customers)
    assert sorted(started(bench)) == sorted(ids(customers))
    assert len(bench.calls("DELETE")) == 5


def test_a_sweep_whose_time_is_over_leaves_the_rest_to_the_next(
    bench: Bench, simulator: Simulator
) -> None:
    for number in range(2):
        simulator.sandbox.add_customer(f"tipdemo00{number}.onmicrosoft.com")
    bench.use(**PROTECTED, SWEEP_MIN_AGE_DAYS="0")
    everything = bench.services
    times = iter([Deadline.after(), Deadline.after(0)])

    report = run_sweep(replace(everything, deadline=lambda: next(times)), SweepMode.DELETE)

    assert len(report.selected) == 2
    assert not list(everything.records.all())
    (entry,) = everything.history.account_page("", 1)
    assert "2 selected, 0 started" in entry.detail

    run_sweep(everything, SweepMode.DELETE)
    assert len(list(everything.records.all())) == 2
