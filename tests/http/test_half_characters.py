"""Half an emoji, as tools leave it that cut a text, keeps no page and no response from anybody."""

import json
from typing import Any

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.dry_run_result import DryRunResult, Outcome
from shared.deletion.poison import Poisoned, record_poisoned
from shared.settings import SweepMode
from shared.storage.names import (
    CUSTOMERS_TO_DELETE,
    DELETIONS_TABLE,
    PLAN_ROW_PREFIX,
    SWEEP_REPORT_ROW,
)
from shared.sweep.decision import Candidate, SweepVerdict
from shared.sweep.report import SweepReport
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import JSON, App
from tests.http.chromium import text_of

HALF = "Contoso \ud83d"
WHOLE = "Contoso \ufffd"
OTHER = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")


def strict(content: bytes) -> Any:
    """Read JSON as readers do that take whole characters only."""
    value = json.loads(content.decode())
    json.dumps(value, ensure_ascii=False).encode()
    return value


@pytest.fixture
def odd_customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo003.onmicrosoft.com", HALF)
    customer.add_order(ProductKind.SAVINGS_PLAN)
    return customer


def test_a_company_name_is_shown_everywhere(api: App, bench: Bench, odd_customer: Customer) -> None:
    tenant = odd_customer.tenant_id

    assert WHOLE in text_of(api.get("/api/status").text)
    (candidate,) = strict(api.get("/api/sandbox").content)["customers"]
    assert candidate["companyName"] == WHOLE
    strict(api.sweep(bench, "report").content)
    (swept,) = strict(api.get("/api/sandbox").content)["lastSweep"]["customers"]
    assert swept["companyName"] == WHOLE
    direct = strict(api.post("/api/deletions", {"tenantId": tenant, "dryRun": True}).content)
    assert direct["companyName"] == WHOLE
    bench.drop(json.dumps({"tenantId": tenant, "dryRun": True}))
    bench.pump()
    plan = strict(api.get(f"/api/deletions/{tenant}/plan").content)
    assert plan["companyName"] == WHOLE


def test_what_partner_center_says_of_an_error_is_shown(
    api: App, bench: Bench, simulator: Simulator, odd_customer: Customer
) -> None:
    tenant = odd_customer.tenant_id
    body = {"code": "900000", "description": HALF}
    simulator.add_fault(Fault(method="DELETE", status=400, body=body, times=None))

    api.post("/api/deletions", {"tenantId": tenant})
    bench.pump()

    shown = strict(api.get(f"/api/deletions/{tenant}").content)
    assert WHOLE in shown["reason"]
    assert WHOLE in text_of(api.get("/api/status").text)
    strict(api.get(f"/api/deletions/{tenant}/history").content)


def test_a_caller_and_a_reason_are_replaced_when_they_are_read(
    api: App, bench: Bench, customer: Customer
) -> None:
    escaped = json.dumps({"tenantId": customer.tenant_id, "requestedBy": HALF}).encode()

    response = api.call("POST", "/api/deletions", body=escaped, headers=JSON)
    api.put("/api/switch", {"requestedBy": HALF, "reason": HALF})

    assert response.status == 202
    assert bench.record(customer.tenant_id).requested_by == WHOLE
    state = strict(api.get("/api/switch").content)
    assert (state["requestedBy"], state["reason"]) == (WHOLE, WHOLE)
    assert WHOLE in text_of(api.get("/api/status").text)


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_a_name_in_a_drop_is_replaced_when_it_is_read(
    api: App, bench: Bench, customer: Customer, odd_customer: Customer, several: bool
) -> None:
    drops = [{"tenantId": each.tenant_id, "requestedBy": HALF} for each in (customer, odd_customer)]

    bench.drop(json.dumps(drops if several else drops[0]))
    bench.pump()

    assert strict(api.get(f"/api/deletions/{customer.tenant_id}").content)["requestedBy"] == WHOLE
    assert not bench.poisoned()


def test_a_rejected_message_is_shown(api: App, bench: Bench) -> None:
    bench.drop(json.dumps({"tenantId": OTHER, HALF: 1}))
    bench.drop('"' + HALF.encode("unicode_escape").decode() + '"')
    bench.pump()

    items = strict(api.get("/api/requests/rejected").content)["items"]

    assert len(items) == 2
    assert "Not handled" in text_of(api.get("/api/status").text)


def test_rows_of_an_earlier_version_are_shown(
    api: App, bench: Bench, odd_customer: Customer
) -> None:
    tenant = odd_customer.tenant_id
    api.post("/api/deletions", {"tenantId": tenant})
    bench.pump()
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "m", b"contoso"))
    spoil(bench, tenant)

    page = text_of(api.get("/api/status").text)

    assert page.count(WHOLE) >= 4
    record = strict(api.get(f"/api/deletions/{tenant}").content)
    assert (record["reason"], record["domain"]) == (WHOLE, WHOLE)
    assert record["purchases"][0]["name"] == WHOLE
    assert strict(api.get("/api/requests/rejected").content)["items"][0]["reason"] == WHOLE
    assert strict(api.get(f"/api/deletions/{tenant}/plan").content)["companyName"] == WHOLE
    (candidate,) = strict(api.get("/api/sandbox").content)["lastSweep"]["customers"]
    assert candidate["companyName"] == WHOLE


def spoil(bench: Bench, tenant: str) -> None:
    """Put half a character into every text that people see."""
    partner = bench.services.settings.partner_center.tenant_id
    table = bench.tables.get_table_client(DELETIONS_TABLE)
    row = dict(table.get_entity(partner, tenant))
    purchases = [{**each, "name": HALF} for each in json.loads(row["purchases"])]
    texts = dict.fromkeys(("reason", "remedy", "domain", "requestedBy", "lastError"), HALF)
    table.update_entity({**row, **texts, "purchases": json.dumps(purchases)})
    (rejected,) = bench.poisoned()
    bench.sandbox.update_entity({**rejected, "reason": HALF, "body": HALF})
    now = bench.services.now()
    result = DryRunResult(TenantId(tenant), Outcome.FAILED, now, company_name=HALF, reason=HALF)
    bench.services.plans.keep(TenantId(tenant), result.to_json(), now)
    candidate = Candidate(TenantId(tenant), HALF, HALF, SweepVerdict.TOO_YOUNG, HALF, 1)
    report = SweepReport(now, SweepMode.REPORT, 1, 74, (candidate,))
    bench.services.reports.keep(report.to_json())
    keys = [row["RowKey"] for row in bench.sandbox.list_entities()]
    assert {PLAN_ROW_PREFIX + tenant, SWEEP_REPORT_ROW} <= set(keys)
