"""Fault injection, control over HTTP, and the process."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import requests

from local.simulator import Customer, Fault, ProductKind, Simulator
from tests.simulator.conftest import Client, path_of

CUSTOMERS = "/v1/customers?size=0"


def test_fault_applies_a_number_of_times(simulator: Simulator, client: Client) -> None:
    simulator.add_fault(
        Fault(method="GET", path="/v1/cust*", status=503, times=2, headers={"Retry-After": "7"})
    )
    first = client.get(CUSTOMERS)
    assert (first.status, first.headers["Retry-After"]) == (503, "7")
    assert [client.get(CUSTOMERS).status for _ in range(2)] == [503, 200]


def test_fault_applies_only_to_matching_calls(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="DELETE", path="*", status=500))
    simulator.add_fault(Fault(path="*/orders", status=502, times=None))
    assert client.get(path_of(customer)).status == 200
    assert [client.get(f"{path_of(customer)}/orders").status for _ in range(3)] == [502] * 3
    simulator.clear_faults()
    assert client.delete(path_of(customer)).status == 204


def test_a_call_that_began_before_a_reset_is_not_logged_after_it(
    simulator: Simulator, client: Client
) -> None:
    simulator.add_fault(Fault(delay_seconds=0.2))
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(client.get, CUSTOMERS)
        while simulator._faults._faults:
            wait([slow], timeout=0.01)
        simulator.reset()
        assert slow.result().status == 200
    assert not simulator.calls


def test_fault_can_set_the_body(simulator: Simulator, client: Client) -> None:
    simulator.add_fault(Fault(status=403, body={"code": 800019}))
    simulator.add_fault(Fault(status=500, body="<html>"))
    assert client.get(CUSTOMERS).code == 800019
    assert client.get(CUSTOMERS).content == b"<html>"


@pytest.mark.parametrize("performed", [False, True])
def test_connection_is_dropped_before_or_after_the_call(
    simulator: Simulator, client: Client, customer: Customer, *, performed: bool
) -> None:
    simulator.add_fault(Fault(method="DELETE", drop=True, performed=performed))
    with pytest.raises(requests.ConnectionError):
        client.delete(path_of(customer))
    assert customer.deleted is performed
    assert (simulator.calls[-1].status, simulator.calls[-1].fault) == (None, True)


def test_call_can_be_performed_and_still_fail(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="DELETE", status=504, performed=True))
    assert client.delete(path_of(customer)).status == 504
    assert customer.deleted


def test_response_can_come_late(simulator: Simulator, client: Client) -> None:
    simulator.add_fault(Fault(delay_seconds=0.5))
    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{simulator.url}{CUSTOMERS}", timeout=0.1)
    assert client.get(CUSTOMERS).status == 200


def test_behaviour_is_read_and_changed_over_http(simulator: Simulator, client: Client) -> None:
    path = "/_simulator/behaviour"
    changes = {
        "requestsPerMinute": None,
        "cancel_after_polls": {"perpetual_software": 2},
        "blocked_delete": "409/800014",
    }
    assert client.patch(path, changes).status == 200
    assert client.get(path).json["requests_per_minute"] is None
    assert simulator.behaviour.cancel_after_polls == {ProductKind.PERPETUAL_SOFTWARE: 2}
    assert simulator.behaviour.blocked_delete == "409/800014"


@pytest.mark.parametrize(
    "changes",
    [
        {"nothing": 1},
        {"latency_ms": "slow"},
        {"latency_ms": True},
        {"retry_after": "never"},
        {"cancel_after_polls": {"nothing": 1}},
    ],
)
def test_impossible_behaviour_is_400(
    simulator: Simulator, client: Client, changes: dict[str, object]
) -> None:
    before = simulator.behaviour
    assert client.patch("/_simulator/behaviour", changes).status == 400
    assert simulator.behaviour == before


def test_faults_and_calls_are_controlled_over_http(simulator: Simulator, client: Client) -> None:
    client.post("/_simulator/faults", {"method": "GET", "status": 503, "delaySeconds": 0})
    assert client.get(CUSTOMERS).status == 503
    last = simulator.calls[-1].sequence
    client.get(CUSTOMERS)
    shown = client.get(f"/_simulator/calls?since={last}").json["calls"]
    assert [(one["path"], one["status"], one["isWrite"]) for one in shown] == [
        ("/v1/customers", 200, False)
    ]
    client.delete("/_simulator/calls")
    assert simulator.calls == ()


def test_customer_is_added_and_shown_over_http(simulator: Simulator, client: Client) -> None:
    orders = [{"kind": "azure_plan", "ageDays": 3, "azureSubscriptions": 2}]
    body = {"domain": "new.onmicrosoft.com", "companyName": "New", "orders": orders}
    added = client.post("/_simulator/customers", body).json
    customer = simulator.sandbox.customers[0]

    assert (added["tenantId"], added["companyName"]) == (customer.tenant_id, "New")
    shown: dict[str, Any] = client.get("/_simulator/customers").json["customers"][0]
    assert (shown["account"], shown["deleted"]) == ("sandbox", False)
    assert [one["kind"] for one in shown["orders"]] == ["azure_plan"]
    assert len(shown["orders"][0]["subscription"]["azureSubscriptions"]) == 2


def test_clock_and_reset_over_http(simulator: Simulator, client: Client) -> None:
    before = simulator.clock.now()
    client.post("/_simulator/clock", {"seconds": 3600})
    assert (simulator.clock.now() - before).total_seconds() >= 3600
    assert client.post("/_simulator/clock", {"seconds": -1}).status == 400
    assert len(client.post("/_simulator/reset", {"seed": "small"}).json["customers"]) == 8
    assert client.post("/_simulator/reset", {"seed": "huge"}).status == 400
    assert len(client.get(CUSTOMERS).json["items"]) == 8


def test_process_prints_one_line_and_serves_until_it_is_terminated() -> None:
    command = [sys.executable, "-m", "local.simulator", "--seed", "small"]
    command += ["--requests-per-minute", "1", "--set", "byte_order_mark=false"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout
        line = json.loads(process.stdout.readline())
        behaviour = requests.get(
            f"{line['controlUrl']}/behaviour", verify=line["caFile"], timeout=10
        ).json()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()

    assert (process.returncode, rest) == (0, "")
    assert (behaviour["requests_per_minute"], behaviour["byte_order_mark"]) == (1, False)
    assert len(line["customers"]) == 8
    assert line["environment"]["PARTNER_TENANT_ID"] == line["partnerTenantId"]
    assert line["production"]["partnerTenantId"] != line["partnerTenantId"]
    assert line["environment"]["PARTNER_CENTER_BASE_URL"] == line["url"]
