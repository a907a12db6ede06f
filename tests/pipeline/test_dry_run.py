"""A dry run shows what a deletion would do and changes nothing."""

import json

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.dry_run import dry_run
from shared.partner_center.errors import NotFound
from shared.tenants import TenantId
from tests.bench import Bench


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for kind in (ProductKind.PERPETUAL_SOFTWARE, ProductKind.NCE_LICENCES):
        customer.add_order(kind)
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=61)
    return customer


def test_it_logs_each_purchase_and_writes_nothing(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    lines = [record.getMessage() for record in caplog.records]
    actions = [line for line in lines if line.startswith("dry_run_action ")]
    assert len(actions) == 4
    assert sum("action=cancel_order" in line for line in actions) == 1
    assert sum("action=delete_subscription" in line for line in actions) == 1
    assert any("older than 60 days" in line for line in actions)
    assert lines[-1].startswith("dry_run_finished ")
    assert not bench.writes()
    assert bench.services.records.get(TenantId(customer.tenant_id)) is None


def test_it_says_why_it_would_be_refused(
    bench: Bench, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    bench.use(PROTECTED_TENANTS=customer.tenant_id)
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert "dry_run_finished" in caplog.text
    assert "PROTECTED_TENANTS" in caplog.text
    assert not bench.writes()


def test_it_leaves_a_deletion_in_progress_alone(bench: Bench, customer: Customer) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    before = bench.record(customer.tenant_id)

    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))
    bench.pump(passes=1)

    assert bench.record(customer.tenant_id).correlation_id == before.correlation_id


def test_it_trips_the_switch_where_the_account_is_no_sandbox(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": "800019", "description": "not a sandbox"}
    simulator.add_fault(Fault(path="*/orders", status=403, body=body))
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert bench.services.switch.read().tripped
    assert not bench.errors


def test_a_customer_that_is_gone_but_still_listed_is_refused(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    other = simulator.sandbox.add_customer("other.onmicrosoft.com")
    bench.run(other.tenant_id)
    customer.deleted = True
    bench.drop(json.dumps({"tenantId": customer.tenant_id, "dryRun": True}))

    bench.pump()

    assert "outcome=refused" in caplog.text
    assert not bench.errors


def test_an_outage_of_a_route_is_not_taken_for_a_customer_that_is_gone(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=404))

    with pytest.raises(NotFound):
        dry_run(bench.services, TenantId(customer.tenant_id))
