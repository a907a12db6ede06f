"""The refresh token survives a vault that is away, other instances, and people who consent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from threading import Barrier
from typing import Self

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport

from local.simulator import Fault, Simulator
from local.simulator.identity.key_vault import SecretVersion
from shared.partner_center import refresh_tokens
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import SignInFailed
from shared.partner_center.refresh_tokens import RefreshTokenCredential
from shared.settings import Auth, PartnerCenterSettings
from tests.partner_center.background import Background
from tests.partner_center.wire import meeting

Read = Callable[..., PartnerCenterSettings]
WRITES_FAIL = Fault(method="PUT", path="/secrets/*", status=503, times=None)
READS_FAIL = Fault(method="GET", path="/secrets/*", status=503, times=None)


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> Background:
    background = Background()
    monkeypatch.setattr(refresh_tokens, "in_background", background)
    return background


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestsTransport, "sleep", lambda *_: None)


@pytest.fixture
def settings(partner_settings: Read) -> PartnerCenterSettings:
    return partner_settings(Auth.USER)


@pytest.fixture
def credential(settings: PartnerCenterSettings, background: Background) -> RefreshTokenCredential:
    return RefreshTokenCredential(settings, background)


def sign_in(credential: RefreshTokenCredential, settings: PartnerCenterSettings) -> str:
    return credential.get_token(settings.endpoints.scope).token


def versions(simulator: Simulator) -> list[SecretVersion]:
    return list(simulator.key_vault.versions(simulator.sandbox.refresh_token_name))


def consent(simulator: Simulator) -> str:
    """Store the token of a person who consents."""
    token = simulator.sandbox.new_refresh_token()
    simulator.key_vault.put(simulator.sandbox.refresh_token_name, token)
    return token


def while_redeeming(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Do something while the next refresh token is redeemed."""
    issue = simulator.sandbox.new_refresh_token

    def issue_after() -> str:
        monkeypatch.setattr(simulator.sandbox, "new_refresh_token", issue)
        act()
        return issue()

    monkeypatch.setattr(simulator.sandbox, "new_refresh_token", issue_after)


def test_a_successor_that_cannot_be_written_is_used_from_memory(
    credential: RefreshTokenCredential, settings: PartnerCenterSettings, simulator: Simulator
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)

    assert sign_in(credential, settings)


def test_a_successor_is_stored_again_with_a_growing_delay(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    background: Background,
) -> None:
    before = len(versions(simulator))
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)
    for _ in range(9):
        background.run()

    assert background.delays == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    simulator.clear_faults()
    background.run()

    assert background.acts == []
    assert len(versions(simulator)) == before + 1
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)
    assert sign_in(RefreshTokenCredential(settings), settings)


def test_a_successor_that_is_stored_late_expires_90_days_after_it_was_issued(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)
    simulator.clear_faults()
    issued = datetime.now(UTC)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=3)

    monkeypatch.setattr(refresh_tokens, "datetime", Later)
    background.run()

    expires = datetime.fromtimestamp(versions(simulator)[-1].expires or 0, UTC)
    assert abs(expires - issued - timedelta(days=90)) < timedelta(minutes=5)


def test_the_last_of_several_successors_is_stored_once(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    background: Background,
) -> None:
    before = len(versions(simulator))
    simulator.add_fault(WRITES_FAIL)
    for _ in range(3):
        sign_in(credential, settings)
    simulator.clear_faults()

    assert len(background.acts) == 1
    background.run()

    assert len(versions(simulator)) == before + 1
    assert sign_in(RefreshTokenCredential(settings), settings)


def test_a_successor_that_cannot_be_written_is_an_event_that_says_what_to_do(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)

    lines = [line for line in caplog.messages if line.startswith("refresh_token_unstored ")]
    assert len(lines) == 1
    assert simulator.sandbox.refresh_token_name in lines[0]
    assert "Key Vault Secrets Officer" in lines[0]
    assert lines[0].endswith("retry_after_seconds=5.0")


@pytest.mark.parametrize("status", [403, 503])
def test_a_vault_that_cannot_be_read_any_more_stops_no_sign_in(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    status: int,
) -> None:
    sign_in(credential, settings)
    simulator.add_fault(Fault(path="/secrets/*", status=status, times=None))

    assert sign_in(credential, settings)
    assert sign_in(credential, settings)


