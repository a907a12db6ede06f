"""The certificate in Key Vault: each form that signs in, each flaw, and its renewal."""

import base64
import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.pipeline.transport import RequestsTransport
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from local.simulator import Behaviour, Fault, Simulator
from local.simulator.certificates import AppCertificate, app_certificate
from shared.partner_center import certificates
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import SignInFailed, SignInMisconfigured
from shared.settings import Auth, PartnerCenterSettings
from tests.partner_center.test_sign_in import Clock, fail

Read = Callable[..., PartnerCenterSettings]
PAGE = Path(__file__).parents[2] / "docs/sign-in.md"
PFX = "application/x-pkcs12"


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestsTransport, "sleep", lambda *_: None)


@pytest.fixture
def settings(partner_settings: Read) -> PartnerCenterSettings:
    return partner_settings(Auth.CERTIFICATE)


def key_of(certificate: AppCertificate) -> str:
    encoded = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded.decode()


def public_of(certificate: AppCertificate) -> str:
    return certificate.certificate.public_bytes(Encoding.PEM).decode()


def pfx(certificate: AppCertificate, *chain: AppCertificate, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    others = [each.certificate for each in chain]
    content = pkcs12.serialize_key_and_certificates(
        None, certificate.key, certificate.certificate, others, encryption
    )
    return base64.b64encode(content).decode()


def unpadded_pfx(certificate: AppCertificate) -> str:
    """Return a PFX whose base64 had padding until it was cut off."""
    names = (b"n" * length for length in range(1, 4))
    encoded = (
        base64.b64encode(
            pkcs12.serialize_key_and_certificates(
                name, certificate.key, certificate.certificate, [], NoEncryption()
            )
        ).decode()
        for name in names
    )
    return next(each for each in encoded if each.endswith("=")).rstrip("=")


def form(name: str, own: AppCertificate, issuer: AppCertificate) -> str:
    """Return a certificate that signs in, in one of the forms that people store."""
    pem = own.pem.decode()
    return {
        "pfx": pfx(own),
        "pfx with chain": pfx(own, issuer),
        "wrapped pfx": "\ufeff" + "\n".join(textwrap.wrap(pfx(own), 64)) + "\n",
        "pem": pem,
        "pem with chain": pem + public_of(issuer),
        "pem, chain first": public_of(issuer) + public_of(own) + key_of(own),
        "pem with CRLF": pem.replace("\n", "\r\n"),
        "pem after text": f"\ufeffBag Attributes\n{pem}",
        "pem in base64": base64.b64encode(pem.encode()).decode(),
        "pfx with U+200B": f"\u200b{pfx(own)}\u200b",
        "pfx with NUL": f"{pfx(own)}\x00",
        "pfx with both inside": "\u200b\x00".join(textwrap.wrap(pfx(own), 64)),
        "pfx without padding": unpadded_pfx(own),
        "pem with U+200B and NUL": f"\u200b{pem}\u200b\x00",
    }[name]


FORMS = (
    "pfx",
    "pfx with chain",
    "wrapped pfx",
    "pem",
    "pem with chain",
    "pem, chain first",
    "pem with CRLF",
    "pem after text",
    "pem in base64",
    "pfx with U+200B",
    "pfx with NUL",
    "pfx with both inside",
    "pfx without padding",
    "pem with U+200B and NUL",
)


@pytest.mark.parametrize(
    "content_type", [None, "", PFX, "Application/X-PKCS12", "application/x-pem-file", "text"]
)
@pytest.mark.parametrize("name", FORMS)
def test_a_certificate_is_recognised_by_its_content(
    settings: PartnerCenterSettings, simulator: Simulator, content_type: str | None, name: str
) -> None:
    account = simulator.sandbox
    stored = form(name, account.app_certificate, simulator.production.app_certificate)
    simulator.key_vault.put(account.certificate_name, stored, content_type=content_type)

    assert TokenSource(settings).token(Deadline.after())


def flawed(flaw: str) -> str:
    own, other = app_certificate("tipsweep-own"), app_certificate("tipsweep-other")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    locked = BestAvailableEncryption(b"open sesame")
    without_key = pkcs12.serialize_key_and_certificates(
        None, None, None, [own.certificate], NoEncryption()
    )
    return {
        "nothing": "",
        "text": "nonsense",
        "text in base64": "bm9uc2Vuc2U=",
        "half a PEM": "-----BEGIN NOTHING-----",
        "broken PEM": "-----BEGIN PRIVATE KEY-----\nx\n-----BEGIN CERTIFICATE-----\nx\n",
        "letters": "ü",
        "PFX in quotes": f'"{pfx(own)}"\n',
        "PFX in single quotes": f"\ufeff'{pfx(own)}'",
        "PEM in quotes": f'"{own.pem.decode()}"',
        "PEM as JSON": json.dumps(own.pem.decode()),
        "PEM without key": public_of(own),
        "PFX without key": base64.b64encode(without_key).decode(),
        "PEM without certificate": key_of(own),
        "PEM with password": own.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, locked
        ).decode()
        + public_of(own),
        "older PEM with password": own.key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked
        ).decode()
        + public_of(own),
        "PFX with password": pfx(own, password=b"open sesame"),
        "key of another certificate": key_of(own) + public_of(other),
        "elliptic key": elliptic.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()
        + public_of(own),
    }[flaw]


