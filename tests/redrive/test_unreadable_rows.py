"""One row that this version cannot read stops nothing but the deletion it belongs to."""

import pytest

from local.simulator import Simulator
from shared.deletion.messages import DeletionRequest
from shared.deletion.redrive import GRACE
from shared.deletion.submission import submit
from shared.settings import SweepMode
from shared.storage.names import (
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
)
from shared.sweep.decision import SweepVerdict
from shared.sweep.run import run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, found, later, started


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.use(**PROTECTED)
    return bench


def request(bench: Bench, tenant: str) -> None:
    submit(bench.services, DeletionRequest(TenantId(tenant)))


def test_redrive_resends_the_lost_messages_of_the_others(
    bench: Bench, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    odd, lost = add(simulator, 2)
    for each in (odd, lost):
        request(bench, each.tenant_id)
    bench.queues.get_queue_client(ORDERS_TO_CHECK).clear_messages()
    bench.make_unreadable(odd.tenant_id)
    later(bench, GRACE)

    bench.redrive()
    bench.pump()

    assert f"row_unreadable key={odd.tenant_id}" in caplog.text
    assert lost.deleted
    assert not odd.deleted


def test_a_sweep_leaves_the_customer_alone_and_starts_the_others(
    bench: Bench, simulator: Simulator
) -> None:
    """What cannot be read may say that a person has aborted it."""
    odd, other = add(simulator, 2)
    request(bench, odd.tenant_id)
    bench.make_unreadable(odd.tenant_id)

    report = run_sweep(bench.services, SweepMode.DELETE)

    assert found(report, odd).verdict is SweepVerdict.UNREADABLE
    assert "'paused' is not a valid State" in found(report, odd).reason
    assert started(bench) == [other.tenant_id]


def test_a_drop_is_recorded_as_rejected_and_leaves_the_row_alone(
    bench: Bench, simulator: Simulator
) -> None:
    (odd,) = add(simulator, 1)
    request(bench, odd.tenant_id)
    bench.queues.get_queue_client(ORDERS_TO_CHECK).clear_messages()
    bench.make_unreadable(odd.tenant_id)
    etag = bench.services.records.etag(TenantId(odd.tenant_id))

    bench.drop(odd.tenant_id)
    bench.pump()

    (rejected,) = bench.poisoned()
    assert "cannot be read" in rejected["reason"]
    assert bench.waiting(CUSTOMERS_TO_DELETE + POISON_SUFFIX) == 0
    assert bench.services.records.etag(TenantId(odd.tenant_id)) == etag
    assert not bench.writes()
