"""What an error of a sign-in means, from what the libraries raise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.identity import CredentialUnavailableError
from msal.exceptions import MsalServiceError

from shared.partner_center.refusals import ROWS, Meaning, Row
from shared.partner_center.verdicts import (
    THROTTLED_SECONDS,
    Misconfigured,
    Refused,
    Throttled,
    Transient,
    said,
    verdict_on,
)
from shared.settings import PartnerCenterSettings

Read = Callable[..., PartnerCenterSettings]
KINDS = {
    Meaning.TRANSIENT: Transient,
    Meaning.THROTTLED: Throttled,
    Meaning.REFUSED: Refused,
    Meaning.MISCONFIGURED: Misconfigured,
}


@dataclass
class Request:
    url: str


@dataclass
class Response:
    status_code: int
    headers: dict[str, str] = field(default_factory=dict)
    request: Request = field(default_factory=lambda: Request("https://login.microsoftonline.com"))
    reason: str = ""


def failed(kind: type[HttpResponseError], text: str, response: Response) -> HttpResponseError:
    error = kind(message=text)
    error.response = response  # type: ignore[assignment] # as much of one as is read
    return error


@pytest.fixture
def secret(partner_settings: Read) -> PartnerCenterSettings:
    return partner_settings("secret")


@pytest.fixture
def certificate(partner_settings: Read) -> PartnerCenterSettings:
    return partner_settings("certificate", KEY_VAULT_URI="https://v.vault.azure.net")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_code_means_what_its_row_says(row: Row, secret: PartnerCenterSettings) -> None:
    error = ClientAuthenticationError(message=f"Authentication failed: {row.name}: text. Trace ID")

    verdict = verdict_on(error, secret)

    assert type(verdict) is KINDS[row.meaning]
    if isinstance(verdict, Refused):
        assert (verdict.code, verdict.meaning, verdict.remedy, verdict.settings, verdict.page) == (
            row.name,
            row.cause,
            row.remedy,
            row.settings,
            row.page,
        )


def test_an_unknown_code_is_a_refusal_with_the_page_of_its_own(
    secret: PartnerCenterSettings,
) -> None:
    verdict = verdict_on(ClientAuthenticationError(message="AADSTS4711: new"), secret)

    assert isinstance(verdict, Refused)
    assert verdict.code == "AADSTS4711"
    assert verdict.page.endswith("code=4711")
    assert verdict.remedy


def test_a_longer_code_is_not_taken_for_a_shorter_one(secret: PartnerCenterSettings) -> None:
    verdict = verdict_on(ClientAuthenticationError(message="AADSTS900331: other"), secret)

    assert isinstance(verdict, Refused)


def test_the_code_is_found_in_what_caused_the_error(secret: PartnerCenterSettings) -> None:
    error = ClientAuthenticationError(message="Authentication failed: no configuration")
    error.__cause__ = ValueError('Error: {"error_description":"AADSTS90002: Tenant not found."}')

    verdict = verdict_on(error, secret)

    assert isinstance(verdict, Misconfigured)
    assert verdict.settings[0] == "PARTNER_TENANT_ID"


@pytest.mark.parametrize("text", ["Too Many Requests", "AADSTS7000222: expired", "AADSTS90055: x"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({}, THROTTLED_SECONDS),
        ({"Retry-After": "?"}, THROTTLED_SECONDS),
    ],
)
def test_a_429_is_throttling_whatever_its_body_says(
    secret: PartnerCenterSettings, text: str, headers: dict[str, str], seconds: float
) -> None:
    error = failed(ClientAuthenticationError, text, Response(429, headers))

    assert verdict_on(error, secret) == Throttled(seconds)


def test_a_429_that_requests_raises_is_throttling(secret: PartnerCenterSettings) -> None:
    response = requests.Response()
    response.status_code = 429
    response.headers["Retry-After"] = "5"

    assert verdict_on(requests.HTTPError("429", response=response), secret) == Throttled(5)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_passes_whatever_its_body_says(secret: PartnerCenterSettings, status: int) -> None:
    error = failed(
        ClientAuthenticationError, "AADSTS7000222: expired", Response(status, {"Retry-After": "9"})
    )

    assert verdict_on(error, secret) == Transient(9)


def test_a_code_that_passes_waits_as_long_as_it_is_asked_to(
    secret: PartnerCenterSettings,
) -> None:
    error = failed(
        ClientAuthenticationError, "AADSTS90033: away", Response(400, {"Retry-After": "11"})
    )

    assert verdict_on(error, secret) == Transient(11)


@pytest.mark.parametrize(
    "error",
    [
        MsalServiceError("HTTP Error: 503", error=None, error_description=None),
        ServiceRequestError("connection refused"),
        requests.ConnectionError("reset"),
        ClientAuthenticationError(message="Authentication failed: HTTP Error: 503"),
        ValueError("Expecting value: line 1 column 1 (char 0)"),
        CredentialUnavailableError(message="Token request error: (invalid_scope) 500, busy"),
        CredentialUnavailableError(message="Token request error: (invalid_scope) None, None"),
    ],
    ids=repr,
)
def test_what_has_no_code_passes(secret: PartnerCenterSettings, error: Exception) -> None:
    assert verdict_on(error, secret) == Transient()


@pytest.mark.parametrize(
    "error",
    [
        CredentialUnavailableError(
            message="App Service managed identity configuration not found in environment. Token "
            "request error: (invalid_scope) 400, No managed identity has this client_id."
        ),
        CredentialUnavailableError(message="ManagedIdentityCredential authentication unavailable"),
    ],
    ids=["another", "none"],
)
def test_a_managed_identity_that_does_not_exist_is_a_setting(
    secret: PartnerCenterSettings, error: Exception
) -> None:
    verdict = verdict_on(error, secret)

    assert isinstance(verdict, Misconfigured)
    assert verdict.settings == ("AZURE_CLIENT_ID",)


def vault_response(status: int) -> Response:
    challenge = 'Bearer authorization="https://login.example/t", resource="https://vault.azure.net"'
    headers = {"WWW-Authenticate": challenge} if status == 401 else {}
    return Response(status, headers, Request("https://v.vault.azure.net/secrets/c?api-version=7.4"))


def test_a_secret_that_does_not_exist_is_a_setting(certificate: PartnerCenterSettings) -> None:
    verdict = verdict_on(failed(ResourceNotFoundError, "none", vault_response(404)), certificate)

    assert isinstance(verdict, Misconfigured)
    assert verdict.settings == ("PARTNER_CENTER_CERTIFICATE_NAME", "KEY_VAULT_URI")


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_that_may_not_be_read_names_the_role(
    certificate: PartnerCenterSettings, status: int
) -> None:
    verdict = verdict_on(failed(HttpResponseError, "no", vault_response(status)), certificate)

    assert type(verdict) is Refused
    assert "Key Vault Secrets User" in verdict.remedy


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_vault_is_no_refusal(certificate: PartnerCenterSettings, status: int) -> None:
    verdict = verdict_on(failed(HttpResponseError, "busy", vault_response(status)), certificate)

    assert not isinstance(verdict, Refused)


def test_a_vault_without_an_address_is_a_setting(certificate: PartnerCenterSettings) -> None:
    error = ServiceRequestError("HTTPSConnection(): Failed to resolve 'v.vault.azure.net' (-2)")

    verdict = verdict_on(error, certificate)

    assert isinstance(verdict, Misconfigured)
    assert verdict.settings == ("KEY_VAULT_URI",)


def test_another_host_without_an_address_passes(certificate: PartnerCenterSettings) -> None:
    error = ServiceRequestError("Failed to resolve 'login.microsoftonline.com' (-2)")

    assert verdict_on(error, certificate) == Transient()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("JSON is invalid\nContent: {'access_token': 'eyJ0'}"), "JSON is invalid"),
        (ValueError('Error: {"access_token": "eyJ0"}'), "Error: {"),
        (ClientAuthenticationError(message="AADSTS1: a\r\nTrace ID: t"), "AADSTS1: a Trace ID: t"),
        (ValueError(""), "ValueError"),
    ],
)
def test_what_is_said_holds_no_body_of_a_response(error: Any, shown: str) -> None:
    assert said(error) == shown


def test_what_is_said_is_cut() -> None:
    assert len(said(ValueError("x" * 10_000))) == 500


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "Negotiate",
        'Basic realm="v"',
        'Bearer authorization="https://login.example/t", resource="https://graph.microsoft.com"',
        'Bearer authorization="https://login.example/t", resource="https://[",',
        'Bearer authorization="https://login.example/t", resource="https://ault.azure.net"',
    ],
)
def test_a_401_that_no_vault_sends_names_the_address(
    certificate: PartnerCenterSettings, challenge: str | None
) -> None:
    response = vault_response(401)
    response.headers.clear()
    if challenge is not None:
        response.headers["WWW-Authenticate"] = challenge

    verdict = verdict_on(failed(HttpResponseError, "no", response), certificate)

    assert isinstance(verdict, Misconfigured)
    assert verdict.settings == ("KEY_VAULT_URI",)


def test_a_redirection_of_microsofts_authority_is_an_outage(
    secret: PartnerCenterSettings, partner_settings: Read
) -> None:
    settings = partner_settings(PARTNER_CENTER_AUTHORITY="https://login.microsoftonline.com")
    error = failed(ClientAuthenticationError, "responded with 302", Response(302))

    assert verdict_on(error, settings) == Transient()
    assert verdict_on(error, secret) == Transient()


def test_a_deleted_secret_that_the_vault_keeps_is_recovered_or_purged(
    certificate: PartnerCenterSettings,
) -> None:
    verdict = verdict_on(failed(HttpResponseError, "conflict", vault_response(409)), certificate)

    assert isinstance(verdict, Refused)
    assert "Recover" in verdict.remedy
