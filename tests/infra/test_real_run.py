"""Alerts and workbook on what the app logs while it deletes customers of the simulator."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.storage.records import State
from tests.bench import Bench
from tests.infra.kql import run
from tests.infra.test_alerts import ALERTS, NOW, fires
from tests.infra.test_workbook import QUERIES

Rows = list[dict[str, Any]]


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.fixture
def traces(caplog: pytest.LogCaptureFixture) -> Callable[[], Rows]:
    """Give what Application Insights would hold of the app's log lines."""
    caplog.set_level(logging.INFO, logger="tipsweep")
    start = NOW - timedelta(minutes=5)
    return lambda: [
        {"timestamp": start + timedelta(milliseconds=n), "message": record.getMessage()}
        for n, record in enumerate(caplog.records)
        if record.name == "tipsweep"
    ]


def firing(rows: Rows) -> set[str]:
    """Return the alerts that fire, apart from those on missing lines."""
    return {name for name in ALERTS if not name.endswith("-silent") and fires(name, rows)}


def test_a_deletion_that_succeeds_fires_nothing_and_shows_up_in_the_charts(
    bench: Bench, customer: Customer, traces: Callable[[], Rows]
) -> None:
    assert bench.run(customer.tenant_id).state is State.DELETED

    rows = traces()
    [calls] = run(QUERIES["calls"], rows, NOW)
    [duration] = run(QUERIES["duration"], rows, NOW)
    [state] = run(QUERIES["states"], rows, NOW)
    assert firing(rows) == set()
    assert calls["Calls"] == len(bench.calls())
    assert duration["p50"] == duration["p95"] >= 0
    assert (state["State"], state["Deletions"]) == ("deleted", 1)


def test_throttled_calls_show_up_in_the_chart(
    bench: Bench, simulator: Simulator, customer: Customer, traces: Callable[[], Rows]
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=429, headers={"Retry-After": "0"}))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    [calls] = run(QUERIES["calls"], traces(), NOW)
    assert calls["Throttled"] == 1


def test_an_order_that_is_too_old_fires_stuck_and_is_in_the_table(
    bench: Bench, customer: Customer, traces: Callable[[], Rows]
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=70)

    record = bench.run(customer.tenant_id)

    [row] = run(QUERIES["stuck"], traces(), NOW)
    assert firing(traces()) == {"stuck"}
    assert (row["Tenant"], row["Reason"]) == (customer.tenant_id, record.reason)


def test_a_message_that_is_not_a_tenant_id_fires_poison(
    bench: Bench, traces: Callable[[], Rows]
) -> None:
    bench.drop("not a tenant ID")
    bench.pump()

    assert firing(traces()) == {"poison"}


def test_a_wrong_secret_fires_sign_in(
    bench: Bench, simulator: Simulator, customer: Customer, traces: Callable[[], Rows]
) -> None:
    body = {"error": "invalid_client", "error_description": "AADSTS7000222: secret expired"}
    simulator.add_fault(Fault(path="*/token", status=401, body=body, times=None))

    bench.run(customer.tenant_id)

    assert firing(traces()) == {"sign-in"}


def test_production_credentials_fire_the_switch(
    bench: Bench, simulator: Simulator, customer: Customer, traces: Callable[[], Rows]
) -> None:
    body = {"code": 800019, "description": "Only in the sandbox."}
    simulator.add_fault(Fault(method="PATCH", status=403, body=body))

    bench.run(customer.tenant_id)

    assert firing(traces()) == {"switch-tripped"}
