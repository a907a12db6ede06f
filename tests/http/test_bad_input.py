"""What cannot be understood gets a 400 and starts nothing."""

import json
from pathlib import Path

import pytest

from local.simulator import Customer
from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.bench import Bench
from tests.http.app import JSON, App

TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
HTTP_PAGE = Path(__file__).parents[2] / "docs" / "http.md"
DEEP = b'{"tenantId":' + b"[" * 30_000 + b"]" * 30_000 + b"}"

BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a bare tenant ID": TENANT.encode(),
    "a JSON string": json.dumps(TENANT).encode(),
    "an array": json.dumps([TENANT]).encode(),
    "null": b"null",
    "a number": b"1",
    "a number of 5000 digits": b"1" * 5000,
    "nested too deeply": DEEP,
    "no UTF-8": b'{"tenantId": "\xff"}',
    "UTF-16": json.dumps({"tenantId": TENANT}).encode("utf-16"),
    "a member twice": f'{{"tenantId": "{TENANT}", "tenantId": "{TENANT}"}}'.encode(),
    "no tenant ID": b"{}",
    "null as tenant ID": b'{"tenantId": null}',
    "a number as tenant ID": b'{"tenantId": 7}',
    "a name as tenant ID": b'{"tenantId": "contoso.onmicrosoft.com"}',
    "the empty GUID": b'{"tenantId": "00000000-0000-0000-0000-000000000000"}',
    "an unknown member": json.dumps({"tenantId": TENANT, "dryrun": True}).encode(),
    "text as dryRun": json.dumps({"tenantId": TENANT, "dryRun": "true"}).encode(),
    "null as dryRun": json.dumps({"tenantId": TENANT, "dryRun": None}).encode(),
    "a list as requestedBy": json.dumps({"tenantId": TENANT, "requestedBy": []}).encode(),
    "a long requestedBy": json.dumps({"tenantId": TENANT, "requestedBy": "x" * 201}).encode(),
    "a control character": f'{{"tenantId": "{TENANT}", "requestedBy": "\\u0000"}}'.encode(),
    "more than 64 KiB": b'{"tenantId": "' + TENANT.encode() + b'"' + b" " * 65_536 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_wrong_body_is_a_400(api: App, bench: Bench, body: bytes) -> None:
    response = api.call("POST", "/api/deletions", body=body, headers=JSON)

    assert (response.status, response.problem) == (400, "bad-request")
    assert response.json["correlationId"]
    assert "Traceback" not in response.text
    assert len(response.content) < 1000
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 0


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application"],
)
def test_another_content_type_is_a_400(api: App, content_type: str) -> None:
    response = api.post(
        "/api/deletions", {"tenantId": TENANT}, headers={"Content-Type": content_type}
    )

    assert (response.status, response.problem) == (400, "bad-request")
    assert "application/json" in response.json["detail"]


def test_a_content_type_with_parameters_is_read(api: App, customer: Customer) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    response = api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=headers)

    assert response.status == 202


def test_a_body_of_64_kib_is_read(api: App, customer: Customer) -> None:
    body = json.dumps({"tenantId": customer.tenant_id}).encode().ljust(65_536)

    assert api.call("POST", "/api/deletions", body=body, headers=JSON).status == 202


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("tenant", ["contoso", "1", "%00", "é", "'", f"{TENANT}x", "a" * 5000])
def test_a_path_without_tenant_id_is_a_400(api: App, method: str, tenant: str) -> None:
    response = api.call(method, f"/api/deletions/{tenant}")

    assert (response.status, response.problem) == (400, "bad-request")
    assert "not a tenant ID" in response.json["detail"]


@pytest.mark.parametrize(
    "query", ["state=", "state=done", "state=stuck,deleted", "continuationToken=x"]
)
def test_a_wrong_query_is_a_400(api: App, query: str) -> None:
    assert api.get(f"/api/deletions?{query}").problem == "bad-request"


