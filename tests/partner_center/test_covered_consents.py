"""A consent that a person stores while the app writes a successor becomes the newest again."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import hypothesis.strategies as some
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport
from hypothesis import given

from local.simulator import Fault, Simulator
from local.simulator.identity.key_vault import PAGE_SIZE, SecretVersion
from shared.partner_center.covered_consents import Version, covered_by
from shared.partner_center.refresh_tokens import RefreshTokenCredential
from shared.settings import Auth, PartnerCenterSettings
from tests.partner_center.background import Background
from tests.partner_center.wire import meeting

Read = Callable[..., PartnerCenterSettings]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestsTransport, "sleep", lambda *_: None)


class Scene:
    """A vault, the processes that use it, and what people store there."""

    def __init__(
        self,
        simulator: Simulator,
        settings: PartnerCenterSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.simulator = simulator
        self.background = Background()
        self.consents: list[str] = []
        self.monkeypatch = monkeypatch
        self._settings = settings
        self.credential = self.process()

    def process(self, background: Background | None = None) -> RefreshTokenCredential:
        return RefreshTokenCredential(self._settings, background or self.background)

    def sign_in(self, credential: RefreshTokenCredential | None = None) -> str:
        return (credential or self.credential).get_token(self._settings.endpoints.scope).token

    def versions(self) -> list[SecretVersion]:
        return list(self.simulator.key_vault.versions(self.simulator.sandbox.refresh_token_name))

    @property
    def newest(self) -> SecretVersion:
        return self.versions()[-1]

    def consent(self, **how: Any) -> None:
        """Store the token of a person who consents."""
        # Key Vault dates versions in whole seconds.
        self.simulator.advance(1)
        token = self.simulator.sandbox.new_refresh_token()
        self.simulator.key_vault.put(self.simulator.sandbox.refresh_token_name, token, **how)
        self.consents.append(token)

    def consent_before_write(self, times: int = 1, **how: Any) -> None:
        """Let a person consent when a version that the app writes has reached the vault."""
        put = self.simulator.key_vault.put
        left = times

        def put_after(name: str, value: str, **rest: Any) -> SecretVersion:
            nonlocal left
            if left and rest.get("tags"):
                left -= 1
                self.consent(**how)
            return put(name, value, **rest)

        self.monkeypatch.setattr(self.simulator.key_vault, "put", put_after)

    def before_write(self, act: Callable[[], object]) -> None:
        """Do something when the next write is about to leave the app."""
        send = RequestsTransport.send

        def send_after(transport: RequestsTransport, request: Any, **rest: Any) -> Any:
            if request.method == "PUT":
                self.monkeypatch.setattr(RequestsTransport, "send", send)
                act()
            return send(transport, request, **rest)

        self.monkeypatch.setattr(RequestsTransport, "send", send_after)

    def revoke_all_but(self, token: str) -> None:
        for version in self.versions():
            if version.value != token:
                self.simulator.sandbox.revoke_refresh_token(version.value)


@pytest.fixture
def scene(simulator: Simulator, partner_settings: Read, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(simulator, partner_settings(Auth.USER), monkeypatch)


def test_a_consent_that_is_stored_before_our_write_becomes_the_newest_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    expires = int((datetime.now(UTC) + timedelta(days=44)).timestamp())
    scene.consent_before_write(expires=expires)
    scene.sign_in()
    assert scene.newest.value not in scene.consents

    scene.background.check()

    assert scene.newest.value == scene.consents[0]
    assert scene.newest.expires == expires
    restored = [line for line in caplog.messages if line.startswith("refresh_token_restored ")]
    assert len(restored) == 1
    assert scene.simulator.sandbox.refresh_token_name in restored[0]
    assert scene.consents[0] not in restored[0]
    scene.revoke_all_but(scene.consents[0])
    assert scene.sign_in()


def test_a_rotation_without_a_consent_writes_one_version(scene: Scene) -> None:
    for number in range(3):
        scene.sign_in()
        scene.background.check()

        assert len(scene.versions()) == number + 2


def test_a_consent_is_not_taken_for_covered_a_second_time(scene: Scene) -> None:
    scene.consent_before_write()
    scene.sign_in()
    scene.background.check()
    before = len(scene.versions())

    for each in (scene.credential, scene.process()):
        scene.sign_in(each)
        scene.background.check()

    assert len(scene.versions()) == before + 2


def test_what_another_process_has_redeemed_the_consent_for_becomes_the_newest(scene: Scene) -> None:
    heirs: list[str] = []

    def consent_and_redeem() -> None:
        scene.consent()
        scene.sign_in(scene.process())
        heirs.append(scene.newest.value)

    scene.before_write(consent_and_redeem)
    scene.sign_in()
    scene.background.check()

    assert scene.newest.value == heirs[0]


def test_a_consent_is_restored_by_the_next_process_if_ours_has_died(scene: Scene) -> None:
    scene.consent_before_write()
    scene.sign_in(scene.process())
    scene.background.checks.clear()

    scene.sign_in(scene.process())
    scene.background.check()

    assert scene.newest.value == scene.consents[0]


def test_a_consent_is_found_when_the_token_that_covers_it_is_refused(scene: Scene) -> None:
    """The process that covered it has died, and the password was changed before the consent."""
    scene.consent_before_write()
    scene.sign_in(scene.process())
    scene.background.checks.clear()
    scene.revoke_all_but(scene.consents[0])
    after = scene.process()
    with pytest.raises(ClientAuthenticationError):
        scene.sign_in(after)

    scene.background.check()

    assert scene.sign_in(after)


def test_a_write_whose_response_is_lost_covers_no_consent(scene: Scene) -> None:
    scene.consent_before_write()
    lost = Fault(method="PUT", path="/secrets/*", status=503, performed=True, times=2)
    scene.simulator.add_fault(lost)
    scene.sign_in()

    scene.background.run()
    scene.background.check()

    assert scene.newest.value == scene.consents[0]


def test_another_consent_during_the_restoration_wins(scene: Scene) -> None:
    scene.consent_before_write(times=2)
    scene.sign_in()

    scene.background.check()

    assert len(scene.consents) == 2
    assert scene.newest.value == scene.consents[1]


@pytest.mark.parametrize("meeting_at", ["GET /versions", "PUT /secrets"])
def test_two_processes_that_restore_at_once_agree(scene: Scene, meeting_at: str) -> None:
    backgrounds = (Background(), Background())
    processes = [(scene.process(own), own) for own in backgrounds]
    scene.consent_before_write()
    for credential, _ in processes:
        scene.sign_in(credential)

    with (
        meeting(scene.monkeypatch, meeting_at, Barrier(2, timeout=20)),
        ThreadPoolExecutor() as threads,
    ):
        list(threads.map(Background.check, backgrounds))

    assert scene.newest.value == scene.consents[0]
    before = len(scene.versions())
    for credential, own in processes * 2:
        scene.sign_in(credential)
        own.check()
    assert len(scene.versions()) == before + 4


@pytest.mark.parametrize("how", [{"expires": 1_000_000_000}, {"enabled": False}])
def test_a_consent_that_is_over_is_not_restored(scene: Scene, how: Mapping[str, Any]) -> None:
    scene.consent_before_write(**how)
    scene.sign_in()

    scene.background.check()

    assert len(scene.versions()) == 3
    assert scene.background.acts == []


def test_a_consent_that_another_consent_has_replaced_is_not_restored(scene: Scene) -> None:
    scene.consent()
    scene.consent()

    scene.sign_in()
    scene.background.check()

    assert len(scene.versions()) == 4


def test_a_consent_is_found_among_many_versions(scene: Scene) -> None:
    for _ in range(2 * PAGE_SIZE):
        scene.consent()
    scene.consent_before_write()
    scene.sign_in()

    scene.background.check()

    assert scene.newest.value == scene.consents[-1]


ODD = '{"value": [{"id": 5, "attributes": {"created": "x"}}]}'


@pytest.mark.parametrize(
    "trouble",
    [{"status": 403}, {"status": 503}, {"status": 200, "body": ODD}, {"status": 200, "body": "{"}],
    ids=["refused", "away", "odd", "no JSON"],
)
def test_versions_that_cannot_be_listed_are_compared_later(
    scene: Scene, caplog: pytest.LogCaptureFixture, trouble: Mapping[str, Any]
) -> None:
    scene.consent_before_write()
    scene.sign_in()
    scene.simulator.add_fault(Fault(path="/secrets/*/versions", times=None, **trouble))
    scene.background.check()
    for _ in range(8):
        scene.background.run()

    assert scene.background.delays == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    told = [line for line in caplog.messages if line.startswith("refresh_token_unchecked ")]
    assert len(told) == 9
    assert "Key Vault Secrets Officer" in told[0]
    scene.simulator.clear_faults()
    scene.background.run()

    assert scene.newest.value == scene.consents[0]


def test_a_vault_whose_versions_were_compared_is_not_listed_again(scene: Scene) -> None:
    scene.sign_in()
    scene.background.check()
    scene.simulator.add_fault(Fault(path="/secrets/*/versions", status=503, times=None))
    scene.simulator.sandbox.revoke_refresh_token(scene.newest.value)
    with pytest.raises(ClientAuthenticationError):
        scene.sign_in()

    scene.background.check()

    assert scene.background.acts == []


# A step of a history: a person's consent, or a write of the app that comes from an earlier version.
HISTORIES = some.lists(some.one_of(some.none(), some.integers(0, 30)), min_size=1, max_size=12)


def grown(steps: list[int | None]) -> list[Version]:
    found: list[Version] = []
    for number, step in enumerate(steps):
        parent = found[step % len(found)].id if found and step is not None else ""
        created = NOW + timedelta(seconds=number // 2)
        found.append(Version(str(number), created, parent=parent))
    return found


@given(HISTORIES)
def test_one_write_settles_any_history(steps: list[int | None]) -> None:
    history = grown(steps)
    known = {each.id: each for each in history}
    covered = covered_by(history[-1], known, NOW)
    if covered is None:
        return

    restored = Version("restored", NOW + timedelta(hours=1), parent=covered.id)

    assert covered_by(restored, {**known, restored.id: restored}, NOW) is None
