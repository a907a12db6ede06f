"""The real azure-identity, msal and SecretClient work with the simulator unchanged."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient

from local.simulator import Account, Behaviour, Simulator
from tests.simulator.conftest import Client, token_request

TOKEN_EXCHANGE = "api://AzureADTokenExchange/.default"


@pytest.fixture(autouse=True)
def _trust(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in simulator.environment(auth="user").items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def identity() -> Iterator[ManagedIdentityCredential]:
    with ManagedIdentityCredential() as credential:
        yield credential


@pytest.fixture
def vault(simulator: Simulator, identity: ManagedIdentityCredential) -> Iterator[SecretClient]:
    with SecretClient(simulator.key_vault_url, identity) as client:
        yield client


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def authority(simulator: Simulator) -> dict[str, Any]:
    return {"authority": simulator.authority, "disable_instance_discovery": True}


def check_accepted(simulator: Simulator, token: str) -> None:
    client = Client(simulator, token)
    assert client.get("/v1/customers?size=0").status == 200
    client.session.close()


def msal_app(simulator: Simulator, credential: Any) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        simulator.sandbox.client_id,
        client_credential=credential,
        authority=f"{simulator.authority}/{simulator.sandbox.tenant_id}",
        validate_authority=False,
        instance_discovery=False,
    )


def test_client_secret_gives_an_app_only_token_of_the_tenant(simulator: Simulator) -> None:
    account = simulator.production
    with ClientSecretCredential(
        account.tenant_id, account.client_id, account.client_secret, **authority(simulator)
    ) as credential:
        token = credential.get_token(simulator.scope).token

    claims = claims_of(token)
    assert account.tenant_id == claims["tid"]
    assert account.client_id == claims["appid"]
    assert claims["idtyp"] == "app"
    assert claims["exp"] - claims["iat"] == 3599
    check_accepted(simulator, token)


def test_wrong_client_secret_is_rejected(simulator: Simulator) -> None:
    account = simulator.sandbox
    with (
        ClientSecretCredential(
            account.tenant_id, account.client_id, "wrong", **authority(simulator)
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token(simulator.scope)


def test_certificate_gives_a_token(simulator: Simulator) -> None:
    account = simulator.sandbox
    with CertificateCredential(
        account.tenant_id,
        account.client_id,
        certificate_data=account.certificate,
        **authority(simulator),
    ) as credential:
        check_accepted(simulator, credential.get_token(simulator.scope).token)


def test_certificate_of_another_app_is_rejected(simulator: Simulator) -> None:
    account = simulator.sandbox
    with (
        CertificateCredential(
            account.tenant_id,
            account.client_id,
            certificate_data=simulator.production.certificate,
            **authority(simulator),
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700027"),
    ):
        credential.get_token(simulator.scope)


def test_msal_signs_in_with_the_certificate_by_its_sha256_thumbprint(
    simulator: Simulator,
) -> None:
    private_key, marker, certificate = simulator.sandbox.certificate.decode().partition(
        "-----BEGIN CERTIFICATE-----"
    )
    app = msal_app(
        simulator, {"private_key": private_key, "public_certificate": marker + certificate}
    )
    response = app.acquire_token_for_client([simulator.scope])
    check_accepted(simulator, response["access_token"])


def test_managed_identity_is_a_federated_credential(
    simulator: Simulator, identity: ManagedIdentityCredential
) -> None:
    account = simulator.sandbox
    with ClientAssertionCredential(
        account.tenant_id,
        account.client_id,
        lambda: identity.get_token(TOKEN_EXCHANGE).token,
        **authority(simulator),
    ) as credential:
        check_accepted(simulator, credential.get_token(simulator.scope).token)


def test_assertion_of_another_issuer_is_rejected(simulator: Simulator) -> None:
    account = simulator.sandbox
    own_token = token_request(simulator, account).json()["access_token"]
    with (
        ClientAssertionCredential(
            account.tenant_id, account.client_id, lambda: own_token, **authority(simulator)
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700027"),
    ):
        credential.get_token(simulator.scope)


def test_managed_identity_can_be_named_by_its_client_id(simulator: Simulator) -> None:
    client_id = simulator.managed_identity.client_id
    with ManagedIdentityCredential(client_id=client_id) as credential:
        assert credential.get_token(TOKEN_EXCHANGE).token
    with (
        ManagedIdentityCredential(client_id=simulator.sandbox.client_id) as credential,
        pytest.raises(ClientAuthenticationError),
    ):
        credential.get_token(TOKEN_EXCHANGE)


def test_managed_identity_requires_its_header(
    identity: ManagedIdentityCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ClientAuthenticationError):
        identity.get_token(TOKEN_EXCHANGE)


def test_refresh_token_gives_a_user_token_with_mfa_and_a_new_refresh_token(
    simulator: Simulator,
) -> None:
    app = msal_app(simulator, simulator.sandbox.client_secret)
    scopes = [simulator.scope.replace(".default", "user_impersonation")]
    first = app.acquire_token_by_refresh_token(simulator.sandbox.refresh_token, scopes)
    again = app.acquire_token_by_refresh_token(simulator.sandbox.refresh_token, scopes)

    claims = claims_of(first["access_token"])
    assert claims["amr"] == ["pwd", "mfa"]
    assert claims["scp"] == "user_impersonation"
    assert (
        len({simulator.sandbox.refresh_token, first["refresh_token"], again["refresh_token"]}) == 3
    )
    renewed = app.acquire_token_by_refresh_token(first["refresh_token"], scopes)
    check_accepted(simulator, renewed["access_token"])


def test_refresh_token_expires_after_90_days(simulator: Simulator) -> None:
    simulator.advance(91 * 86_400)
    app = msal_app(simulator, simulator.sandbox.client_secret)
    response = app.acquire_token_by_refresh_token(
        simulator.sandbox.refresh_token, [simulator.scope]
    )
    assert response["error"] == "invalid_grant"
    assert response["error_codes"] == [700082]


def test_unknown_refresh_token_is_an_invalid_grant(simulator: Simulator) -> None:
    app = msal_app(simulator, simulator.sandbox.client_secret)
    response = app.acquire_token_by_refresh_token("no such token", [simulator.scope])
    assert response["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "status", "error", "number"),
    [
        ({"scope": "https://graph.windows.net/.default"}, 400, "invalid_resource", 500011),
        (
            {"scope": "https://api.partnercenter.microsoft.com/other"},
            400,
            "invalid_scope",
            70011,
        ),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"client_secret": ""}, 401, "invalid_client", 7000215),
    ],
)
def test_wrong_token_request_is_rejected_in_the_form_of_entra(
    simulator: Simulator, form: dict[str, str], status: int, error: str, number: int
) -> None:
    response = token_request(simulator, simulator.sandbox, **form)
    assert (status, error, [number]) == (
        response.status_code,
        response.json()["error"],
        response.json()["error_codes"],
    )
    assert response.json()["error_description"].startswith(f"AADSTS{number}: ")
    assert {"trace_id", "correlation_id", "timestamp"} <= set(response.json())


def test_unknown_tenant_is_rejected(client: Client, stranger: str) -> None:
    response = client.post(f"/{stranger}/oauth2/v2.0/token")
    assert (
        response.status,
        response.json["error"],
        response.json["error_codes"],
    ) == (400, "invalid_request", [90002])


def test_app_of_one_tenant_is_unknown_in_the_other(simulator: Simulator) -> None:
    response = token_request(simulator, simulator.production, client_id=simulator.sandbox.client_id)
    assert response.json()["error_codes"] == [700016]


def test_token_lifetime_can_be_set(simulator: Simulator) -> None:
    simulator.behaviour = replace(Behaviour(), token_lifetime_seconds=60)
    response = token_request(simulator, simulator.sandbox).json()
    assert response["expires_in"] == 60
    claims = claims_of(response["access_token"])
    assert claims["exp"] - claims["iat"] == 60


def test_secret_client_reads_the_refresh_token_with_its_checks_enabled(
    simulator: Simulator, vault: SecretClient
) -> None:
    secret = vault.get_secret(simulator.sandbox.refresh_token_name)
    assert simulator.sandbox.refresh_token == secret.value
    assert secret.properties.created_on is not None
    assert secret.properties.updated_on is not None


def test_secret_client_writes_a_new_version(simulator: Simulator, vault: SecretClient) -> None:
    name = simulator.sandbox.refresh_token_name
    before = vault.get_secret(name)
    vault.set_secret(name, "rotated", content_type="text/plain")

    assert vault.get_secret(name).value == "rotated"
    assert before.value == vault.get_secret(name, before.properties.version).value
    assert [
        simulator.key_vault.versions(name)[-1].content_type,
        len(simulator.key_vault.versions(name)),
    ] == ["text/plain", 2]


def test_missing_secret_is_not_found(vault: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        vault.get_secret("nothing")


def test_vault_certificate_signs_in(simulator: Simulator, vault: SecretClient) -> None:
    account = simulator.sandbox
    secret = vault.get_secret(account.certificate_name)
    assert secret.properties.content_type == "application/x-pkcs12"
    assert secret.value
    with CertificateCredential(
        account.tenant_id,
        account.client_id,
        certificate_data=_decoded(secret.value),
        **authority(simulator),
    ) as credential:
        check_accepted(simulator, credential.get_token(simulator.scope).token)


def test_secret_age_can_be_set(simulator: Simulator, vault: SecretClient) -> None:
    simulator.key_vault.put("old", "value", age_days=80)
    old = vault.get_secret("old").properties.updated_on
    new = vault.get_secret(simulator.sandbox.refresh_token_name).properties.updated_on
    assert old is not None
    assert new is not None
    assert timedelta(days=80) - (new - old) < timedelta(seconds=10)


def test_call_log_holds_no_secret(simulator: Simulator) -> None:
    account: Account = simulator.sandbox
    token = token_request(simulator, account).json()["access_token"]
    check_accepted(simulator, token)

    written = json.dumps([str(call) for call in simulator.calls])
    assert len(simulator.calls) == 2
    assert account.client_secret not in written
    assert token not in written
    token_call = simulator.calls[0]
    assert ("POST", 200, account.tenant_id, True, False) == (
        token_call.method,
        token_call.status,
        token_call.partner_tenant_id,
        token_call.app_only,
        token_call.is_write,
    )


def _decoded(value: str) -> bytes:
    return base64.b64decode(value)
