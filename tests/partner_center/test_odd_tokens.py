"""What Entra ID may send instead of a token: trouble that passes, and never a Python error."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Fault, Simulator
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import NoResponse, PartnerCenterError, SignInFailed
from shared.partner_center.refresh_tokens import refresh_token_age_days
from shared.partner_center.token_claims import tenant_of
from shared.partner_center.verdicts import Unusable
from shared.settings import Auth, PartnerCenterSettings

Read = Callable[..., PartnerCenterSettings]
GOOD = '"access_token": "a.b.c", "expires_in": 3600, "token_type": "Bearer"'
ODD = [
    "[]",
    "7",
    "null",
    '"text"',
    "<html>",
    "[" * 100_000,
    '{"access_token": 7, "expires_in": 3600}',
    '{"access_token": "a\\u00e4", "expires_in": 3600}',
    '{"access_token": "a\\nHost: evil", "expires_in": 3600}',
    '{"access_token": "a.b.c"}',
    '{"access_token": "a.b.c", "expires_in": "soon"}',
    '{"access_token": "a.b.c", "expires_in": 1e999}',
    '{"access_token": "a.b.c", "expires_in": {}}',
    '{"error": 7, "error_description": 7}',
    '{"error": {"code": 1}}',
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", ODD, ids=lambda body: body[:50])
@pytest.mark.parametrize("auth", [Auth.SECRET, Auth.USER])
def test_no_sign_in_raises_a_python_error(
    partner_settings: Read, simulator: Simulator, auth: Auth, body: str, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    fault = Fault(path="*/token", status=status, body=body, headers=headers, times=None)
    simulator.add_fault(fault)
    source = TokenSource(partner_settings(auth), refused_pause=0)

    with pytest.raises((NoResponse, SignInFailed)):
        source.tenant(Deadline.after())

    simulator.clear_faults()
    assert source.tenant(Deadline.after()) == simulator.sandbox.tenant_id


@pytest.mark.parametrize("successor", ["null", "7", '""', "{}"])
def test_an_odd_refresh_token_does_not_replace_the_stored_one(
    partner_settings: Read, simulator: Simulator, successor: str
) -> None:
    name = simulator.sandbox.refresh_token_name
    before = simulator.key_vault.versions(name)
    body = f'{{{GOOD}, "refresh_token": {successor}}}'
    headers = {"Content-Type": "application/json"}
    simulator.add_fault(Fault(path="*/token", status=200, body=body, headers=headers))

    with suppress(NoResponse, SignInFailed):
        TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    assert simulator.key_vault.versions(name) == before


@given(st.text() | st.binary().map(lambda payload: f"a.{payload.hex()}.c"))
def test_every_token_has_a_tenant_or_is_rejected(token: str) -> None:
    with suppress(Unusable):
        tenant_of(token)


def test_a_deep_token_is_rejected() -> None:
    payload = "W1tb" * 30_000

    with pytest.raises(Unusable, match="names no tenant"):
        tenant_of(f"a.{payload}.c")


ODD_SECRETS = [
    "[]",
    '"x"',
    "7",
    "null",
    '{"value": 7}',
    '{"value": {"x": 1}, "id": 7}',
    '{"value": "x", "attributes": []}',
    '{"value": "x", "attributes": {"updated": "soon"}}',
    '{"value": "x", "attributes": {"updated": 1e300}}',
    '{"value": "x", "attributes": {"updated": []}}',
]


@pytest.mark.parametrize("body", ODD_SECRETS)
@pytest.mark.parametrize("auth", [Auth.CERTIFICATE, Auth.USER])
def test_no_secret_in_the_vault_raises_a_python_error(
    partner_settings: Read, simulator: Simulator, auth: Auth, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    fault = Fault(method="GET", path="/secrets/*", status=200, body=body, headers=headers)
    simulator.add_fault(replace(fault, times=None))
    settings = partner_settings(auth)

    with pytest.raises(PartnerCenterError):
        TokenSource(settings).token(Deadline.after())
    with suppress(PartnerCenterError):
        refresh_token_age_days(settings, simulator.clock.now())
