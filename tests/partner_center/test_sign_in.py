"""A sign-in that fails: what is raised, how often it is tried again, and what is logged."""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from azure.core.pipeline.transport import RequestsTransport

from local.simulator import Fault, Simulator
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import (
    SignInFailed,
    SignInMisconfigured,
    SignInUnavailable,
)
from shared.partner_center.refresh_tokens import refresh_token_age_days
from shared.settings import Auth, PartnerCenterSettings
from tests.partner_center.test_credentials import Read

TOKEN = "*/oauth2/v2.0/token"
STRANGER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
VAULT_MODES = [Auth.CERTIFICATE, Auth.USER]


class Clock:
    """A clock in seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a library sleeps for longer than between two tries."""

    def sleep(_: object, seconds: float) -> None:
        assert seconds <= 2, f"azure-core would sleep for {seconds} s"

    monkeypatch.setattr(RequestsTransport, "sleep", sleep)


def entra_error(number: int, status: int = 400, error: str = "invalid_client") -> Fault:
    body = {
        "error": error,
        "error_description": f"AADSTS{number}: text. Trace ID: t",
        "error_codes": [number],
    }
    return Fault(path=TOKEN, status=status, body=body, times=None)


def fail(tokens: TokenSource) -> Exception:
    with pytest.raises((SignInFailed, SignInUnavailable)) as caught:
        tokens.token(Deadline.after())
    return caught.value


def tries(simulator: Simulator) -> int:
    return sum(call.path.endswith("/oauth2/v2.0/token") for call in simulator.calls)


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize("body", ["Too Many Requests", {"error": "too_many"}], ids=["text", "json"])
def test_a_429_of_entra_is_no_refusal_and_names_the_wait(
    partner_settings: Read, simulator: Simulator, auth: Auth, body: object
) -> None:
    headers = {"Retry-After": "120"}
    simulator.add_fault(Fault(path=TOKEN, status=429, body=body, headers=headers, times=None))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == 120


@pytest.mark.parametrize("auth", list(Auth))
def test_nobody_signs_in_before_the_wait_is_over(
    partner_settings: Read, simulator: Simulator, auth: Auth, clock: Clock
) -> None:
    headers = {"Retry-After": "120"}
    simulator.add_fault(Fault(path=TOKEN, status=429, headers=headers))
    tokens = TokenSource(partner_settings(auth), monotonic=clock)
    fail(tokens)

    clock.now = 119
    error = fail(tokens)
    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == 1
    assert tries(simulator) == 1
    clock.now = 120

    assert tokens.token(Deadline.after())


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize(("number", "seconds"), [(90033, None), (50196, 60)])
def test_a_code_that_passes_is_no_refusal(
    partner_settings: Read, simulator: Simulator, auth: Auth, number: int, seconds: float | None
) -> None:
    simulator.add_fault(entra_error(number, error="temporarily_unavailable"))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == seconds
    assert f"AADSTS{number}" in str(error)


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize("number", [90033, 50196])
def test_a_code_that_passes_waits_as_long_as_it_asks(
    partner_settings: Read, simulator: Simulator, auth: Auth, number: int
) -> None:
    fault = entra_error(number, error="temporarily_unavailable")
    simulator.add_fault(replace(fault, headers={"Retry-After": "77"}))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == 77
    assert f"AADSTS{number}" in str(error)


@pytest.mark.parametrize("auth", list(Auth))
def test_a_refusal_with_a_retry_after_is_a_refusal(
    partner_settings: Read, simulator: Simulator, auth: Auth
) -> None:
    fault = entra_error(7000222, status=401)
    simulator.add_fault(replace(fault, headers={"Retry-After": "77"}))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInFailed)
    assert error.next_try == 60


def test_an_odd_retry_after_does_not_hold_the_sign_in_for_hours(
    partner_settings: Read, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path=TOKEN, status=429, headers={"Retry-After": "86400"}))

    error = fail(TokenSource(partner_settings()))

    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == 600


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("path", [TOKEN, "*/.well-known/openid-configuration"])
def test_a_5xx_is_no_refusal(
    partner_settings: Read, simulator: Simulator, auth: Auth, status: int, path: str
) -> None:
    simulator.add_fault(Fault(path=path, status=status, body="<html>", times=None))
    tokens = TokenSource(partner_settings(auth))

    if auth is Auth.FEDERATED and path != TOKEN:
        assert tokens.token(Deadline.after())
    else:
        assert isinstance(fail(tokens), SignInUnavailable)


@pytest.mark.parametrize("auth", list(Auth))
def test_a_success_that_is_not_json_is_no_refusal_and_is_not_shown(
    partner_settings: Read, simulator: Simulator, auth: Auth
) -> None:
    body = '{"access_token": "half-a-token'
    simulator.add_fault(Fault(path=TOKEN, status=200, body=body, times=None))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInUnavailable)
    assert "half-a-token" not in str(error)


@pytest.mark.parametrize("auth", list(Auth))
def test_a_wrong_tenant_is_a_setting_in_every_mode(partner_settings: Read, auth: Auth) -> None:
    error = fail(TokenSource(partner_settings(auth, PARTNER_TENANT_ID=STRANGER)))

    assert isinstance(error, SignInMisconfigured)
    assert error.refusal is not None
    assert error.refusal.code == "AADSTS90002"
    assert "PARTNER_TENANT_ID" in str(error)


@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize("number", [700016, 7000222, 65001, 53003, 4711])
def test_a_refusal_names_code_and_remedy_in_every_mode(
    partner_settings: Read, simulator: Simulator, auth: Auth, number: int
) -> None:
    simulator.add_fault(entra_error(number, status=401))

    error = fail(TokenSource(partner_settings(auth)))

    assert type(error) is SignInFailed
    assert error.refusal is not None
    assert error.refusal.code == f"AADSTS{number}"
    assert error.refusal.remedy in str(error)
    assert error.next_try == 60


