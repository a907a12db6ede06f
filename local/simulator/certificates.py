"""Keys and certificates, generated once per process: the server's, Entra's and the apps'."""

import base64
import datetime
import ssl
from dataclasses import dataclass
from functools import cache, cached_property

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID


@cache
def authority() -> trustme.CA:
    """Return the CA that signed the server's certificate."""
    return trustme.CA()


@cache
def server_context() -> ssl.SSLContext:
    """Return the TLS context of a server for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """Return the key with which Entra signs tokens."""
    return _rsa_key()


@dataclass(frozen=True)
class AppCertificate:
    """The certificate of an app registration, and its private key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @cached_property
    def pem(self) -> bytes:
        """The private key and the certificate, in PEM."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @cached_property
    def pfx_base64(self) -> str:
        """The unencrypted PFX in base64, as Key Vault stores it in the secret of the same name."""
        pfx = pkcs12.serialize_key_and_certificates(
            None, self.key, self.certificate, None, NoEncryption()
        )
        return base64.b64encode(pfx).decode()


@cache
def app_certificate(name: str) -> AppCertificate:
    """Return a self-signed certificate with this common name."""
    key = _rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return AppCertificate(key, certificate)


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
