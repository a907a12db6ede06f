"""Who may call: function keys, and Easy Auth in front if the settings ask for it."""

import base64
import json
import os
import re
import subprocess
import sys

import pytest

from local.simulator import Customer
from tests.bench import Bench
from tests.http.app import EASY_AUTH, ROOT, App, http_functions, signed_in

ANN = signed_in("ann@example.com", "operator")
RAY = signed_in("ray@example.com", "reader")
TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
CALLS = sorted(
    (method, "/api/" + re.sub(r"{\w+}", TENANT, trigger.route.template))
    for _, trigger in http_functions()
    for method in trigger.methods
)


@pytest.fixture
def easy_auth(bench: Bench) -> None:
    bench.use(**EASY_AUTH)


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
def test_the_401_names_the_address_where_people_sign_in(api: App) -> None:
    assert "/.auth/login/aad" in api.get("/api/status").json["detail"]


# What a reader may call; every other route is for operators, so a forgotten one is closed.
FOR_READERS = {
    ("GET", "/api/deletions"),
    ("GET", f"/api/deletions/{TENANT}"),
    ("GET", f"/api/deletions/{TENANT}/history"),
    ("GET", f"/api/deletions/{TENANT}/plan"),
    ("GET", "/api/history"),
    ("GET", "/api/sandbox"),
    ("GET", f"/api/sweeps/{TENANT}"),
    ("GET", "/api/switch"),
    ("GET", "/api/status"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/version"),
}
GUARDED_CALLS = [each for each in CALLS if each[1] != "/api/health"]


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(("method", "path"), GUARDED_CALLS)
@pytest.mark.parametrize("roles", [(), ("admin",), ("Operator",)], ids=str)
def test_a_caller_without_a_role_is_refused_and_told_how_to_get_one(
    api: App, method: str, path: str, roles: tuple[str, ...]
) -> None:
    response = api.call(method, path, headers=signed_in("eve@example.com", *roles))

    assert (response.status, response.problem) == (403, "no-role")
    assert "eve@example.com has no role" in response.json["detail"]
    assert "assigns the app role" in response.json["detail"]


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(("method", "path"), GUARDED_CALLS)
def test_a_reader_may_look_and_do_nothing_else(api: App, method: str, path: str) -> None:
    response = api.call(method, path, headers=RAY)

    assert (response.status != 403) == ((method, path) in FOR_READERS)


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(("method", "path"), GUARDED_CALLS)
def test_an_operator_may_do_everything(api: App, method: str, path: str) -> None:
    assert api.call(method, path, headers=ANN).status not in {401, 403}


@pytest.mark.usefixtures("easy_auth")
def test_the_higher_of_two_roles_counts(api: App) -> None:
    headers = signed_in("ann@example.com", "reader", "operator")

    assert api.get("/api/requests/rejected", headers=headers).status == 200


@pytest.mark.usefixtures("easy_auth")
def test_a_role_may_come_under_the_name_that_net_gives_it(api: App) -> None:
    claim = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"

    assert api.get("/api/switch", headers=signed_in("ann", "reader", claim=claim)).status == 200
    assert api.get("/api/switch", headers=signed_in("ann", "reader", claim="role")).status == 403


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(
    "principal",
    ["", "é", "bm8=", "W10=", "bnVsbA==", "eyJjbGFpbXMiOiAxfQ==", "eyJjbGFpbXMiOiBbMV19"],
)
def test_a_principal_that_cannot_be_read_has_no_role(api: App, principal: str) -> None:
    headers = {**ANN, "X-MS-CLIENT-PRINCIPAL": principal}

    assert api.get("/api/switch", headers=headers).status == 403


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(
    "claim",
    [{"typ": "name"}, {"val": "x"}, {"typ": "roles", "val": None}, {"typ": ["roles"]}, "x", None],
    ids=str,
)
def test_a_broken_claim_takes_nobody_the_role(api: App, claim: object) -> None:
    claims = [claim, {"typ": "roles", "val": "operator"}, claim]

    assert api.get("/api/requests/rejected", headers=with_claims(claims)).status == 200


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize(
    "claim",
    [
        {"typ": "roles", "val": ["reader"]},
        {"typ": "roles", "val": '["reader"]'},
        {"typ": "roles", "val": "reader operator"},
        {"typ": "ROLES", "val": "reader"},
        {"typ": "groups", "val": "reader"},
        {"typ": ["roles"], "val": "reader"},
    ],
    ids=str,
)
def test_what_only_looks_like_a_role_is_none(api: App, claim: object) -> None:
    assert api.get("/api/switch", headers=with_claims([claim])).status == 403


def with_claims(claims: list[object]) -> dict[str, str]:
    principal = base64.b64encode(json.dumps({"claims": claims}).encode()).decode()
    return {**ANN, "X-MS-CLIENT-PRINCIPAL": principal}


@pytest.mark.usefixtures("easy_auth")
def test_only_an_operator_sees_rejected_messages_on_the_status_page(api: App, bench: Bench) -> None:
    bench.drop("contoso-and-a-secret")
    bench.pump()

    assert "contoso-and-a-secret" in api.get("/api/status", headers=ANN).text
    shown = api.get("/api/status", headers=RAY).text
    assert "contoso" not in shown
    assert "Not handled" in shown


@pytest.mark.usefixtures("easy_auth")
def test_the_status_page_has_nothing_to_click_for_a_reader(api: App, customer: Customer) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=ANN)

    assert not re.search(r"<(form|button|input)\b", api.get("/api/status", headers=RAY).text)


