"""When something that the functions need is missing."""

import logging
import socket
from collections.abc import Iterator

import pytest

from local.simulator import Customer, Fault, Simulator
from shared import services
from shared.settings import settings
from shared.storage import clients as storage
from tests.bench import Bench
from tests.http.app import App
from tests.http.chromium import text_of

TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
CUSTOMER_LIST = "/v1/customers"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def unreachable(bench: Bench, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Point the app at a storage account that does not respond."""
    monkeypatch.setitem(storage._SHORT_RETRIES, "retry_total", 0)
    key = "a2V5" * 16
    endpoints = "".join(
        f"{service}Endpoint=http://127.0.0.1:{closed_port}/devstoreaccount1;"
        for service in ("Blob", "Queue", "Table")
    )
    account = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1"
    bench.use(AzureWebJobsStorage=f"{account};AccountKey={key};{endpoints}")
    return bench


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/deletions"),
        ("GET", f"/api/deletions/{TENANT}"),
        ("DELETE", f"/api/deletions/{TENANT}"),
        ("GET", "/api/sandbox"),
        ("GET", "/api/switch"),
        ("GET", "/api/status"),
        ("DELETE", "/api/switch?requestedBy=ann&reason=Go"),
    ],
)
def test_an_unreachable_storage_account_is_a_503(api: App, method: str, path: str) -> None:
    response = api.call(method, path)

    assert (response.status, response.problem) == (503, "storage")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.usefixtures("unreachable")
def test_a_request_without_storage_is_a_503(api: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    response = api.post("/api/deletions", {"tenantId": TENANT})

    assert (response.status, response.problem) == (503, "storage")
    assert "127.0.0.1" not in response.text
    assert "may still start" not in response.text
    assert response.json["correlationId"] in caplog.text


@pytest.mark.usefixtures("unreachable")
def test_health_needs_no_storage(api: App) -> None:
    assert api.get("/api/health").json == {"status": "ok"}


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the settings."""
    monkeypatch.setattr(services, "_built", [])
    monkeypatch.setenv("PARTNER_CENTER_CLOUD", "moon")
    monkeypatch.delenv("PARTNER_TENANT_ID", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("unset")
def test_missing_settings_are_named_without_values(loaded: App) -> None:
    response = loaded.post("/api/deletions", {"tenantId": TENANT})

    assert (response.status, response.problem) == (503, "settings")
    assert "PARTNER_TENANT_ID" in response.json["detail"]
    assert "PARTNER_CENTER_CLOUD" in response.json["detail"]
    assert "moon" not in response.text


@pytest.mark.usefixtures("unset")
def test_the_status_page_names_the_settings_without_values(
    loaded: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 0 3 * * 7")

    with caplog.at_level(logging.INFO, logger="tipsweep"):
        response = loaded.get("/api/status")

    assert (response.status, response.headers["content-type"]) == (503, "text/html")
    assert response.headers["retry-after"]
    text = text_of(response.text)
    assert "not fully configured" in text
    assert "SWEEP_SCHEDULE" in text
    assert "PARTNER_CENTER_CLOUD" in text
    assert "moon" not in text
    assert "the day of the week is 7, not 0 to 6" in caplog.text


@pytest.mark.usefixtures("unset")
def test_health_needs_no_settings(loaded: App) -> None:
    assert loaded.get("/api/health").status == 200


def test_a_throttled_dry_run_says_when_to_come_back(
    api: App, customer: Customer, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, status=429, headers={"Retry-After": "17"}))

    response = api.post("/api/deletions", {"tenantId": customer.tenant_id, "dryRun": True})

    assert (response.status, response.problem) == (503, "partner-center-busy")
    assert response.headers["retry-after"] == "17"


def test_no_response_from_partner_center_is_a_503(api: App, simulator: Simulator) -> None:
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, drop=True, times=None))

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (503, "partner-center-busy")


