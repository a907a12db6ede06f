"""The description agrees with the app: the same routes, parameters and responses, both ways."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from openapi_spec_validator import OpenAPIV2SpecValidator
from schemathesis.core.failures import FailureGroup

from functions.api.openapi_document import document
from local.simulator import Customer, Fault, ProductKind, Simulator
from shared import services
from shared.settings import settings
from tests.bench import Bench
from tests.http.app import ADDRESS, EASY_AUTH, App, Response, http_functions, signed_in

STRANGER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
DESCRIPTION = document(ADDRESS)
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
GUARDED = {401, 403, 503}

Operation = tuple[str, str]
Documented = tuple[str, str, int]


def documented_operations() -> Iterator[tuple[Operation, dict[str, Any]]]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield (method.upper(), path), operation


OPERATIONS = dict(documented_operations())


@dataclass(frozen=True)
class Stage:
    """What a scenario works with."""

    api: App
    bench: Bench
    simulator: Simulator

    def customer(self, kind: ProductKind = ProductKind.PERPETUAL_SOFTWARE) -> Customer:
        customer = self.simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
        customer.add_order(kind)
        return customer

    def post(self, tenant: str, **members: object) -> Response:
        return self.api.post("/api/deletions", {"tenantId": tenant, **members})

    def ended(self, tenant: str) -> Response:
        self.post(tenant)
        self.bench.pump()
        return self.api.get(f"/api/deletions/{tenant}")

    def listed(self) -> Response:
        self.post(STRANGER)
        return self.api.get("/api/deletions?state=requested")

    def running(self) -> Response:
        self.post(STRANGER)
        return self.api.get(f"/api/deletions/{STRANGER}")

    def without_partner_center(self) -> None:
        self.simulator.add_fault(Fault("GET", "/v1/customers", status=418))

    def too_late_to_abort(self) -> Response:
        self.ended(STRANGER)
        return self.api.delete(f"/api/deletions/{STRANGER}")

    def refused_dry_run(self) -> Response:
        return self.post(STRANGER, dryRun=True)

    def failed_dry_run(self) -> Response:
        self.without_partner_center()
        return self.post(STRANGER, dryRun=True)

    def history(self) -> Response:
        tenant = self.customer().tenant_id
        self.ended(tenant)
        return self.api.get(f"/api/deletions/{tenant}/history")

    def account_history(self) -> Response:
        self.api.put("/api/switch", {"requestedBy": "ann", "reason": "Stop"})
        return self.api.get("/api/history")

    def aborted(self) -> Response:
        self.post(STRANGER)
        return self.api.delete(f"/api/deletions/{STRANGER}?requestedBy=ann")

    def sandbox_without_partner_center(self) -> Response:
        self.without_partner_center()
        return self.api.get("/api/sandbox")

    def swept(self, mode: str = "report") -> Response:
        return self.api.sweep(self.bench, mode)

    def running_sweep(self) -> Response:
        return self.api.get(self.api.post("/api/sweeps", {"mode": "report"}).headers["location"])

    def refused_sweep(self) -> Response:
        self.bench.use(SANDBOX_TENANT_CONFIRMATION=STRANGER)
        return self.swept()

    def failed_sweep(self) -> Response:
        self.simulator.add_fault(
            Fault("GET", "/v1/customers", status=400, body={"code": 3000, "description": "no"})
        )
        return self.swept()

    def unconfirmed_sandbox(self) -> Response:
        self.bench.use(SANDBOX_TENANT_CONFIRMATION=STRANGER)
        return self.api.get("/api/sandbox")

    def planned(self) -> Response:
        tenant = self.customer().tenant_id
        self.bench.drop(json.dumps({"tenantId": tenant, "dryRun": True}))
        self.bench.pump()
        return self.api.get(f"/api/deletions/{tenant}/plan")

    def dismissed(self) -> Response:
        self.ended(STRANGER)
        return self.api.call("POST", f"/api/deletions/{STRANGER}/dismiss?requestedBy=ann")

    def running_to_dismiss(self) -> Response:
        self.post(STRANGER)
        return self.api.call("POST", f"/api/deletions/{STRANGER}/dismiss")

    def rejected(self) -> Response:
        self.bench.drop("contoso")
        self.bench.drop(json.dumps({"tenantId": STRANGER, "force": True}))
        self.bench.pump()
        return self.api.get(REJECTED)

    def rejected_one(self, query: str = "") -> Response:
        first = self.rejected().json["items"][0]["id"]
        return self.api.delete(f"{REJECTED}/{first}{query}")

    def swept_sandbox(self) -> Response:
        self.customer()
        self.swept()
        return self.api.get("/api/sandbox")


DELETIONS = "/api/deletions"
DELETION = "/api/deletions/{tenantId}"
HISTORY = "/api/deletions/{tenantId}/history"
ACCOUNT_HISTORY = "/api/history"
DISMISS = "/api/deletions/{tenantId}/dismiss"
PLAN = "/api/deletions/{tenantId}/plan"
REJECTED = "/api/requests/rejected"
REJECTED_ONE = "/api/requests/rejected/{requestId}"
SANDBOX = "/api/sandbox"
SWEEPS = "/api/sweeps"
SWEEP = "/api/sweeps/{sweepId}"
SWITCH = "/api/switch"

SCENARIOS: dict[Documented, Callable[[Stage], Response]] = {
    ("POST", DELETIONS, 200): lambda stage: stage.post(stage.customer().tenant_id, dryRun=True),
    ("POST", DELETIONS, 202): lambda stage: stage.post(STRANGER, requestedBy="ann"),
    ("POST", DELETIONS, 400): lambda stage: stage.post("contoso"),
    ("POST", DELETIONS, 422): Stage.refused_dry_run,
    ("POST", DELETIONS, 502): Stage.failed_dry_run,
    ("GET", DELETIONS, 200): Stage.listed,
    ("GET", DELETIONS, 400): lambda stage: stage.api.get(f"{DELETIONS}?state=done"),
    ("GET", DELETION, 200): lambda stage: stage.ended(stage.customer().tenant_id),
    ("GET", DELETION, 202): Stage.running,
    ("GET", DELETION, 400): lambda stage: stage.api.get(f"{DELETIONS}/contoso"),
    ("GET", DELETION, 404): lambda stage: stage.api.get(f"{DELETIONS}/{STRANGER}"),
    ("GET", DELETION, 409): lambda stage: stage.ended(
        stage.customer(ProductKind.SAVINGS_PLAN).tenant_id
    ),
    ("GET", DELETION, 422): lambda stage: stage.ended(STRANGER),
    ("DELETE", DELETION, 200): Stage.aborted,
    ("DELETE", DELETION, 400): lambda stage: stage.api.delete(f"{DELETIONS}/contoso"),
    ("DELETE", DELETION, 404): lambda stage: stage.api.delete(f"{DELETIONS}/{STRANGER}"),
    ("DELETE", DELETION, 409): Stage.too_late_to_abort,
    ("GET", HISTORY, 200): Stage.history,
    ("GET", HISTORY, 400): lambda stage: stage.api.get(f"{DELETIONS}/contoso/history"),
    ("GET", ACCOUNT_HISTORY, 200): Stage.account_history,
    ("GET", ACCOUNT_HISTORY, 400): lambda stage: stage.api.get(
        f"{ACCOUNT_HISTORY}?continuationToken=x"
    ),
    ("POST", DISMISS, 200): Stage.dismissed,
    ("POST", DISMISS, 400): lambda stage: stage.api.call("POST", f"{DELETIONS}/contoso/dismiss"),
    ("POST", DISMISS, 404): lambda stage: stage.api.call("POST", f"{DELETIONS}/{STRANGER}/dismiss"),
    ("POST", DISMISS, 409): Stage.running_to_dismiss,
    ("GET", PLAN, 200): Stage.planned,
    ("GET", PLAN, 400): lambda stage: stage.api.get(f"{DELETIONS}/contoso/plan"),
    ("GET", PLAN, 404): lambda stage: stage.api.get(f"{DELETIONS}/{STRANGER}/plan"),
    ("GET", REJECTED, 200): Stage.rejected,
    ("DELETE", REJECTED_ONE, 200): Stage.rejected_one,
    ("DELETE", REJECTED_ONE, 400): lambda stage: stage.rejected_one("?requestedBy=%00"),
    ("DELETE", REJECTED_ONE, 404): lambda stage: stage.api.delete(f"{REJECTED}/{STRANGER}"),
    ("GET", SANDBOX, 200): Stage.swept_sandbox,
    ("GET", SANDBOX, 422): Stage.unconfirmed_sandbox,
    ("GET", SANDBOX, 502): Stage.sandbox_without_partner_center,
    ("POST", SWEEPS, 202): lambda stage: stage.api.post(SWEEPS, {"mode": "report"}),
    ("POST", SWEEPS, 400): lambda stage: stage.api.post(SWEEPS, {"mode": "off"}),
    ("POST", SWEEPS, 422): lambda stage: stage.api.post(SWEEPS, {"mode": "delete"}),
    ("GET", SWEEP, 200): Stage.swept,
    ("GET", SWEEP, 202): Stage.running_sweep,
    ("GET", SWEEP, 400): lambda stage: stage.api.get(f"{SWEEPS}/{STRANGER}?mode=report"),
    ("GET", SWEEP, 404): lambda stage: stage.api.get(f"{SWEEPS}/{STRANGER}"),
    ("GET", SWEEP, 409): Stage.failed_sweep,
    ("GET", SWEEP, 422): Stage.refused_sweep,
    ("GET", SWITCH, 200): lambda stage: stage.api.get(SWITCH),
    ("PUT", SWITCH, 200): lambda stage: stage.api.put(
        SWITCH, {"requestedBy": "ann", "reason": "Stop"}
    ),
    ("PUT", SWITCH, 400): lambda stage: stage.api.put(SWITCH, {}),
    ("DELETE", SWITCH, 200): lambda stage: stage.api.delete(f"{SWITCH}?requestedBy=ann&reason=Go"),
    ("DELETE", SWITCH, 400): lambda stage: stage.api.delete(SWITCH),
    ("DELETE", SWITCH, 412): lambda stage: stage.api.delete(
        f"{SWITCH}?requestedBy=ann&reason=Go", headers={"If-Match": '"other"'}
    ),
    ("GET", "/api/status", 200): lambda stage: stage.api.get("/api/status"),
    ("GET", "/api/openapi.json", 200): lambda stage: stage.api.get("/api/openapi.json"),
    ("GET", "/api/version", 200): lambda stage: stage.api.get("/api/version"),
    ("GET", "/api/version", 400): lambda stage: stage.api.get("/api/version?dryRun=true"),
    ("GET", "/api/health", 200): lambda stage: stage.api.get("/api/health"),
}


def path_of(operation: Operation) -> str:
    """Return a path with an ID in it that is unknown."""
    return re.sub(r"{\w+}", STRANGER, operation[1])


def check(operation: Operation, response: Response) -> None:
    """Check a response against the description: status, content type, headers, body."""
    method, path = operation
    sent = requests.Request(method, ADDRESS + path).prepare()
    converted = schemathesis.Response(
        status_code=response.status,
        headers={name: [value] for name, value in response.headers.items()},
        content=response.content,
        request=sent,
        elapsed=0.0,
        verify=True,
    )
    SCHEMA[path][method].validate_response(converted)


def test_the_description_and_the_app_have_the_same_routes() -> None:
    served = {
        (method, f"/api/{trigger.route.template}")
        for _, trigger in http_functions()
        for method in trigger.methods
    }

    assert served == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_the_parameters_of_the_path_are_described(operation: Operation) -> None:
    described = [
        parameter["name"]
        for parameter in OPERATIONS[operation].get("parameters", ())
        if parameter["in"] == "path"
    ]

    assert described == re.findall(r"{(\w+)}", operation[1])


def test_there_is_a_scenario_for_every_described_response() -> None:
    described = {
        (method, path, int(status))
        for (method, path), operation in OPERATIONS.items()
        for status in operation["responses"]
    }
    guarded = {
        (method, path, status)
        for method, path in OPERATIONS
        if path != "/api/health"
        for status in GUARDED
    }

    assert set(SCENARIOS) | guarded == described


@pytest.mark.parametrize("documented", SCENARIOS, ids=lambda each: " ".join(map(str, each)))
def test_a_response_is_as_described(
    api: App, bench: Bench, simulator: Simulator, documented: Documented
) -> None:
    method, path, status = documented

    response = SCENARIOS[documented](Stage(api, bench, simulator))

    assert response.status == status
    check((method, path), response)


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_a_nameless_caller_gets_the_described_response(
    api: App, bench: Bench, operation: Operation
) -> None:
    bench.use(REQUIRE_CLIENT_PRINCIPAL="true")

    check(operation, api.call(operation[0], path_of(operation)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_a_caller_without_a_role_gets_the_described_response(
    api: App, bench: Bench, operation: Operation
) -> None:
    bench.use(**EASY_AUTH)

    check(operation, api.call(operation[0], path_of(operation), headers=signed_in("eve")))


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_an_app_without_settings_responds_as_described(
    loaded: App, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_built", [])
    monkeypatch.delenv("PARTNER_TENANT_ID", raising=False)
    settings.cache_clear()

    response = loaded.call(operation[0], path_of(operation))

    assert response.status == (200 if operation[1] == "/api/health" else 503)
    check(operation, response)


def test_the_description_is_valid_openapi_2() -> None:
    assert [error.message for error in OpenAPIV2SpecValidator(DESCRIPTION).iter_errors()] == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"openapi": "3.0.3"},
        {"paths": {"/api/x": {"get": {"responses": {"200": {"content": {}}}}}}},
        {"paths": {"/api/x/{id}": {"get": {"responses": {"200": {"description": "x"}}}}}},
    ],
    ids=["version", "content", "parameter"],
)
def test_the_validator_would_notice_a_mistake(mistake: dict[str, Any]) -> None:
    assert list(OpenAPIV2SpecValidator({**DESCRIPTION, **mistake}).iter_errors())


def test_the_description_names_the_address_that_was_called(api: App) -> None:
    described = api.get("/api/openapi.json").json

    address = f"{described['schemes'][0]}://{described['host']}"
    assert address == ADDRESS
    assert described == DESCRIPTION


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in the description."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from parts(each)


def test_nothing_is_said_in_words_of_openapi_3() -> None:
    words = {name for part in parts(DESCRIPTION) for name in part}

    assert words.isdisjoint(
        {"nullable", "oneOf", "anyOf", "requestBody", "components", "content", "servers"}
    )


def test_connectors_find_a_title_for_everything_that_people_fill_in_or_read() -> None:
    schemas = [part for part in parts(DESCRIPTION["definitions"]) if "properties" in part]
    shown = [
        *(each for part in schemas if not is_problem(part) for each in part["properties"].values()),
        *(
            parameter
            for operation in OPERATIONS.values()
            for parameter in operation.get("parameters", ())
            if parameter["in"] != "body"
        ),
    ]

    assert len(shown) > 50
    assert all(each["x-ms-summary"] for each in shown)


def is_problem(schema: dict[str, Any]) -> bool:
    return "correlationId" in schema["properties"] and "title" in schema["properties"]


def test_connectors_are_told_what_to_show_at_first() -> None:
    told = {
        operation["operationId"]: operation["x-ms-visibility"] for operation in OPERATIONS.values()
    }
    request = DESCRIPTION["definitions"]["DeletionRequest"]["properties"]

    assert set(told.values()) == {"important", "advanced", "internal"}
    assert (told["requestDeletion"], told["getHealth"]) == ("important", "internal")
    assert request["tenantId"]["x-ms-visibility"] == "important"
    assert request["tenantId"]["x-ms-summary"] == "Tenant ID"
    assert request["dryRun"]["x-ms-visibility"] == "advanced"


def test_every_operation_has_its_own_id() -> None:
    identifiers = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(identifiers)) == len(identifiers)


def test_a_wrong_response_would_be_noticed() -> None:
    headers = {"content-type": "application/json", "etag": '"1"'}
    response = Response(200, headers, b'{"tripped": "yes"}')

    with pytest.raises(FailureGroup, match="2 distinct failures"):
        check(("GET", SWITCH), response)
