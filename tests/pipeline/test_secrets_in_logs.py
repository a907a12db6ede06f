"""Nothing that signs in is ever written: not to a log of any level, a record, or the console.

Nor does it stand in a response of the app, or in what the host and the simulator write.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport

from local.consent.__main__ import main
from local.simulator import Customer, Fault, ProductKind, Simulator
from local.simulator.identity import tokens
from local.simulator.identity.entra import Entra
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.settings import Auth, read_partner_center
from tests.bench import Bench
from tests.consent.test_consent import Person
from tests.http.app import App
from tests.pipeline.test_host import host, wait_until

TOKEN = "*/oauth2/v2.0/token"
HALF = '{"access_token": "half-a-token-AAAA", "refresh_token": "half-a-token-BBBB", "code": '
FAULTS = {
    "none": [],
    "no JSON": [Fault(path=TOKEN, status=200, body=HALF, times=2)],
    "no JSON with a type": [
        Fault(
            path=TOKEN,
            status=200,
            body=HALF,
            headers={"Content-Type": "application/json"},
            times=2,
        )
    ],
    "no lifetime": [
        Fault(path=TOKEN, status=200, body={"access_token": "half-a-token-AAAA"}, times=2)
    ],
    "error with a token": [Fault(path=TOKEN, status=400, body=HALF, times=2)],
    "refused": [
        Fault(
            path=TOKEN,
            status=401,
            body={"error": "invalid_client", "error_description": "AADSTS7000222: x"},
        )
    ],
    "identity without JSON": [Fault(path="/msi/token", status=200, body=HALF, times=2)],
    "identity refused": [Fault(path="/msi/token", status=400, body=HALF)],
    "vault without JSON": [Fault(path="/secrets/*", status=200, body=HALF, times=2)],
    "vault away": [Fault(path="/secrets/*", status=503, times=2)],
    "vault not written": [Fault(method="PUT", path="/secrets/*", status=403, times=None)],
    "401": [Fault(path="/v1/*", status=401, times=2)],
}


SPOKEN = (
    "client_secret",
    "client_assertion",
    "refresh_token",
    "code",
    "code_verifier",
    "device_code",
)


@dataclass
class Spoken:
    """Every secret that was on the wire or in a setting."""

    words: set[str] = field(default_factory=set)

    def add(self, word: object) -> None:
        if isinstance(word, str) and len(word) > 8:
            self.words.add(word)
            # A part of a token is a secret too.
            self.words.update(part for part in word.split(".") if len(part) > 40)

    def require_none_in(self, texts: Sequence[str]) -> None:
        """Fail with the first secret and the text that it is in."""
        leaks = [(word, text) for text in texts for word in self.words if word in text]
        assert not leaks, leaks[0]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Spoken:
    """Note each secret at the services: forms, issued tokens, and what the vault holds."""
    spoken = Spoken()
    for account in (simulator.sandbox, simulator.production):
        spoken.add(account.client_secret)
        spoken.add(account.refresh_token)
        spoken.add(account.app_certificate.pfx_base64)
        for line in account.app_certificate.pem.decode().split("-----END PRIVATE")[0].split("\n"):
            if not line.startswith("-"):
                spoken.add(line)
    spoken.add(simulator.identity_header)
    spoken.add("half-a-token-AAAA")
    spoken.add("half-a-token-BBBB")
    note_issued(spoken, monkeypatch, simulator)
    note_forms(spoken, monkeypatch)
    return spoken


def note_issued(spoken: Spoken, monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    issue, renew = tokens.issue, simulator.sandbox.new_refresh_token

    def issued(*arguments: Any) -> str:
        token = issue(*arguments)
        spoken.add(token)
        return token

    def renewed() -> str:
        token = renew()
        spoken.add(token)
        return token

    for module in ("entra", "managed_identity", "interactive"):
        monkeypatch.setattr(f"local.simulator.identity.{module}.issue", issued)
    monkeypatch.setattr(simulator.sandbox, "new_refresh_token", renewed)


def note_forms(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Entra._check_client

    def noting(self: Entra, account: Any, form: Any) -> None:
        for name in SPOKEN:
            spoken.add(form.get(name))
        check(self, account, form)

    monkeypatch.setattr(Entra, "_check_client", noting)


@dataclass
class Written:
    """Everything that was logged or printed, and the secrets that must not be in it."""

    spoken: Spoken
    caplog: pytest.LogCaptureFixture
    capfd: pytest.CaptureFixture[str]

    @contextmanager
    def everything(self) -> Iterator[None]:
        """Turn every logger on, also those that have a level of their own."""
        names = [name for name in logging.root.manager.loggerDict if "hypothesis" not in name]
        with ExitStack() as levels:
            for name in (None, *names):
                levels.enter_context(self.caplog.at_level(logging.DEBUG, name))
            yield

    def texts(self) -> list[str]:
        """Return each log line with its traceback and its arguments, and what was printed."""
        records = self.caplog.records
        lines = [logging.Formatter().format(record) for record in records]
        return [*lines, *(repr(record.args) for record in records), *self.capfd.readouterr()]


@pytest.fixture
def written(
    spoken: Spoken, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Written:
    return Written(spoken, caplog, capfd)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestsTransport, "sleep", lambda *_: None)


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.mark.slow
@pytest.mark.parametrize("auth", list(Auth))
@pytest.mark.parametrize("trouble", FAULTS)
def test_no_secret_is_written_at_any_level(
    customer: Customer, bench: Bench, written: Written, auth: Auth, trouble: str
) -> None:
    bench.use(**bench.simulator.environment(auth=auth))
    for fault in FAULTS[trouble]:
        bench.simulator.add_fault(fault)

    with written.everything():
        bench.drop(customer.tenant_id)
        bench.pump(passes=8)

    texts = [*written.texts(), repr(bench.record(customer.tenant_id))]
    assert len(texts) > 20
    written.spoken.require_none_in(texts)


@pytest.fixture(scope="module")
def api() -> App:
    return App()


@pytest.mark.slow
@pytest.mark.parametrize("auth", list(Auth))
def test_no_secret_is_in_a_response(
    customer: Customer, bench: Bench, api: App, written: Written, auth: Auth
) -> None:
    texts: list[str] = []
    problems: set[str] = set()

    def call(method: str, path: str, body: object = None) -> None:
        response = api.call(method, path, json=body)
        texts.extend((response.text, repr(response.headers)))
        if response.headers["content-type"] == "application/problem+json":
            problems.add(response.problem)

    for faults in FAULTS.values():
        bench.use(**bench.simulator.environment(auth=auth), SWEEP_MODE="report")
        bench.simulator.clear_faults()
        for fault in faults:
            bench.simulator.add_fault(replace(fault, times=None))
        with written.everything():
            bench.drop(customer.tenant_id)
            bench.pump(passes=1)
            call("GET", f"/api/deletions/{customer.tenant_id}")
            call("GET", f"/api/deletions/{customer.tenant_id}/history")
            call("POST", "/api/deletions", {"tenantId": customer.tenant_id, "dryRun": True})
            call("POST", "/api/sweeps", {"requestedBy": "ann"})
            for path in READ_PATHS:
                call("GET", path)

    assert {"sign-in-refused", "partner-center-busy"} <= problems
    written.spoken.require_none_in([*texts, *written.texts()])


READ_PATHS = (
    "/api/deletions",
    "/api/history",
    "/api/requests/rejected",
    "/api/sandbox",
    "/api/switch",
    "/api/status",
    "/api/openapi.json",
    "/api/health",
)
CONSENTS: dict[str, list[Fault]] = {
    "none": [],
    "no JSON": FAULTS["no JSON"],
    "no lifetime": FAULTS["no lifetime"],
    "error with a token": FAULTS["error with a token"],
    "refused": FAULTS["refused"],
    "vault without JSON": FAULTS["vault without JSON"],
    "vault not written": FAULTS["vault not written"],
    "no MFA": [],
}


@pytest.fixture
def person(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Give a person who follows the command, which gets the settings of user mode."""
    for name, value in simulator.environment(auth="user").items():
        monkeypatch.setenv(name, value)
    person = Person(simulator)
    monkeypatch.setattr("local.consent.__main__._show", person.show)
    return person