@pytest.mark.parametrize("by", ["x" * 1001, "a%0Ab", "%00"])
def test_a_wrong_name_aborts_nothing(api: App, customer: Customer, by: str) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id})

    response = api.delete(f"/api/deletions/{customer.tenant_id}?requestedBy={by}")

    assert response.problem == "bad-request"
    assert api.get(f"/api/deletions/{customer.tenant_id}").json["state"] == "requested"


@pytest.mark.parametrize(
    "members", [{}, {"mode": "off"}, {"mode": None}, {"mode": ["report"]}, {"mode": "x", "y": 1}]
)
def test_a_wrong_mode_sweeps_nothing(api: App, bench: Bench, members: dict[str, object]) -> None:
    assert api.post("/api/sweeps", members).problem == "bad-request"
    assert bench.calls() == []


@pytest.mark.parametrize(
    "members",
    [
        {"requestedBy": "ann", "reason": 1},
        {"requestedBy": "ann", "reason": "x" * 1001},
        {"requestedBy": "ann", "reason": "two\nlines"},
        {"requestedBy": ["ann"], "reason": "x"},
        {"requestedBy": "ann", "reason": "x", "tripped": True},
    ],
)
def test_a_wrong_body_trips_nothing(api: App, members: dict[str, object]) -> None:
    assert api.put("/api/switch", members).problem == "bad-request"
    assert not api.get("/api/switch").json["tripped"]


CALLS = [
    ("POST", "/api/deletions", {"tenantId": TENANT}),
    ("GET", "/api/deletions", None),
    ("GET", f"/api/deletions/{TENANT}", None),
    ("DELETE", f"/api/deletions/{TENANT}", None),
    ("POST", f"/api/deletions/{TENANT}/dismiss", None),
    ("GET", f"/api/deletions/{TENANT}/plan", None),
    ("GET", f"/api/deletions/{TENANT}/history", None),
    ("GET", "/api/history", None),
    ("DELETE", "/api/requests/rejected/x", None),
    ("POST", "/api/sweeps", {"mode": "delete"}),
    ("GET", "/api/sweeps/x", None),
    ("GET", "/api/version", None),
    ("PUT", "/api/switch", {"requestedBy": "ann", "reason": "stop"}),
    ("DELETE", "/api/switch", None),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
@pytest.mark.parametrize("query", ["dryRun=true", "requestedby=ann", "=x", "STATE=stuck"])
def test_an_unknown_query_parameter_is_a_400_and_changes_nothing(
    api: App, bench: Bench, call: tuple[str, str, object], query: str
) -> None:
    method, path, body = call
    response = api.call(method, f"{path}?{query}", json=body)

    assert (response.status, response.problem) == (400, "bad-request")
    assert "Unknown query parameter" in response.json["detail"]
    assert list(bench.services.records.rows()) == []
    assert not bench.services.switch.read().tripped
    assert not bench.calls()


@pytest.mark.parametrize("query", ["code=key", "clientId=default", "Code=key&clientid=default"])
def test_the_key_of_the_host_may_be_in_the_query(api: App, query: str) -> None:
    assert api.get(f"/api/deletions?{query}").status == 200


def test_every_call_with_a_bad_request_rejects_unknown_query_parameters() -> None:
    """What the page says may respond 400 is in the list above."""
    rows = [line.split("|") for line in HTTP_PAGE.read_text().splitlines() if "| `" in line]
    called = {row[1].strip(" `") for row in rows if row[1].count("/api/") and "400" in row[3]}
    checked = {f"{method} {path}" for method, path, _ in CALLS}
    parameters = {TENANT: "{tenantId}", "rejected/x": "rejected/{requestId}"}
    parameters["sweeps/x"] = "sweeps/{sweepId}"
    for value, name in parameters.items():
        checked = {each.replace(value, name) for each in checked}

    assert checked == called
