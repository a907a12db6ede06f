"""python -m local.consent on the simulator: over the wire, and in a real browser."""

import base64
import html
import json
import os
import re
import stat
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from local.consent import sign_in
from local.consent.__main__ import main
from local.consent.evidence import NotAcceptable, accepted
from local.simulator import Fault, Simulator
from local.simulator.state.behaviour import SignsIn
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.settings import Auth, read_partner_center
from tests.http.chromium import FLAGS, Chromium

ROOT = Path(__file__).parents[2]
SECONDS = 60
ADDRESS = re.compile(r"https://localhost:\S+/authorize\?\S+")
USER_CODE = re.compile(r"enter the code (\w+)")


@pytest.fixture
def consent(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Give the command the settings of user mode, and take the refresh token away."""
    for name, value in simulator.environment(auth="user").items():
        monkeypatch.setenv(name, value)
    return simulator


def token_of(simulator: Simulator) -> str:
    return simulator.key_vault.versions(simulator.sandbox.refresh_token_name)[-1].value


class Person:
    """Follows what the command shows, as a browser would."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.shown: list[str] = []
        self.threads: list[threading.Thread] = []

    def show(self, text: str) -> None:
        self.shown.append(text)
        thread = threading.Thread(target=self._follow, args=(text,), daemon=True)
        thread.start()
        self.threads.append(thread)

    def _follow(self, text: str) -> None:
        with requests.Session() as session:
            session.verify = str(self.simulator.ca_file)
            if address := ADDRESS.search(text):
                self._submit(session, session.get(address[0], timeout=10).text)
            elif code := USER_CODE.search(text):
                session.get(f"{self.simulator.url}/devicelogin?otc={code[1]}", timeout=10)

    def _submit(self, session: requests.Session, page: str) -> None:
        action = re.search(r'action="([^"]+)"', page)
        assert action, page
        members = re.findall(r'name="([^"]+)" value="([^"]*)"', page)
        data = {name: html.unescape(value) for name, value in members}
        session.post(html.unescape(action[1]), data=data, timeout=10)


@pytest.fixture
def person(consent: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    person = Person(consent)
    monkeypatch.setattr("local.consent.__main__._show", person.show)
    yield person
    for thread in person.threads:
        thread.join(10)


WAYS = [["--no-browser"], ["--device-code"]]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_consent_stores_a_token_that_the_app_can_use(
    person: Person, way: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = person.simulator
    before = token_of(simulator)

    assert main(way) == 0

    shown = capsys.readouterr()
    stored = simulator.key_vault.versions(simulator.sandbox.refresh_token_name)[-1]
    expires = datetime.fromtimestamp(stored.expires or 0, UTC)
    assert stored.value != before
    assert timedelta(days=89.9) < expires - datetime.now(UTC) <= timedelta(days=90)
    assert "admin@sandbox.onmicrosoft.com has consented" in shown.out
    assert simulator.sandbox.tenant_id in shown.out
    assert f"{expires:%Y-%m-%d}" in shown.out
    for text in (shown.out, shown.err, *person.shown):
        assert stored.value not in text
        assert simulator.sandbox.client_secret not in text
    assert TokenSource(read_partner_center(os.environ)).token(Deadline.after())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"user_tokens_have_mfa": False}, "without MFA (amr: pwd)"),
        ({"signs_in": SignsIn.GUEST}, "belongs to tenant"),
        ({"signs_in": SignsIn.NOBODY}, "AADSTS65004"),
    ],
    ids=["no-mfa", "guest", "declined"],
)
def test_a_consent_that_the_app_cannot_use_stores_nothing(
    person: Person,
    way: list[str],
    changes: dict[str, object],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    simulator = person.simulator
    before = token_of(simulator)
    simulator.behaviour = replace(simulator.behaviour, **changes)  # type: ignore[arg-type]

    assert main(way) == 1

    assert expected in capsys.readouterr().err
    assert token_of(simulator) == before


def test_a_file_is_readable_by_its_owner_alone(
    person: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("KEY_VAULT_URI")
    monkeypatch.delenv("REFRESH_TOKEN_SECRET_NAME")
    before = token_of(person.simulator)
    file = tmp_path / "token.txt"

    assert main(["--no-browser", "--file", str(file)]) == 0

    out = capsys.readouterr().out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() not in out
    assert "az keyvault secret set --vault-name <vault> --name partner-center-refresh-token" in out
    assert f"--file {file} --expires 20" in out
    assert token_of(person.simulator) == before


def test_a_file_that_exists_is_not_overwritten(
    person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token.txt"
    file.write_text("mine")

    assert main(["--no-browser", "--file", str(file)]) == 1

    assert "exists" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert not person.shown


def test_a_vault_that_cannot_be_written_says_what_to_do(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.simulator.add_fault(Fault(method="PUT", path="/secrets/*", status=403, times=None))

    assert main(["--no-browser"]) == 1

    error = capsys.readouterr().err
    assert "The consent is valid" in error
    assert "Key Vault Secrets Officer" in error
    assert "--file" in error


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"PARTNER_TENANT_ID": "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"}, "PARTNER_TENANT_ID"),
        ({"PARTNER_CENTER_CLIENT_SECRET": "wrong"}, "AADSTS7000215"),
        ({"KEY_VAULT_URI": ""}, "KEY_VAULT_URI is missing"),
        ({"PARTNER_CENTER_CLIENT_ID": "x"}, "PARTNER_CENTER_CLIENT_ID"),
    ],
)
def test_wrong_settings_are_named(
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    expected: str,
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    assert main(["--no-browser"]) == 1

    assert expected in capsys.readouterr().err
    assert token_of(person.simulator)


def test_nobody_who_signs_in_ends_the_wait(
    consent: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    before = token_of(consent)

    assert main(["--no-browser", "--timeout", "0"]) == 1

    assert "Nobody signed in" in capsys.readouterr().err
    assert token_of(consent) == before


def test_without_a_browser_a_device_code_is_shown(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.consent.__main__.has_browser", lambda: False)

    assert main([]) == 0

    assert USER_CODE.search(person.shown[0])


def test_the_request_asks_for_the_permission_of_a_person_with_pkce(person: Person) -> None:
    assert main(["--no-browser"]) == 0

    address = ADDRESS.search(person.shown[0])
    assert address
    for part in (
        "code_challenge_method=S256",
        "state=",
        "nonce=",
        "response_mode=form_post",
        "user_impersonation",
        "offline_access",
    ):
        assert part in address[0]


@pytest.mark.parametrize("token", ["", "opaque", "a.W10.c", "a.b.c"])
def test_an_access_token_that_cannot_be_read_is_refused(consent: Simulator, token: str) -> None:  # noqa: ARG001 - sets the environment
    with pytest.raises(NotAcceptable, match="JWT"):
        accepted({"access_token": token}, "", read_partner_center(os.environ))


def access_token(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"a.{payload}.c"


@pytest.mark.parametrize(
    ("claims", "home", "expected"),
    [
        ({"tid": "TENANT", "amr": ["pwd", "mfa"]}, "", "belongs to tenant unknown"),
        ({"amr": ["mfa"]}, "TENANT", "belongs to tenant unknown"),
        ({"tid": "TENANT"}, "TENANT", "amr: missing"),
        ({"tid": "TENANT", "amr": "mfa"}, "TENANT", "amr: missing"),
        ({"tid": "TENANT", "amr": ["mfa"]}, "TENANT", "no refresh token"),
    ],
)
def test_what_is_missing_in_a_response_is_refused(
    consent: Simulator, claims: dict[str, object], home: str, expected: str
) -> None:
    tenant = consent.sandbox.tenant_id
    known = {name: tenant if value == "TENANT" else value for name, value in claims.items()}
    response = {"access_token": access_token(**known)}

    with pytest.raises(NotAcceptable, match=re.escape(expected)):
        accepted(response, home.replace("TENANT", tenant), read_partner_center(os.environ))


def test_user_mode_is_read_whatever_the_setting_says(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTNER_CENTER_AUTH", Auth.SECRET.value)

    assert main(["--no-browser"]) == 0
    assert person.shown


def test_a_browser_is_found_by_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none)

    assert not sign_in.has_browser()


@pytest.fixture
def run_in_chromium(consent: Simulator, tmp_path: Path) -> Callable[[], tuple[int, str, str]]:
    """Run the command as a process whose browser is a real Chromium."""
    chromium = Chromium.find(tmp_path)
    page = tmp_path / "page.html"
    script = tmp_path / "browser.sh"
    flags = (
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--ignore-certificate-errors",
        "--virtual-time-budget=20000",
        "--dump-dom",
    )
    script.write_text(f'#!/bin/sh\nexec {chromium.program} {" ".join(flags)} "$1" > {page}\n')
    script.chmod(0o700)
    environment = {**os.environ, **consent.environment(auth="user"), "BROWSER": f"{script} %s"}

    def run() -> tuple[int, str, str]:
        result = subprocess.run(
            [sys.executable, "-m", "local.consent", "--timeout", "50"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr, page.read_text()

    return run


@pytest.mark.slow
def test_a_person_consents_in_chromium(
    consent: Simulator, run_in_chromium: Callable[[], tuple[int, str, str]]
) -> None:
    before = token_of(consent)

    code, text, page = run_in_chromium()

    assert code == 0, text
    assert "has consented" in text
    assert "tipsweep has received the sign-in" in page
    assert token_of(consent) != before
    assert token_of(consent) not in text + page


@pytest.mark.slow
def test_a_person_without_mfa_is_refused_in_chromium(
    consent: Simulator, run_in_chromium: Callable[[], tuple[int, str, str]]
) -> None:
    before = token_of(consent)
    consent.behaviour = replace(consent.behaviour, user_tokens_have_mfa=False)

    code, text, _page = run_in_chromium()

    assert code == 1
    assert "without MFA" in text
    assert token_of(consent) == before
