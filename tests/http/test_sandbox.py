"""`/api/sandbox` and `/api/sweeps`."""

import pytest

from local.simulator import Customer, ProductKind, Simulator
from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.bench import Bench
from tests.http.app import App


@pytest.fixture
def old_customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("old001.onmicrosoft.com", "Old 001")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=30)
    return customer


def verdicts(members: dict[str, object]) -> dict[str, str]:
    customers = members["customers"]
    assert isinstance(customers, list)
    return {each["tenantId"]: each["verdict"] for each in customers}


def test_the_sandbox_shows_slots_and_verdicts(
    api: App, bench: Bench, old_customer: Customer, customer: Customer
) -> None:
    bench.use(PROTECTED_DOMAINS="old*")
    api.post("/api/deletions", {"tenantId": customer.tenant_id})

    response = api.get("/api/sandbox")

    assert response.status == 200
    assert response.json["slots"] == {"total": 75, "used": 2, "free": 73}
    assert verdicts(response.json) == {
        old_customer.tenant_id: "protected",
        customer.tenant_id: "in_progress",
    }
    assert all(each["reason"] for each in response.json["customers"])
    assert response.json["lastSweep"] is None


def test_the_sandbox_shows_the_report_of_the_last_sweep(
    api: App, bench: Bench, old_customer: Customer
) -> None:
    report = api.sweep(bench, "report").json["report"]

    assert verdicts(report) == {old_customer.tenant_id: "delete"}
    assert api.get("/api/sandbox").json["lastSweep"] == report


def test_a_sweep_that_reports_starts_nothing(
    api: App, bench: Bench, old_customer: Customer
) -> None:
    api.post("/api/sweeps", {"mode": "report"})
    bench.pump()

    assert not old_customer.deleted


def test_a_sweep_that_deletes_does_what_it_reported(
    api: App, bench: Bench, old_customer: Customer, customer: Customer
) -> None:
    bench.use(PROTECTED_DOMAINS="none")
    reported = api.sweep(bench, "report").json["report"]

    deleted = api.sweep(bench, "delete").json["report"]
    bench.pump()

    assert verdicts(deleted) == verdicts(reported)
    assert (old_customer.deleted, customer.deleted) == (True, False)


def test_a_sweep_needs_a_protection_list_to_delete(api: App, old_customer: Customer) -> None:
    response = api.post("/api/sweeps", {"mode": "delete"})

    assert (response.status, response.problem) == (422, "refused")
    assert "PROTECTED_DOMAINS" in response.json["detail"]
    assert not old_customer.deleted


@pytest.mark.parametrize("mode", ["report", "delete"])
def test_an_account_of_76_customers_is_not_a_sandbox(
    api: App, bench: Bench, simulator: Simulator, mode: str
) -> None:
    bench.use(PROTECTED_DOMAINS="none")
    for number in range(76):
        customer = simulator.sandbox.add_customer(f"many{number:03}.onmicrosoft.com")
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=30)

    swept, shown = api.sweep(bench, mode), api.get("/api/sandbox")

    assert (swept.status, swept.problem) == (422, "refused")
    assert (shown.status, shown.problem) == (422, "refused")
    assert "75" in swept.json["detail"]
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 0
    assert bench.writes() == []
