"""A Logic App's HTTP action drives deletions from end to end, on a host with all functions."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from local.host.configuration import parse_configuration
from local.host.host import Host
from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import fresh_app
from tests.http.logic_app import LogicApp
from tests.in_process import run_in_process

STRANGER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
QUEUES = {"maxPollingInterval": "00:00:00.1", "messageEncoding": "none"}
SECONDS = 30


@pytest.fixture
def host(bench: Bench, storage: str) -> Iterator[Host]:  # noqa: ARG001 - the functions' services
    configuration = parse_configuration({"version": "2.0", "extensions": {"queues": QUEUES}}, {})
    settings = {"AzureWebJobsStorage": storage}
    with run_in_process(fresh_app(), settings, configuration=configuration) as host:
        yield host


@pytest.fixture
def logic_app() -> LogicApp:
    """Give an action whose waits pass quickly, and end the test if they never end."""
    deadline = time.monotonic() + SECONDS

    def sleep(_: float) -> None:
        assert time.monotonic() < deadline, "the deletion never ends"
        time.sleep(0.02)

    return LogicApp(sleep)


def start(logic_app: LogicApp, host: Host, tenant: str) -> requests.Response:
    return logic_app.run(f"{host.url}/api/deletions", {"tenantId": tenant})


def test_a_deleted_customer_ends_the_action_with_200(
    host: Host, logic_app: LogicApp, customer: Customer
) -> None:
    customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_polls=2)

    response = start(logic_app, host, customer.tenant_id)

    assert (response.status_code, response.json()["state"]) == (200, "deleted")
    assert customer.deleted
    assert [method for method, _ in logic_app.requests_sent].count("POST") == 1


def test_a_sweep_ends_the_action_with_its_report(
    host: Host, logic_app: LogicApp, customer: Customer
) -> None:
    response = logic_app.run(f"{host.url}/api/sweeps", {"mode": "report"})

    assert (response.status_code, response.json()["state"]) == (200, "finished")
    (swept,) = response.json()["report"]["customers"]
    assert swept["tenantId"] == customer.tenant_id


def test_a_stuck_customer_ends_the_action_with_409(
    host: Host, logic_app: LogicApp, stuck_customer: Customer
) -> None:
    response = start(logic_app, host, stuck_customer.tenant_id)

    assert (response.status_code, response.json()["state"]) == (409, "stuck")
    assert response.json()["remedy"]


def test_a_foreign_customer_ends_the_action_with_422(host: Host, logic_app: LogicApp) -> None:
    response = start(logic_app, host, STRANGER)

    assert (response.status_code, response.json()["state"]) == (422, "refused")


def test_the_partner_itself_ends_the_action_at_once(
    host: Host, logic_app: LogicApp, simulator: Simulator
) -> None:
    response = start(logic_app, host, simulator.sandbox.tenant_id)

    assert (response.status_code, response.json()["state"]) == (422, "refused")
    assert logic_app.waits == []


def test_an_aborted_deletion_ends_the_action_with_409(
    host: Host, logic_app: LogicApp, customer: Customer
) -> None:
    customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_polls=10_000)
    sleep = logic_app.sleep

    def abort(seconds: float) -> None:
        requests.delete(
            f"{host.url}/api/deletions/{customer.tenant_id}?requestedBy=ann", timeout=SECONDS
        )
        sleep(seconds)

    logic_app.sleep = abort

    response = start(logic_app, host, customer.tenant_id)

    assert (response.status_code, response.json()["state"]) == (409, "aborted")
    assert not customer.deleted


def test_the_action_waits_as_long_as_it_is_told(
    host: Host, logic_app: LogicApp, customer: Customer, simulator: Simulator
) -> None:
    """A 429 from Partner Center delays the next check, and Retry-After follows it."""
    simulator.add_fault(
        Fault("GET", "/v1/customers/*/orders", status=429, headers={"Retry-After": "2"})
    )

    start(logic_app, host, customer.tenant_id)

    assert customer.deleted
    assert {1.0, 2.0} <= set(logic_app.waits)


class ResponsesLost(HTTPAdapter):
    """Delivers requests and loses the first responses on the way back."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        response = super().send(*arguments, **options)
        if self.lost:
            self.lost -= 1
            response.close()
            raise requests.ReadTimeout
        return response


def test_lost_responses_start_no_second_deletion(
    host: Host, logic_app: LogicApp, customer: Customer, bench: Bench
) -> None:
    """The POST arrives five times."""
    logic_app.session.mount("http://", ResponsesLost(4))

    response = start(logic_app, host, customer.tenant_id)

    assert response.status_code == 200
    assert [method for method, _ in logic_app.requests_sent].count("POST") == 5
    assert len(bench.calls("PATCH")) == 1
    assert len(bench.calls("DELETE")) == 1


def test_the_action_goes_on_when_the_switch_is_reset_in_time(
    host: Host, logic_app: LogicApp, customer: Customer, bench: Bench
) -> None:
    bench.services.switch.trip("ann", "Looking")
    sleep = logic_app.sleep

    def reset(seconds: float) -> None:
        bench.services.switch.reset("ann", "All is well")
        sleep(seconds)

    logic_app.sleep = reset

    assert start(logic_app, host, customer.tenant_id).status_code == 200


def test_the_action_gives_up_while_the_switch_is_tripped(
    host: Host, logic_app: LogicApp, customer: Customer, bench: Bench
) -> None:
    bench.services.switch.trip("ann", "Looking")

    response = start(logic_app, host, customer.tenant_id)

    assert response.status_code == 503
    assert "Looking" in response.json()["detail"]
    assert len(logic_app.requests_sent) == 5
    assert bench.services.records.get(TenantId(customer.tenant_id)) is None
