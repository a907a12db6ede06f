"""Recorded responses with one member replaced, at any depth, by a value of any JSON type."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.dry_run import dry_run
from shared.partner_center.errors import PartnerCenterError
from shared.partner_center.resources import UNREAD
from shared.safety.rules import Refused
from shared.settings import SweepMode
from shared.sweep.run import preview_sweep, run_sweep
from shared.tenants import TenantId
from tests.bench import Bench

Place = tuple[str | int, ...]

VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "odd",
        "..",
        "a\ud83d",
        "\n",
        "x" * 5000,
        "0001-01-01T00:00:00",
        [],
        [None],
        [[]],
        {},
        {"id": 7},
        {"next": {"uri": "https://["}},
    ]
)
# 1 in every run; the profile of `make test-all` asks for more.
SCALE = settings().max_examples // 100
KINDS = (ProductKind.PERPETUAL_SOFTWARE, ProductKind.NCE_LICENCES, ProductKind.AZURE_PLAN)


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every member and element, the whole first."""
    yield place
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*place, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from places(each, (*place, number))


def with_value(whole: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    changed = deepcopy(whole)
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


def recorded(bench: Bench, path: str) -> Any:
    return bench.services.connection.call(
        "GET",
        path,
        correlation_id="c",
        deadline=bench.services.deadline(),
        gate=lambda: None,
    ).body


def paths(customer: Customer) -> list[str]:
    own = f"customers/{customer.tenant_id}"
    plans = [each.id for each in customer.subscriptions if each.azure_subscriptions]
    return [
        "customers",
        own,
        f"{own}/orders",
        f"{own}/subscriptions",
        f"{own}/entitlements",
        *(f"{own}/subscriptions/{plan}/azureEntitlements" for plan in plans),
    ]


@pytest.mark.slow
@settings(max_examples=20 * SCALE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_response_raises_a_python_error_or_cancels_what_was_not_read(
    bench: Bench, simulator: Simulator, data: st.DataObject
) -> None:
    customer = start(bench, simulator)
    path = data.draw(st.sampled_from(paths(customer)))
    body = recorded(bench, path)
    place = data.draw(st.sampled_from(list(places(body))))
    text = json.dumps(with_value(body, place, data.draw(VALUES)))

    run_everything(bench, simulator, customer, Fault(method="GET", path=f"/v1/{path}", body=text))


@pytest.mark.slow
@settings(max_examples=15 * SCALE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_response_to_a_write_raises_a_python_error(
    bench: Bench, simulator: Simulator, data: st.DataObject
) -> None:
    customer = start(bench, simulator)
    path = data.draw(st.sampled_from(["orders", "subscriptions"]))
    body = recorded(bench, f"customers/{customer.tenant_id}/{path}")["items"][0]
    place = data.draw(st.sampled_from(list(places(body))))
    text = json.dumps(with_value(body, place, data.draw(VALUES)))

    run_everything(bench, simulator, customer, Fault(method="PATCH", path=f"*/{path}/*", body=text))


@pytest.mark.parametrize("depth", [100, 900, 1000, 3000, 100_000])
@pytest.mark.parametrize("member", ["lineItems", "x", "id"])
def test_no_nesting_is_too_deep(
    bench: Bench, simulator: Simulator, depth: int, member: str
) -> None:
    customer = start(bench, simulator)
    path = f"customers/{customer.tenant_id}/orders"
    text = json.dumps(with_value(recorded(bench, path), ("items", 0, member), "@"))

    fault = Fault(method="GET", path=f"/v1/{path}", body=text.replace('"@"', deep(depth)))
    run_everything(bench, simulator, customer, fault)


def start(bench: Bench, simulator: Simulator) -> Customer:
    simulator.reset("empty")
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    bench.use(PROTECTED_DOMAINS="keep-*", **simulator.environment())
    bench.errors.clear()
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    for kind in KINDS:
        customer.add_order(kind, age_days=20 if kind is ProductKind.PERPETUAL_SOFTWARE else 1)
    return customer


def run_everything(bench: Bench, simulator: Simulator, customer: Customer, fault: Fault) -> None:
    simulator.add_fault(replace(fault, status=200, times=None))
    tenant = TenantId(customer.tenant_id)
    acts: list[Callable[[], object]] = [
        lambda: dry_run(bench.services, tenant),
        lambda: preview_sweep(bench.services),
        lambda: run_sweep(bench.services, SweepMode.REPORT),
    ]
    for act in acts:
        with suppress(PartnerCenterError, Refused):
            act()
    assert not bench.writes()

    bench.drop(tenant)
    bench.pump(passes=4)

    unexpected = [error for error in bench.errors if not isinstance(error, PartnerCenterError)]
    assert unexpected == []
    unread = {each.id for each in bench.record(tenant).purchases if each.status == UNREAD}
    assert not [call.path for call in bench.writes() if call.path.split("/")[-1] in unread]
    if unread:
        assert not bench.calls("DELETE")
