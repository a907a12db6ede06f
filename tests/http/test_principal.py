"""Who may call: function keys, and Easy Auth in front if the settings ask for it."""

import json
import os
import re
import subprocess
import sys

import pytest

from local.simulator import Customer
from tests.bench import Bench
from tests.http.app import ROOT, App, http_functions

ANN = {"X-MS-CLIENT-PRINCIPAL-ID": "8f1d", "X-MS-CLIENT-PRINCIPAL-NAME": "ann@example.com"}
TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
CALLS = sorted(
    (method, "/api/" + re.sub(r"{\w+}", TENANT, trigger.route.template))
    for _, trigger in http_functions()
    for method in trigger.methods
)


@pytest.fixture
def easy_auth(bench: Bench) -> None:
    bench.use(REQUIRE_CLIENT_PRINCIPAL="true", WEBSITE_AUTH_ENABLED="True")


def levels(**environment: str) -> dict[str, str]:
    """Load the app in a process of its own, since levels are fixed while it loads."""
    code = (
        "import json, function_app as f;"
        "t = [g.get_trigger() for g in f.app.get_functions()];"
        "print(json.dumps({x.route: str(x.auth_level) for x in t if hasattr(x, 'route')}))"
    )
    loaded = subprocess.run(  # noqa: S603 - our own app, by our own interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    found: dict[str, str] = json.loads(loaded.stdout)
    return found


@pytest.mark.parametrize(
    "environment",
    [{}, {"REQUIRE_CLIENT_PRINCIPAL": "true"}, {"WEBSITE_AUTH_ENABLED": "True"}],
    ids=str,
)
def test_every_route_except_health_needs_a_function_key(environment: dict[str, str]) -> None:
    found = levels(**environment)

    assert {route for route, level in found.items() if level != "FUNCTION"} == {"health"}


def test_no_key_is_needed_if_easy_auth_signs_callers_in() -> None:
    found = levels(REQUIRE_CLIENT_PRINCIPAL="true", WEBSITE_AUTH_ENABLED="True")

    assert set(found.values()) == {"ANONYMOUS"}
    assert "deletions" in found


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_principal_without_easy_auth_could_be_forged_and_is_rejected(
    api: App, bench: Bench, method: str, path: str
) -> None:
    bench.use(REQUIRE_CLIENT_PRINCIPAL="true")

    response = api.call(method, path, headers=ANN)

    assert response.status == (200 if path == "/api/health" else 401)


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("principal", [None, "", "  "])
def test_every_route_except_health_rejects_a_nameless_caller(
    api: App, method: str, path: str, principal: str | None
) -> None:
    headers = {} if principal is None else {"X-MS-CLIENT-PRINCIPAL-ID": principal}

    response = api.call(method, path, headers=headers)

    if path == "/api/health":
        assert response.status == 200
    else:
        assert (response.status, response.problem) == (401, "no-principal")


@pytest.mark.usefixtures("easy_auth")
def test_a_named_caller_is_let_in(api: App, customer: Customer) -> None:
    api.headers = ANN

    assert api.post("/api/deletions", {"tenantId": customer.tenant_id}).status == 202


def test_requested_by_is_the_callers_name(api: App, customer: Customer) -> None:
    response = api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=ANN)

    assert response.json["requestedBy"] == "ann@example.com"


def test_requested_by_in_the_body_takes_precedence(api: App, customer: Customer) -> None:
    members = {"tenantId": customer.tenant_id, "requestedBy": "Logic App tidy"}

    assert api.post("/api/deletions", members, headers=ANN).json["requestedBy"] == "Logic App tidy"


def test_a_deletion_is_aborted_in_the_callers_name(api: App, customer: Customer) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id})

    response = api.delete(f"/api/deletions/{customer.tenant_id}", headers=ANN)

    assert response.json["reason"] == "aborted by ann@example.com"


@pytest.mark.parametrize("name", ["x" * 3000, "a\x85b", "é" * 300])
def test_a_strange_name_of_the_caller_does_no_harm(api: App, customer: Customer, name: str) -> None:
    headers = {"X-MS-CLIENT-PRINCIPAL-NAME": name}

    assert (
        api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=headers).status == 202
    )