@pytest.mark.slow
@pytest.mark.parametrize("trouble", CONSENTS)
@pytest.mark.parametrize("way", ["--no-browser", "--device-code", "--file"])
def test_a_consent_writes_no_secret(
    person: Person,
    written: Written,
    tmp_path: Path,
    way: str,
    trouble: str,
) -> None:
    simulator = person.simulator
    if trouble == "no MFA":
        simulator.behaviour = replace(simulator.behaviour, user_tokens_have_mfa=False)
    for fault in CONSENTS[trouble]:
        simulator.add_fault(fault)
    file = tmp_path / "token"
    arguments = ["--no-browser", "--file", str(file)] if way == "--file" else [way]

    with written.everything():
        code = main([*arguments, "--timeout", "10"])
        for thread in person.threads:
            thread.join(10)

    if file.exists():
        assert file.read_text() in written.spoken.words
    texts = [*written.texts(), *person.shown]
    assert person.shown
    assert len(texts) > 10
    assert code == (0 if trouble == "none" else 1) or way == "--file"
    written.spoken.require_none_in(texts)


ALL_LOGGING = """
import logging

logging.Logger.isEnabledFor = lambda self, level: True
logging.Logger.getEffectiveLevel = lambda self: logging.DEBUG
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        (Auth.SECRET, "refused"),
        (Auth.CERTIFICATE, "none"),
        (Auth.FEDERATED, "identity without JSON"),
        (Auth.USER, "vault not written"),
        (Auth.USER, "error with a token"),
    ],
)
def test_the_host_writes_no_secret_at_any_level(
    bench: Bench, spoken: Spoken, storage: str, tmp_path: Path, case: tuple[Auth, str]
) -> None:
    auth, trouble = case
    tenant = bench.simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com").tenant_id
    (tmp_path / "sitecustomize.py").write_text(ALL_LOGGING)
    log, key = tmp_path / "log", "a-function-key-AAAA"
    spoken.add(key)
    for fault in FAULTS[trouble]:
        bench.simulator.add_fault(fault)
    settings = {**bench.simulator.environment(auth=auth), "PYTHONPATH": str(tmp_path)}
    texts: list[str] = []
    with host(bench, storage, log, **settings) as (process, url):
        for path in (*READ_PATHS, f"/api/deletions/{tenant}"):
            response = requests.get(
                url + path, params={"code": key}, headers={"x-functions-key": key}, timeout=60
            )
            texts += [response.text, repr(response.headers)]
        bench.drop(tenant)
        wait_until(lambda: "tipsweep step_finished" in log.read_text())
        process.terminate()
        assert process.stdout is not None
        texts.append(process.stdout.read())

    lines = log.read_text().splitlines()
    assert any(" DEBUG " in line for line in lines)
    spoken.require_none_in([*texts, *lines])


def test_the_simulator_writes_its_secrets_once_for_who_started_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ALL_LOGGING)
    with subprocess.Popen(
        [sys.executable, "-m", "local.simulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        described = json.loads(process.stdout.readline())
        spoken = Spoken()
        environment = described["environment"]
        spoken.add(environment["PARTNER_CENTER_CLIENT_SECRET"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", described["caFile"])
            spoken.add(TokenSource(read_partner_center(environment)).token(Deadline.after()))
        process.terminate()
        rest, errors = process.communicate(timeout=60)

    spoken.require_none_in([rest, errors])