FLAWS = {
    "nothing": certificates.NONSENSE,
    "text": certificates.NONSENSE,
    "text in base64": certificates.NONSENSE,
    "half a PEM": certificates.NONSENSE,
    "broken PEM": certificates.NONSENSE,
    "letters": certificates.NONSENSE,
    "PFX in quotes": certificates.QUOTES,
    "PFX in single quotes": certificates.QUOTES,
    "PEM in quotes": certificates.QUOTES,
    "PEM as JSON": certificates.QUOTES,
    "PEM without key": certificates.NO_KEY,
    "PFX without key": certificates.NO_KEY,
    "PEM without certificate": certificates.NO_CERTIFICATE,
    "PEM with password": certificates.PASSWORD,
    "older PEM with password": certificates.PASSWORD,
    "PFX with password": certificates.PASSWORD,
    "key of another certificate": certificates.WRONG_KEY,
    "elliptic key": certificates.WRONG_KEY,
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_of_a_certificate_has_its_sentence(
    settings: PartnerCenterSettings, simulator: Simulator, flaw: str
) -> None:
    name = simulator.sandbox.certificate_name
    simulator.key_vault.put(name, flawed(flaw))

    error = fail(TokenSource(settings))

    assert type(error) is SignInFailed
    assert FLAWS[flaw] in str(error)
    assert f"secret {name} " in str(error)
    assert "PARTNER_CENTER_CERTIFICATE_NAME" in str(error)


@pytest.mark.parametrize("sentence", sorted(set(FLAWS.values())))
def test_the_page_lists_each_flaw(sentence: str) -> None:
    assert f"| {sentence} |" in PAGE.read_text(encoding="utf-8")


def test_a_missing_certificate_names_its_setting(partner_settings: Read) -> None:
    read = partner_settings(Auth.CERTIFICATE, PARTNER_CENTER_CERTIFICATE_NAME="absent")

    error = fail(TokenSource(read))

    assert isinstance(error, SignInMisconfigured)
    assert "no secret absent" in str(error)


def renew(simulator: Simulator) -> None:
    """Store the certificate that the app registration knows as the newest version."""
    account = simulator.sandbox
    name, stored = account.certificate_name, account.app_certificate.pfx_base64
    simulator.key_vault.put(name, stored, content_type=PFX)


def test_a_renewed_certificate_is_used_at_once_when_the_old_one_is_refused(
    settings: PartnerCenterSettings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.behaviour = Behaviour(token_lifetime_seconds=200)
    tokens = TokenSource(settings)
    first = tokens.token(Deadline.after())
    monkeypatch.setattr(simulator.sandbox, "app_certificate", app_certificate("tipsweep-next"))
    renew(simulator)

    assert tokens.token(Deadline.after()) != first


def test_a_renewed_certificate_is_used_at_once_after_a_rejection_without_a_code(
    settings: PartnerCenterSettings, simulator: Simulator
) -> None:
    simulator.behaviour = Behaviour(token_lifetime_seconds=200)
    tokens = TokenSource(settings)
    first = tokens.token(Deadline.after())
    renew(simulator)
    body = {"error": "invalid_client"}
    simulator.add_fault(Fault(path="*/oauth2/v2.0/token", status=401, body=body))

    assert tokens.token(Deadline.after()) != first


def test_a_certificate_that_is_renewed_after_the_refusal_is_used_a_minute_later(
    settings: PartnerCenterSettings, simulator: Simulator
) -> None:
    clock = Clock()
    account = simulator.sandbox
    other = simulator.production.app_certificate.pfx_base64
    simulator.key_vault.put(account.certificate_name, other, content_type=PFX)
    tokens = TokenSource(settings, monotonic=clock)
    assert "AADSTS700027" in str(fail(tokens))
    renew(simulator)
    clock.now = 60

    assert tokens.token(Deadline.after())


def test_an_old_certificate_is_refused_once_if_the_vault_has_no_other(
    settings: PartnerCenterSettings, simulator: Simulator
) -> None:
    account = simulator.sandbox
    other = simulator.production.app_certificate.pfx_base64
    simulator.key_vault.put(account.certificate_name, other, content_type=PFX)

    fail(TokenSource(settings))

    entra = [call for call in simulator.calls if call.path.endswith("/oauth2/v2.0/token")]
    assert len(entra) == 1


def test_a_vault_that_cannot_be_read_keeps_the_reason_of_the_refusal(
    settings: PartnerCenterSettings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.behaviour = Behaviour(token_lifetime_seconds=200)
    tokens = TokenSource(settings)
    tokens.token(Deadline.after())
    monkeypatch.setattr(simulator.sandbox, "app_certificate", app_certificate("tipsweep-next"))
    simulator.add_fault(Fault(path="/secrets/*", status=503, times=None))

    assert "AADSTS700027" in str(fail(tokens))
