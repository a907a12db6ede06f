"""An access token is read before the first call, and renewed once after a 401."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, Self

import pytest

from local.simulator import Fault, Simulator
from local.simulator.identity import tokens as issued
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import (
    NotASandbox,
    NotForThisCredential,
    SignInFailed,
    SignInMisconfigured,
    Unauthorized,
)
from shared.settings import Auth, PartnerCenterSettings
from tests.bench import UNHURRIED
from tests.local_budget import LocalBudget
from tests.partner_center.test_sign_in import STRANGER, TOKEN, Clock, fail, tries

Read = Callable[..., PartnerCenterSettings]
NO_MFA = {"code": 900421, "description": "The token lacks the MFA claim."}


def grant(simulator: Simulator, lifetime: int = 3600, **claims: object) -> None:
    """Let Entra ID issue an access token with these claims."""
    usual = {"aud": issued.AUDIENCE, "tid": simulator.sandbox.tenant_id}
    token = issued.issue({**usual, **claims}, lifetime)
    body = {"token_type": "Bearer", "expires_in": 3600, "access_token": token}
    simulator.add_fault(Fault(path=TOKEN, status=200, body=body, times=None))


def api_calls(simulator: Simulator) -> list[int | None]:
    return [call.status for call in simulator.calls if call.path.startswith("/v1/")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connection(partner_settings: Read, clock: Clock) -> Connection:
    settings = partner_settings()
    tokens = TokenSource(settings, monotonic=clock)
    return Connection(settings.endpoints.base_url, tokens, LocalBudget(UNHURRIED))


@pytest.mark.parametrize("auth", list(Auth))
def test_a_token_of_another_tenant_names_the_setting(
    partner_settings: Read, simulator: Simulator, auth: Auth
) -> None:
    grant(simulator, tid=STRANGER, amr=["mfa"])

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInMisconfigured)
    assert STRANGER in str(error)
    assert "PARTNER_TENANT_ID" in str(error)
    assert api_calls(simulator) == []


@pytest.mark.parametrize("audience", ["https://graph.windows.net", ["https://graph.microsoft.com"]])
def test_a_token_for_another_api_is_not_sent(
    partner_settings: Read, simulator: Simulator, audience: object
) -> None:
    grant(simulator, aud=audience)

    error = fail(TokenSource(partner_settings()))

    assert isinstance(error, SignInMisconfigured)
    assert error.refusal is not None
    assert error.refusal.code == "401/900420"
    assert "graph." in str(error)


def test_the_withdrawn_audience_is_refused_if_the_scope_asks_for_it(
    partner_settings: Read, simulator: Simulator
) -> None:
    grant(simulator, aud="https://graph.windows.net")
    read = partner_settings(PARTNER_CENTER_SCOPE="https://graph.windows.net/.default")

    assert "PARTNER_CENTER_SCOPE" in str(fail(TokenSource(read)))


@pytest.mark.parametrize(
    "audience",
    [f"{issued.AUDIENCE}/", "FA3D9A0C-3FB0-42CC-9193-47C7ECD2EDBD", [issued.AUDIENCE], None],
)
def test_each_form_of_the_audience_is_accepted(
    partner_settings: Read, simulator: Simulator, audience: object
) -> None:
    grant(simulator, aud=audience)

    assert TokenSource(partner_settings()).token(Deadline.after())


@pytest.mark.parametrize(("lifetime", "accepted"), [(-500, True), (-700, False)])
def test_a_token_may_be_ten_minutes_over_because_a_clock_may_be_wrong(
    partner_settings: Read, simulator: Simulator, lifetime: int, accepted: bool
) -> None:
    grant(simulator, lifetime)
    tokens = TokenSource(partner_settings())

    if accepted:
        assert tokens.token(Deadline.after())
    else:
        assert "Check the clock" in str(fail(tokens))


def test_a_user_without_mfa_is_told_before_the_first_call(
    partner_settings: Read, simulator: Simulator
) -> None:
    simulator.behaviour = replace(simulator.behaviour, user_tokens_have_mfa=False)

    error = fail(TokenSource(partner_settings(Auth.USER)))

    assert isinstance(error, SignInFailed)
    assert error.refusal is not None
    assert error.refusal.code == "401/900421"
    assert "local.consent" in error.refusal.remedy
    assert api_calls(simulator) == []


def test_an_application_needs_no_mfa(partner_settings: Read, simulator: Simulator) -> None:
    grant(simulator, amr=["pwd"])

    assert TokenSource(partner_settings()).token(Deadline.after())


def test_a_401_gets_a_fresh_token_and_one_more_try(
    connection: Connection, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="/v1/customers", status=401))
    first = connection.tokens.token(Deadline.after())

    assert list(PartnerCenter(connection, "c").customers()) == []

    assert api_calls(simulator) == [401, 200]
    assert tries(simulator) == 2
    assert connection.tokens.token(Deadline.after()) != first


def test_the_whole_process_renews_a_rejected_token_once_a_minute(
    connection: Connection, simulator: Simulator, clock: Clock
) -> None:
    simulator.add_fault(Fault(path="/v1/customers", status=401, body=NO_MFA, times=None))
    for second in range(0, 120, 10):
        clock.now = second
        with pytest.raises(Unauthorized):
            list(PartnerCenter(connection, "c").customers())

    assert tries(simulator) == 3
    assert len(api_calls(simulator)) == 14


def test_a_token_that_another_call_has_renewed_is_used_without_a_sign_in(
    connection: Connection,
) -> None:
    tokens = connection.tokens
    rejected = tokens.token(Deadline.after())
    assert tokens.renewable(rejected)
    fresh = tokens.token(Deadline.after())

    assert tokens.renewable(rejected)
    assert tokens.token(Deadline.after()) == fresh


def test_a_sign_in_that_is_refused_after_a_401_is_what_is_raised(
    connection: Connection, simulator: Simulator
) -> None:
    connection.tokens.token(Deadline.after())
    body = {"error": "invalid_client", "error_description": "AADSTS7000222: expired"}
    simulator.add_fault(Fault(path=TOKEN, status=401, body=body, times=None))
    simulator.add_fault(Fault(path="/v1/customers", status=401))

    with pytest.raises(SignInFailed, match="AADSTS7000222"):
        list(PartnerCenter(connection, "c").customers())


def test_a_401_that_says_that_the_account_is_no_sandbox_is_not_repeated(
    connection: Connection, simulator: Simulator
) -> None:
    body = {"code": 800019, "description": "Not an integration sandbox."}
    simulator.add_fault(Fault(path="/v1/customers", status=401, body=body))

    with pytest.raises(NotASandbox):
        list(PartnerCenter(connection, "c").customers())

    assert api_calls(simulator) == [401]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"code": 900420}, "401/900420", ("not meant for Partner Center", "_SCOPE")),
        (NO_MFA, "401/900421", ("no multifactor authentication", "REFRESH_TOKEN")),
        ({"code": 900329}, "403/900329", ("kind of credential", "PARTNER_CENTER_AUTH")),
        ({"code": 900309}, "403/900309", ("conditional access", "_CLIENT_ID")),
        ("", "401", ("does not say why", "PARTNER_CENTER_AUTH")),
        ({"code": 800001}, "401/800001", ("does not accept the token", "_CLIENT_ID")),
    ],
)
def test_each_rejection_of_a_token_has_its_sentence(
    connection: Connection, simulator: Simulator, body: Any, code: str, said: tuple[str, str]
) -> None:
    status = int(code.partition("/")[0])
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if body == "" else {}
    fault = Fault(path="/v1/customers", status=status, body=body, headers=headers, times=2)
    simulator.add_fault(fault)

    with pytest.raises((Unauthorized, NotForThisCredential)) as caught:
        list(PartnerCenter(connection, "c").customers())

    error = caught.value
    assert isinstance(error, (Unauthorized, NotForThisCredential))
    assert error.refusal.code == code
    assert error.refusal.page.startswith("https://")
    assert error.refusal.remedy in str(error)
    assert all(part in str(error) for part in said)


def move_their_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Move the clock of Entra ID, vault and identity, which comes to the same as moving ours."""

    class There(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=seconds)

    there = SimpleNamespace(time=lambda: time.time() + seconds)
    monkeypatch.setattr(issued, "time", there)
    monkeypatch.setattr("jwt.api_jwt.datetime", There)


@pytest.mark.parametrize("seconds", [-600, 600])
@pytest.mark.parametrize("auth", [Auth.SECRET, Auth.FEDERATED, Auth.USER])
def test_a_clock_that_is_ten_minutes_wrong_stops_no_sign_in(
    partner_settings: Read, monkeypatch: pytest.MonkeyPatch, auth: Auth, seconds: int
) -> None:
    move_their_clock(monkeypatch, seconds)

    assert TokenSource(partner_settings(auth)).token(Deadline.after())


@pytest.mark.parametrize("seconds", [-600, 660])
def test_a_clock_that_is_too_wrong_for_an_assertion_is_named(
    partner_settings: Read, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    move_their_clock(monkeypatch, seconds)

    error = fail(TokenSource(partner_settings(Auth.CERTIFICATE)))

    assert "Check the clock of the machine" in str(error)