def test_the_token_in_the_vault_is_tried_if_the_process_died(
    settings: PartnerCenterSettings, simulator: Simulator, background: Background
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(RefreshTokenCredential(settings, background), settings)
    simulator.clear_faults()

    assert sign_in(RefreshTokenCredential(settings, background), settings)


def test_a_new_consent_is_asked_for_only_if_the_token_in_the_vault_is_refused_too(
    settings: PartnerCenterSettings, simulator: Simulator, background: Background
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(RefreshTokenCredential(settings, background), settings)
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)

    with pytest.raises(SignInFailed, match=r"local\.consent"):
        TokenSource(settings).token(Deadline.after())


def test_a_token_in_memory_that_is_refused_gives_way_to_the_one_in_the_vault(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_memory = simulator.sandbox.new_refresh_token()
    monkeypatch.setattr(simulator.sandbox, "new_refresh_token", lambda: in_memory)
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)
    simulator.sandbox.revoke_refresh_token(in_memory)

    with pytest.raises(ClientAuthenticationError):
        sign_in(credential, settings)

    assert sign_in(credential, settings)


def test_an_outage_of_entra_does_not_lose_the_token_in_memory(
    settings: PartnerCenterSettings, simulator: Simulator, background: Background
) -> None:
    assert background.acts == []
    tokens = TokenSource(settings, refused_pause=0)
    simulator.add_fault(WRITES_FAIL)
    tokens.token(Deadline.after())
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)
    body = {"error": "temporarily_unavailable", "error_description": "AADSTS90033: later"}
    simulator.add_fault(Fault(path="*/oauth2/v2.0/token", status=400, body=body))
    tokens.forget()
    with pytest.raises(Exception, match="AADSTS90033"):
        tokens.token(Deadline.after())

    assert tokens.token(Deadline.after())


def test_a_consent_that_is_stored_while_an_old_token_is_redeemed_stays_the_newest(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consents: list[str] = []
    while_redeeming(simulator, monkeypatch, lambda: consents.append(consent(simulator)))

    sign_in(credential, settings)
    assert [version.value for version in versions(simulator)][-1:] == consents
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)

    assert sign_in(credential, settings)
    assert sign_in(RefreshTokenCredential(settings), settings)


def test_a_consent_wins_over_a_successor_that_waits_to_be_stored(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    background: Background,
) -> None:
    simulator.add_fault(WRITES_FAIL)
    sign_in(credential, settings)
    simulator.clear_faults()
    token = consent(simulator)

    background.run()

    assert versions(simulator)[-1].value == token
    assert background.acts == []


def test_a_consent_that_another_instance_has_redeemed_already_is_not_covered_up(
    credential: RefreshTokenCredential,
    settings: PartnerCenterSettings,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newest: list[str] = []

    def consent_and_redeem() -> None:
        consent(simulator)
        newest.append(consent(simulator))

    while_redeeming(simulator, monkeypatch, consent_and_redeem)
    sign_in(credential, settings)

    assert versions(simulator)[-1].value == newest[0]


def test_two_instances_that_rotate_at_once_lose_nothing(
    settings: PartnerCenterSettings,
    simulator: Simulator,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second redeems the same token while the first does, and the first token is revoked."""
    first, second = (RefreshTokenCredential(settings, background) for _ in range(2))
    while_redeeming(simulator, monkeypatch, lambda: consent(simulator))

    sign_in(first, settings)
    simulator.sandbox.revoke_refresh_token(simulator.sandbox.refresh_token)

    assert sign_in(second, settings)
    assert sign_in(first, settings)
    assert sign_in(RefreshTokenCredential(settings, background), settings)


@pytest.mark.parametrize(
    ("meeting_at", "written"),
    [("POST /token", {1, 2}), ("GET /secrets", {1, 2}), ("PUT /secrets", {2})],
)
def test_two_processes_whose_requests_cross_lose_nothing(
    settings: PartnerCenterSettings,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    meeting_at: str,
    written: set[int],
) -> None:
    """Each redeems the same token, and at worst both write a successor of the same version."""
    before = len(versions(simulator))
    backgrounds = (Background(), Background())
    processes = [RefreshTokenCredential(settings, each) for each in backgrounds]

    with (
        meeting(monkeypatch, meeting_at, Barrier(2, timeout=20)),
        ThreadPoolExecutor() as threads,
    ):
        signed_in = list(threads.map(lambda each: sign_in(each, settings), processes))
    for each in backgrounds:
        each.check()

    assert len(set(signed_in)) == 2
    assert len(versions(simulator)) - before in written
    # The newest must do for everybody, also if Entra ID refuses all that came before.
    for version in versions(simulator)[:-1]:
        simulator.sandbox.revoke_refresh_token(version.value)
    for credential in (*processes, RefreshTokenCredential(settings, Background())):
        assert sign_in(credential, settings)
        assert sign_in(credential, settings)
