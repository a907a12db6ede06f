"""When a sweep is refused, and that it then starts nothing."""

from dataclasses import replace

import pytest

from local.simulator import Behaviour, Fault, Simulator
from shared.limits import SANDBOX_CUSTOMERS
from shared.safety.rules import Refused, Rule
from shared.safety.switch import SwitchTripped
from shared.settings import SweepMode
from shared.sweep.run import last_report, preview_sweep, run_sweep
from shared.tenants import TenantId
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, add, started

OTHER_TENANT = "99999999-0000-4000-8000-000000000001"
NOT_A_SANDBOX = {"code": 800019, "description": "not a sandbox"}


def test_more_customers_than_a_sandbox_holds_are_refused(
    bench: Bench, simulator: Simulator
) -> None:
    add(simulator, SANDBOX_CUSTOMERS + 1, age_days=None)

    for sweep in (preview_sweep, lambda services: run_sweep(services, SweepMode.DELETE)):
        with pytest.raises(Refused, match="more than 75 customers"):
            sweep(bench.services)
    assert last_report(bench.services.reports) is None


@pytest.mark.parametrize(
    ("customers", "selected"), [(SANDBOX_CUSTOMERS, True), (SANDBOX_CUSTOMERS + 1, False)]
)
def test_a_sweep_counts_customers_and_not_rows(
    bench: Bench, simulator: Simulator, customers: int, *, selected: bool
) -> None:
    simulator.behaviour = Behaviour(customers_page_size=25, customers_page_overlap=4)
    add(simulator, customers, age_days=None)

    if selected:
        assert preview_sweep(bench.services).customers == SANDBOX_CUSTOMERS
    else:
        with pytest.raises(Refused, match="more than 75 customers"):
            preview_sweep(bench.services)


@pytest.mark.parametrize(
    "environment",
    [{**PROTECTED, "SANDBOX_TENANT_CONFIRMATION": OTHER_TENANT}, {}],
    ids=["unconfirmed", "nothing protected"],
)
def test_a_rule_of_the_settings_refuses_before_any_call(
    bench: Bench, simulator: Simulator, environment: dict[str, str]
) -> None:
    add(simulator, 1)
    bench.use(**environment)

    with pytest.raises(Refused):
        run_sweep(bench.services, SweepMode.DELETE)
    assert not bench.calls()
    assert not started(bench)


def test_a_token_of_another_tenant_is_refused(bench: Bench, simulator: Simulator) -> None:
    add(simulator, 1)
    tenant = TenantId(OTHER_TENANT)
    partner = replace(bench.services.settings.partner_center, tenant_id=tenant)
    moved = replace(
        bench.services.settings, partner_center=partner, sandbox_tenant_confirmation=tenant
    )

    with pytest.raises(Refused, match="the access token was issued in tenant"):
        run_sweep(bench.with_settings(moved), SweepMode.DELETE)
    assert not bench.calls()


@pytest.mark.parametrize("path", ["*/customers", "*/orders"])
def test_an_account_that_is_not_a_sandbox_trips_the_switch(
    bench: Bench, simulator: Simulator, path: str
) -> None:
    add(simulator, 1)
    simulator.add_fault(Fault(path=path, status=403, body=NOT_A_SANDBOX))

    with pytest.raises(Refused) as refused:
        run_sweep(bench.services, SweepMode.DELETE)

    assert refused.value.rule is Rule.SANDBOX
    assert bench.services.switch.read().tripped
    assert not started(bench)


def test_a_tripped_switch_lets_a_sweep_report_and_not_delete(
    bench: Bench, simulator: Simulator
) -> None:
    add(simulator, 1)
    bench.services.switch.trip("ann", "to be on the safe side")

    report = run_sweep(bench.services, SweepMode.REPORT)
    with pytest.raises(SwitchTripped, match="by ann: to be on the safe side"):
        run_sweep(bench.services, SweepMode.DELETE)

    assert len(report.selected) == 1
    assert not started(bench)
