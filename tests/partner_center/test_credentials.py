"""Signing in with the real azure-identity, msal and Key Vault clients."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport

from local.simulator import Behaviour, Fault, Simulator
from shared.partner_center.client import PartnerCenter
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import (
    NoResponse,
    SignInFailed,
    SignInMisconfigured,
)
from shared.partner_center.sign_in_clients import azure_credential
from shared.partner_center.token_claims import tenant_of
from shared.partner_center.verdicts import Unusable
from shared.settings import Auth, PartnerCenterSettings
from shared.storage.outages import is_outage
from tests.partner_center.conftest import Connect

Read = Callable[..., PartnerCenterSettings]


@pytest.mark.parametrize("auth", list(Auth))
def test_each_way_to_sign_in_reads_customers(
    connect: Connect, simulator: Simulator, auth: Auth
) -> None:
    simulator.sandbox.add_customer("c.onmicrosoft.com")
    connection = connect(auth)

    assert len(list(PartnerCenter(connection, "c").customers())) == 1
    assert connection.tokens.tenant(Deadline.after()) == simulator.sandbox.tenant_id
    assert simulator.calls[-1].app_only is (auth is not Auth.USER)


def test_a_user_may_read_entitlements(connect: Connect, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    connection = connect(Auth.USER)

    PartnerCenter(connection, "c").entitlements(customer.tenant_id)

    assert not connection.tokens.entitlements_forbidden


def test_each_redeemed_refresh_token_is_replaced_in_the_vault(
    partner_settings: Read, simulator: Simulator
) -> None:
    name = simulator.sandbox.refresh_token_name
    before = len(simulator.key_vault.versions(name))

    for _ in range(2):
        TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    versions = simulator.key_vault.versions(name)
    assert len(versions) == before + 2
    assert len({version.value for version in versions}) == len(versions)


def test_the_successor_of_a_refresh_token_expires_90_days_after_it_was_issued(
    partner_settings: Read, simulator: Simulator
) -> None:
    TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    expires = simulator.key_vault.versions(simulator.sandbox.refresh_token_name)[-1].expires
    left = datetime.fromtimestamp(expires or 0, UTC) - datetime.now(UTC)
    assert timedelta(days=89.9) < left <= timedelta(days=90)


def test_an_expired_refresh_token_says_what_to_do(
    partner_settings: Read, simulator: Simulator
) -> None:
    simulator.advance(91 * 86_400)

    with pytest.raises(SignInFailed, match="consent again") as caught:
        TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    assert "invalid_grant" in str(caught.value)
    assert simulator.sandbox.refresh_token not in str(caught.value)


def test_a_token_is_used_until_it_is_old(connect: Connect, simulator: Simulator) -> None:
    client = PartnerCenter(connect(), "c")

    for _ in range(3):
        list(client.customers())

    assert sum(call.path.endswith("/token") for call in simulator.calls) == 1


@pytest.mark.parametrize("auth", [Auth.SECRET, Auth.CERTIFICATE, Auth.USER])
def test_a_short_lived_token_is_renewed(connect: Connect, simulator: Simulator, auth: Auth) -> None:
    """Without federated sign-in: there, azure-identity waits 30 seconds before it renews."""
    simulator.behaviour = Behaviour(token_lifetime_seconds=200)
    client = PartnerCenter(connect(auth), "c")

    for _ in range(3):
        list(client.customers())

    tokens = [call for call in simulator.calls if call.path.endswith("/oauth2/v2.0/token")]
    assert len(tokens) == 3


def test_a_wrong_secret_is_rejected_and_not_shown(
    partner_settings: Read, simulator: Simulator
) -> None:
    settings = replace(partner_settings(), client_secret="wrong-secret-value")

    with pytest.raises(SignInFailed, match="AADSTS7000215") as caught:
        TokenSource(settings).token(Deadline.after())

    assert "wrong-secret-value" not in str(caught.value)
    assert "wrong-secret-value" not in repr(settings)
    assert simulator.sandbox.client_id in str(caught.value)


def test_a_wrong_audience_is_rejected(partner_settings: Read) -> None:
    read = partner_settings(PARTNER_CENTER_SCOPE="https://graph.windows.net/.default")

    with pytest.raises(SignInFailed):
        TokenSource(read).token(Deadline.after())


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize(
    "fault", [Fault(drop=True, times=None), Fault(status=503, times=None)], ids=str
)
def test_an_unreachable_sign_in_is_not_a_rejection(
    partner_settings: Read,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    auth: Auth,
    fault: Fault,
) -> None:
    monkeypatch.setattr(RequestsTransport, "sleep", lambda *_: None)
    simulator.add_fault(replace(fault, path="*/oauth2/v2.0/token"))

    with pytest.raises(NoResponse, match="could not sign in"):
        TokenSource(partner_settings(auth)).token(Deadline.after())


@pytest.mark.parametrize("stored", ["{}\n", "{}\r\n", " {} ", "\ufeff{}", "{}\ufeff\n"])
def test_what_surrounds_a_stored_refresh_token_is_left_out(
    partner_settings: Read, simulator: Simulator, stored: str
) -> None:
    account = simulator.sandbox
    simulator.key_vault.put(account.refresh_token_name, stored.format(account.refresh_token))

    assert TokenSource(partner_settings(Auth.USER)).token(Deadline.after())


@pytest.mark.parametrize("stored", ["one\ntwo", "one two", "one\ufefftwo", "", "\n"])
def test_a_refresh_token_that_cannot_be_one_says_so_without_showing_it(
    partner_settings: Read, simulator: Simulator, stored: str
) -> None:
    name = simulator.sandbox.refresh_token_name
    simulator.key_vault.put(name, stored)

    with pytest.raises(SignInFailed, match=f"refresh token in secret {name}") as caught:
        TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    assert "one line" in str(caught.value)
    assert "two" not in str(caught.value)
    assert not any(call.path.endswith("/oauth2/v2.0/token") for call in simulator.calls)


@pytest.mark.parametrize(
    ("stored", "where"),
    [("one\u200e", "at its end"), ("\u200eone", "at its start"), ("o\u200ene", "inside")],
)
def test_the_place_of_a_character_that_no_refresh_token_has_is_named(
    partner_settings: Read, simulator: Simulator, stored: str, where: str
) -> None:
    simulator.key_vault.put(simulator.sandbox.refresh_token_name, stored)

    with pytest.raises(SignInFailed, match=f"has the character U.200E {where}"):
        TokenSource(partner_settings(Auth.USER)).token(Deadline.after())


def test_a_client_secret_with_a_line_feed_at_its_end_signs_in(
    partner_settings: Read, simulator: Simulator
) -> None:
    stored = f"\ufeff{simulator.sandbox.client_secret}\n"
    read = partner_settings(PARTNER_CENTER_CLIENT_SECRET=stored)

    assert TokenSource(read).token(Deadline.after())


def test_a_missing_certificate_is_an_error_of_sign_in(partner_settings: Read) -> None:
    read = partner_settings(Auth.CERTIFICATE, PARTNER_CENTER_CERTIFICATE_NAME="absent")

    with pytest.raises(SignInMisconfigured, match=r"absent.*PARTNER_CENTER_CERTIFICATE_NAME"):
        TokenSource(read).token(Deadline.after())


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.e30.c", "a.W10.c"])
def test_a_token_without_a_tenant_is_rejected(token: str) -> None:
    with pytest.raises(Unusable, match="tid"):
        tenant_of(token)


@pytest.mark.parametrize("status", [410, 503])
def test_the_managed_identity_is_asked_twice_and_not_for_70_seconds(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Outside App Service, where azure-identity has its own retries for a 410."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.url)
    slept: list[float] = []
    monkeypatch.setattr(RequestsTransport, "sleep", lambda _, seconds: slept.append(seconds))
    simulator.add_fault(Fault(path="/metadata/*", status=status, times=None))

    with pytest.raises(AzureError):
        azure_credential(managed=True, client_id=None).get_token("https://vault/.default")

    assert sum(call.path.startswith("/metadata/") for call in simulator.calls) == 2
    assert sum(slept) <= 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("body", ["", "<html>", "{}"])
def test_a_rejection_of_the_managed_identity_is_an_outage_of_storage(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, status: int, body: str
) -> None:
    for name, value in simulator.environment(auth="federated").items():
        monkeypatch.setenv(name, value)
    simulator.add_fault(Fault(path="/msi/token", status=status, body=body, times=None))

    with pytest.raises(AzureError) as caught:
        azure_credential(managed=True, client_id=None).get_token("https://storage/.default")

    assert is_outage(caught.value)