@pytest.mark.usefixtures("easy_auth")
def test_requested_by_is_the_callers_name(api: App, customer: Customer) -> None:
    response = api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=ANN)

    assert response.json["requestedBy"] == "ann@example.com"


@pytest.mark.usefixtures("easy_auth")
def test_a_caller_without_a_name_is_named_by_the_object_id(api: App, customer: Customer) -> None:
    headers = signed_in("", "operator")

    response = api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=headers)

    assert response.json["requestedBy"] == "8f1d"


@pytest.mark.usefixtures("easy_auth")
def test_requested_by_in_the_body_does_not_hide_who_is_signed_in(
    api: App, customer: Customer
) -> None:
    members = {"tenantId": customer.tenant_id, "requestedBy": "Logic App tidy"}

    requested_by = api.post("/api/deletions", members, headers=ANN).json["requestedBy"]

    assert requested_by == "Logic App tidy, signed in as ann@example.com"


@pytest.mark.usefixtures("easy_auth")
def test_a_deletion_is_aborted_in_the_callers_name(api: App, customer: Customer) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=ANN)

    response = api.delete(f"/api/deletions/{customer.tenant_id}", headers=ANN)

    assert response.json["reason"] == "aborted by ann@example.com"


def test_without_easy_auth_the_headers_name_nobody(api: App, customer: Customer) -> None:
    """The host hands them through from anybody."""
    api.headers = ANN

    requested = api.post("/api/deletions", {"tenantId": customer.tenant_id})
    aborted = api.delete(f"/api/deletions/{customer.tenant_id}")

    assert requested.json["requestedBy"] == ""
    assert aborted.json["reason"] == "aborted by an unnamed caller"
    assert api.put("/api/switch", {"reason": "Stop"}).status == 400


def test_without_easy_auth_a_key_holder_is_an_operator_whatever_the_headers_say(
    api: App, customer: Customer
) -> None:
    response = api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=RAY)

    assert response.status == 202


@pytest.mark.usefixtures("easy_auth")
@pytest.mark.parametrize("name", ["x" * 3000, "a\x85b", "é" * 300])
def test_a_strange_name_of_the_caller_does_no_harm(api: App, customer: Customer, name: str) -> None:
    headers = signed_in(name, "operator")

    assert (
        api.post("/api/deletions", {"tenantId": customer.tenant_id}, headers=headers).status == 202
    )