@pytest.mark.parametrize(
    "odd",
    [
        Fault("GET", CUSTOMER_LIST, status=200, body="<html>", times=None),
        Fault("GET", CUSTOMER_LIST, status=302, times=None),
        Fault("GET", CUSTOMER_LIST, status=404, body="<html>", times=None),
    ],
    ids=["page", "redirection", "404 without a code"],
)
def test_what_something_before_partner_center_may_have_sent_is_a_503(
    api: App, simulator: Simulator, odd: Fault
) -> None:
    simulator.add_fault(odd)

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (503, "partner-center-busy")
    assert int(response.headers["retry-after"]) > 0


def test_a_listing_that_links_to_another_host_is_a_502(api: App, simulator: Simulator) -> None:
    links = {"next": {"uri": "https://evil.example/v1/customers"}}
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, 200, {"items": [], "links": links}))

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (502, "partner-center")
    assert "evil.example" in response.json["detail"]


def test_a_rejection_by_partner_center_is_a_502(api: App, simulator: Simulator) -> None:
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, status=418))

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (502, "partner-center")
    assert response.json["partnerCenterRequestId"]


def test_a_wrong_client_secret_is_a_502_that_says_what_to_do(api: App, bench: Bench) -> None:
    bench.use(PARTNER_CENTER_CLIENT_SECRET="wrong-but-secret")

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (502, "sign-in-refused")
    assert response.json["code"] == "AADSTS7000215"
    assert "not its ID" in response.json["remedy"]
    assert response.json["settings"][0] == "PARTNER_CENTER_CLIENT_SECRET"
    assert response.json["page"].startswith("https://")
    assert int(response.headers["retry-after"]) == 60
    assert "wrong-but-secret" not in response.text


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, 900420, "401/900420"),
        (401, 900421, "401/900421"),
        (401, None, "401"),
        (403, 900329, "403/900329"),
        (403, 900309, "403/900309"),
        (403, 900308, "403/900308"),
    ],
)
def test_a_credential_that_partner_center_rejects_is_a_502_that_says_what_to_do(
    api: App, simulator: Simulator, status: int, code: int | None, said: str
) -> None:
    body = {"code": code, "description": "Not for you."} if code else ""
    simulator.add_fault(Fault("GET", "/v1/*", status=status, body=body, times=None))

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (502, "sign-in-refused")
    assert response.json["code"] == said
    assert response.json["remedy"]
    assert response.json["settings"]
    assert response.json["page"].startswith("https://")
    assert response.json["partnerCenterRequestId"]
    assert int(response.headers["retry-after"]) == 60


def test_a_wrong_tenant_is_a_problem_of_settings(api: App, bench: Bench) -> None:
    bench.use(PARTNER_TENANT_ID=TENANT, SANDBOX_TENANT_CONFIRMATION=TENANT)

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (503, "settings")
    assert response.json["code"] == "AADSTS90002"
    assert response.json["settings"][0] == "PARTNER_TENANT_ID"
    assert "PARTNER_TENANT_ID" in response.json["detail"]


def test_a_throttled_sign_in_is_a_503_that_says_when_to_come_back(
    api: App, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="*/token", status=429, headers={"Retry-After": "41"}))

    response = api.get("/api/sandbox")

    assert (response.status, response.problem) == (503, "partner-center-busy")
    assert response.headers["retry-after"] == "41"


def test_a_rejected_sign_in_is_logged_for_its_alert(
    api: App, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.use(PARTNER_CENTER_CLIENT_SECRET="wrong-but-secret")

    api.get("/api/sandbox")

    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("sign_in_failed reason=") for line in lines)


def test_the_status_page_trips_the_switch_if_the_account_is_not_a_sandbox(
    api: App, simulator: Simulator
) -> None:
    body = {"code": 800019, "description": "Not an integration sandbox."}
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, status=403, body=body))

    response = api.get("/api/status")

    assert response.status == 200
    assert "800019" in response.text
    assert api.get("/api/switch").json["tripped"]


def test_the_status_page_is_shown_without_partner_center(
    api: App, bench: Bench, customer: Customer, simulator: Simulator
) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id})
    bench.forget_customer_list()
    simulator.add_fault(Fault("GET", CUSTOMER_LIST, status=418))

    response = api.get("/api/status")

    assert response.status == 200
    assert customer.tenant_id in response.text
    assert "418" in response.text
