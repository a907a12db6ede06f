"""Nothing that signs in is ever written: not to a log of any level, a record, or the console."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport

from local.simulator import Customer, Fault, ProductKind, Simulator
from local.simulator.identity import tokens
from local.simulator.identity.entra import Entra
from shared.partner_center import refresh_tokens
from shared.settings import Auth
from tests.bench import Bench

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


@dataclass
class Spoken:
    """Every secret that was on the wire or in a setting."""

    words: set[str] = field(default_factory=set)

    def add(self, word: object) -> None:
        if isinstance(word, str) and len(word) > 8:
            self.words.add(word)
            # A part of a token is a secret too.
            self.words.update(part for part in word.split(".") if len(part) > 40)


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
        for name in ("client_secret", "client_assertion", "refresh_token", "code"):
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
    monkeypatch.setattr(refresh_tokens, "in_background", lambda *_: None)


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
    leaks = [(word, text) for text in texts for word in written.spoken.words if word in text]
    assert not leaks, leaks[0]