@pytest.mark.parametrize("auth", [Auth.FEDERATED, *VAULT_MODES])
def test_an_identity_that_does_not_exist_is_a_setting(partner_settings: Read, auth: Auth) -> None:
    error = fail(TokenSource(partner_settings(auth, AZURE_CLIENT_ID=STRANGER)))

    assert isinstance(error, SignInMisconfigured)
    assert "AZURE_CLIENT_ID" in str(error)


@pytest.mark.parametrize("auth", VAULT_MODES)
def test_a_vault_that_does_not_exist_is_a_setting(partner_settings: Read, auth: Auth) -> None:
    error = fail(TokenSource(partner_settings(auth, KEY_VAULT_URI="https://none.invalid")))

    assert isinstance(error, SignInMisconfigured)
    assert "KEY_VAULT_URI" in str(error)


@pytest.mark.parametrize("auth", list(Auth))
def test_an_authority_that_does_not_exist_is_a_setting(partner_settings: Read, auth: Auth) -> None:
    host = "https://login.none.invalid"

    error = fail(TokenSource(partner_settings(auth, PARTNER_CENTER_AUTHORITY=host)))

    assert isinstance(error, SignInMisconfigured)
    assert "Settings: PARTNER_CENTER_AUTHORITY." in str(error)


def test_an_authority_of_microsoft_whose_name_is_not_found_is_an_outage(
    partner_settings: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    read = partner_settings(PARTNER_CENTER_AUTHORITY="https://login.microsoftonline.us")

    assert isinstance(fail(TokenSource(read)), SignInUnavailable)


@pytest.mark.parametrize("auth", VAULT_MODES)
def test_a_name_that_no_secret_can_have_is_a_setting(
    partner_settings: Read, simulator: Simulator, auth: Auth
) -> None:
    body = {"error": {"code": "BadParameter", "message": "The name is not valid."}}
    simulator.add_fault(Fault(path="/secrets/*", status=400, body=body, times=None))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInMisconfigured)
    assert error.refusal is not None
    assert error.refusal.code == "KeyVault/400"


@pytest.mark.parametrize("auth", VAULT_MODES)
def test_a_vault_that_may_not_be_read_is_a_refusal(
    partner_settings: Read, simulator: Simulator, auth: Auth
) -> None:
    simulator.add_fault(Fault(path="/secrets/*", status=403, times=None))

    error = fail(TokenSource(partner_settings(auth)))

    assert type(error) is SignInFailed
    assert "Key Vault Secrets User" in str(error)


@pytest.mark.parametrize("auth", VAULT_MODES)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_vault_is_no_refusal(
    partner_settings: Read, simulator: Simulator, auth: Auth, status: int
) -> None:
    headers = {"Retry-After": "90"}
    simulator.add_fault(Fault(path="/secrets/*", status=status, headers=headers, times=None))

    error = fail(TokenSource(partner_settings(auth)))

    assert isinstance(error, SignInUnavailable)
    assert error.retry_after == 90


@pytest.mark.parametrize("auth", list(Auth))
def test_a_refused_sign_in_is_tried_once_a_minute(
    partner_settings: Read, simulator: Simulator, auth: Auth, clock: Clock
) -> None:
    simulator.add_fault(entra_error(7000222, status=401))
    tokens = TokenSource(partner_settings(auth), monotonic=clock)
    for second in range(0, 180, 7):
        clock.now = second
        error = fail(tokens)
        assert isinstance(error, SignInFailed)

    assert tries(simulator) == 3


def test_five_threads_share_one_refusal_and_one_log_line(
    partner_settings: Read, simulator: Simulator, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.add_fault(replace(entra_error(7000222, status=401), delay_seconds=0.05))
    tokens = TokenSource(partner_settings(), monotonic=clock)
    errors: list[Exception] = []
    threads = [
        threading.Thread(target=lambda: errors.append(fail(tokens)), daemon=True) for _ in range(5)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    fail(tokens)

    assert [type(error) for error in errors] == [SignInFailed] * 5
    assert tries(simulator) == 1
    lines = [each.getMessage() for each in caplog.records if each.name == "tipsweep"]
    assert [line.split(" ")[0] for line in lines] == ["sign_in_failed"]
    assert "code=AADSTS7000222" in lines[0]
    assert 'remedy="Create another client secret' in lines[0]
    assert "page=https://" in lines[0]


def test_an_outage_has_an_event_of_its_own(
    partner_settings: Read, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tipsweep")
    simulator.add_fault(Fault(path=TOKEN, status=429, headers={"Retry-After": "33"}, times=None))

    fail(TokenSource(partner_settings()))

    lines = [each.getMessage() for each in caplog.records if each.name == "tipsweep"]
    assert [line.split(" ")[0] for line in lines] == ["sign_in_unavailable"]
    assert lines[0].endswith("retry_after_seconds=33.0")


def test_a_sign_in_that_works_again_ends_the_pause(
    partner_settings: Read, simulator: Simulator, clock: Clock
) -> None:
    simulator.add_fault(replace(entra_error(7000222, status=401), times=1))
    tokens = TokenSource(partner_settings(), monotonic=clock)
    fail(tokens)
    clock.now = 60
    first = tokens.token(Deadline.after())

    tokens.forget()

    assert tokens.token(Deadline.after()) != first


def test_the_age_of_the_token_in_a_busy_vault_is_no_refusal(
    partner_settings: Callable[..., PartnerCenterSettings], simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path="/secrets/*", status=503, times=None))

    with pytest.raises(SignInUnavailable):
        refresh_token_age_days(partner_settings(Auth.USER), simulator.clock.now())
