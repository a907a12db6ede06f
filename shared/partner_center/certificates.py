"""The certificate in Key Vault, as PEM or PFX, and what may be wrong with it."""

import base64
import re
from typing import Final

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from shared.inputs import without_surroundings
from shared.partner_center.refusals import CERTIFICATES_PAGE
from shared.partner_center.sign_in_clients import SIGN_IN_ERRORS, authority, key_vault
from shared.partner_center.verdicts import Refused, Unusable, verdict_on
from shared.settings import PartnerCenterSettings

_PEM: Final = "-----BEGIN "
_PEM_KEY: Final = re.compile(rb"-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----")
_PEM_PASSWORD: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")
_PEM_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_QUOTES: Final = ('"', "'")
_UNSEEN: Final = re.compile(r"[\s\x00\ufeff\u200b]+")
# What cryptography says of a PFX that another password opens.
_PFX_PASSWORD: Final = "password"  # noqa: S105 - a word of an error message

NO_KEY: Final = "It holds a certificate without its private key."
NO_CERTIFICATE: Final = "It holds a private key without its certificate."
PASSWORD: Final = "It is protected by a password."  # noqa: S105 - a sentence
WRONG_KEY: Final = "Its key is not an RSA key, or belongs to none of its certificates."
QUOTES: Final = "It has quotes around it."
NONSENSE: Final = "It holds no certificate in PEM or PFX."


class CertificateInVault:
    """Signs in with the certificate in Key Vault, and with its next version once it is refused."""

    def __init__(self, settings: PartnerCenterSettings) -> None:
        self._settings = settings
        self._version, self._credential = self._newest()

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a new access token; raises one of SIGN_IN_ERRORS."""
        try:
            return self._credential.get_token(*scopes)
        except ClientAuthenticationError as refused:
            if not self._renewed_after(refused):
                raise
        return self._credential.get_token(*scopes)

    def _renewed_after(self, refused: ClientAuthenticationError) -> bool:
        """Whether the vault has another version than the one that was refused."""
        if not isinstance(verdict_on(refused, self._settings), Refused):
            return False
        refused_version = self._version
        try:
            self._version, self._credential = self._newest()
        except SIGN_IN_ERRORS:
            return False
        return self._version != refused_version

    def _newest(self) -> tuple[str, CertificateCredential]:
        settings = self._settings
        name = str(settings.certificate_name)
        with key_vault(settings) as vault:
            secret = vault.get_secret(name)
        credential = CertificateCredential(
            settings.tenant_id,
            settings.client_id,
            certificate_data=usable_certificate(secret.value or "", name),
            **authority(settings),
        )
        return str(secret.properties.version), credential


def usable_certificate(stored: str, name: str) -> bytes:
    """Return key, certificate and chain as PEM, the certificate of the key first.

    The form is known by the content: the vault's content type may be missing. Raises Unusable with
    what is wrong with the secret of this name.
    """
    if without_surroundings(stored).startswith(_QUOTES):
        raise _unusable(name, QUOTES)
    try:
        content = certificate_data(stored)
    except ValueError:
        raise _unusable(name, NONSENSE) from None
    read = _from_pem if _PEM.encode() in content else _from_pfx
    key, certificates = read(content, name)
    own = next((each for each in certificates if _has_key(each, key)), None)
    if own is None:
        raise _unusable(name, WRONG_KEY)
    chain = [each for each in certificates if each != own]
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + b"".join(each.public_bytes(Encoding.PEM) for each in (own, *chain))


def certificate_data(stored: str) -> bytes:
    """Return the bytes of a certificate in PEM or PFX.

    Base64 may be wrapped, lack its padding, and have invisible characters anywhere. Raises
    ValueError unless the text is PEM, or PFX or PEM in base64.
    """
    if _PEM in stored:
        return stored[stored.index(_PEM) :].encode()
    letters = _UNSEEN.sub("", stored).rstrip("=")
    return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)


def _from_pem(content: bytes, name: str) -> tuple[RSAPrivateKey, list[x509.Certificate]]:
    if _PEM_PASSWORD.search(content):
        raise _unusable(name, PASSWORD)
    if not _PEM_KEY.search(content):
        raise _unusable(name, NO_KEY if _PEM_CERTIFICATE in content else NONSENSE)
    if _PEM_CERTIFICATE not in content:
        raise _unusable(name, NO_CERTIFICATE)
    try:
        key = load_pem_private_key(content, None)
        certificates = x509.load_pem_x509_certificates(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(name, NONSENSE) from None
    return _rsa(key, name), certificates


def _from_pfx(content: bytes, name: str) -> tuple[RSAPrivateKey, list[x509.Certificate]]:
    try:
        key, own, chain = pkcs12.load_key_and_certificates(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        flaw = PASSWORD if _PFX_PASSWORD in str(error).lower() else NONSENSE
        raise _unusable(name, flaw) from None
    if key is None:
        raise _unusable(name, NO_KEY if own or chain else NONSENSE)
    certificates = [each for each in (own, *chain) if each is not None]
    if not certificates:
        raise _unusable(name, NO_CERTIFICATE)
    return _rsa(key, name), certificates


def _has_key(certificate: x509.Certificate, key: RSAPrivateKey) -> bool:
    try:
        return certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _rsa(key: object, name: str) -> RSAPrivateKey:
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(name, WRONG_KEY)
    return key


def _unusable(name: str, flaw: str) -> Unusable:
    refusal = Refused(
        code="Certificate",
        meaning=flaw,
        remedy="Import a PFX or PEM with its RSA key and without a password.",
        settings=("PARTNER_CENTER_CERTIFICATE_NAME",),
        page=CERTIFICATES_PAGE,
    )
    return Unusable(f"The certificate in secret {name} cannot be used", refusal)
