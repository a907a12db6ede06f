"""Tokens for Partner Center, by the four ways to sign in.

Sources: Microsoft's pages "Partner Center authentication" and "Secure Application Model".
"""

import base64
import binascii
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msal
import requests
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient
from msal.exceptions import MsalError

from shared.events import Event, emit
from shared.inputs import NotASecret, bare_secret
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import NoResponse, PartnerCenterError, SignInFailed
from shared.partner_center.shared_call import SharedCall
from shared.settings import Auth, PartnerCenterSettings

_FEDERATION_AUDIENCES: Final = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
_PUBLIC_FEDERATION_AUDIENCE: Final = "api://AzureADTokenExchange"
_RENEWAL_SECONDS: Final = 300
_TIMEOUT_SECONDS: Final = 10
_ENTRA_CODE: Final = "AADSTS"
_PEM: Final = "-----BEGIN "

# What the sign-in libraries raise over JSON with members of other types than documented.
_TRIPPED_OVER: Final = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)

# The libraries would retry for minutes, a managed identity after a 410 for 70 s; putting the
# message back costs nothing.
_SHORT_RETRIES: Final[dict[str, Any]] = {
    "retry_total": 1,
    "retry_backoff_max": 2,
    "connection_timeout": 5,
    "read_timeout": _TIMEOUT_SECONDS,
}


class TokenSource:
    """Hands out the access token of one credential, renewed five minutes before it expires.

    Threads that need a token at the same time share one sign-in, and its failure.
    `entitlements_forbidden` is set once Partner Center has said that this credential may not read
    entitlements, and stays set for the life of the process.
    """

    def __init__(self, settings: PartnerCenterSettings) -> None:
        self.entitlements_forbidden = False
        self._settings = settings
        self._sign_in = SharedCall[AccessToken]("The sign-in")
        self._credential: TokenCredential | None = None
        self._token: AccessToken | None = None

    def token(self, deadline: Deadline) -> str:
        """Return a valid access token; raises SignInFailed, NoResponse or OutOfTime."""
        kept = self._token
        if kept is not None and kept.expires_on - _RENEWAL_SECONDS >= time.time():
            return kept.token
        try:
            return self._sign_in.result(self._signed_in, deadline).token
        except (AzureError, MsalError, requests.RequestException) as error:
            message = f"{self._who()} could not sign in at {self._where()}: {error}"
            raise _failure(message, rejected=_rejected(error)) from error

    def tenant(self, deadline: Deadline) -> str:
        """Return the tenant that the access token was issued in, in lower case."""
        return tenant_of(self.token(deadline))

    def forget(self) -> None:
        """Drop the cached token, so that the next call fetches another."""
        self._token = self._credential = None

    def _signed_in(self) -> AccessToken:
        current = self._credential or credential(self._settings)
        try:
            token = _sendable(current.get_token(self._settings.endpoints.scope))
        except _TRIPPED_OVER as error:
            # Without its text, which may hold a part of a token.
            message = f"{self._where()} sent a response that cannot be read"
            raise _failure(f"{message} ({type(error).__name__})", rejected=False) from None
        self._credential, self._token = current, token
        return token

    def _who(self) -> str:
        return f"Application {self._settings.client_id} ({self._settings.auth})"

    def _where(self) -> str:
        return f"{self._settings.endpoints.authority}/{self._settings.tenant_id}"


def _sendable(token: AccessToken) -> AccessToken:
    """Return a token that a header can hold; raises ValueError for another."""
    if not (token.token.isascii() and token.token.isprintable()):
        message = "the access token holds characters that no header can hold"
        raise ValueError(message)
    return token


def _failure(message: str, *, rejected: bool) -> PartnerCenterError:
    """Return the error of a failed sign-in; a rejection is logged, because a person must act."""
    if not rejected:
        return NoResponse(message, may_be_done=False)
    emit(Event.SIGN_IN_FAILED, reason=message)
    return SignInFailed(message)


def _rejected(error: Exception) -> bool:
    """Whether Entra ID rejected the sign-in; azure-identity wraps an outage in the same type."""
    return isinstance(error, ClientAuthenticationError) and _ENTRA_CODE in str(error)


def tenant_of(token: str) -> str:
    """Return the `tid` claim of a token; raises SignInFailed if it has none.

    The signature is not checked: the token came over TLS and Partner Center checks it.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["tid"]).lower()
    except (LookupError, TypeError, ValueError, binascii.Error, RecursionError) as error:
        message = "The access token names no tenant: expected a JWT with the claim tid"
        raise _failure(message, rejected=True) from error


def credential(settings: PartnerCenterSettings) -> TokenCredential:
    """Return the credential that the settings ask for."""
    return _CREDENTIALS[settings.auth](settings)


def azure_credential(*, managed: bool, client_id: str | None) -> TokenCredential:
    """Return the app's managed identity in Azure, or the developer's sign-in elsewhere."""
    if managed:
        return ManagedIdentityCredential(client_id=client_id, **_SHORT_RETRIES)
    return DefaultAzureCredential()


def refresh_token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the stored refresh token; None if another credential is used.

    Raises SignInFailed if the vault cannot be read.
    """
    if settings.auth is not Auth.USER:
        return None
    name = str(settings.refresh_token_secret_name)
    try:
        with _key_vault(settings) as vault:
            stored = vault.get_secret(name).properties.updated_on
    except AzureError as error:
        message = f"secret {name} could not be read: {error.message}"
        raise _failure(message, rejected=True) from error
    return None if stored is None else round((now - stored) / timedelta(days=1), 1)


def _own_identity(settings: PartnerCenterSettings) -> TokenCredential:
    return azure_credential(
        managed=settings.managed_identity, client_id=settings.managed_identity_client_id
    )


def _key_vault(settings: PartnerCenterSettings) -> SecretClient:
    return SecretClient(str(settings.key_vault_uri), _own_identity(settings), **_SHORT_RETRIES)


def _with_secret(settings: PartnerCenterSettings) -> TokenCredential:
    return ClientSecretCredential(
        settings.tenant_id,
        settings.client_id,
        str(settings.client_secret),
        **_authority(settings),
    )


def _with_certificate(settings: PartnerCenterSettings) -> TokenCredential:
    name = str(settings.certificate_name)
    stored = _key_vault(settings).get_secret(name).value or ""
    try:
        return CertificateCredential(
            settings.tenant_id,
            settings.client_id,
            certificate_data=certificate_data(stored),
            **_authority(settings),
        )
    except ValueError as error:
        message = (
            f"certificate {name} could not be read ({error}): expected PEM or PFX, with the "
            "private key and without a password; import it again"
        )
        raise _failure(message, rejected=True) from error


def certificate_data(stored: str) -> bytes:
    """Return a certificate as PEM or PFX, by its content: the vault's content type may be missing.

    Raises ValueError unless the text is PEM, or PFX or PEM in base64.
    """
    if _PEM in stored:
        return stored[stored.index(_PEM) :].encode()
    return base64.b64decode("".join(stored.replace("\ufeff", "").split()), validate=True)


def _with_managed_identity(settings: PartnerCenterSettings) -> TokenCredential:
    identity = _own_identity(settings)
    host = urlsplit(settings.endpoints.authority).netloc
    audience = _FEDERATION_AUDIENCES.get(host, _PUBLIC_FEDERATION_AUDIENCE)
    return ClientAssertionCredential(
        settings.tenant_id,
        settings.client_id,
        lambda: identity.get_token(f"{audience}/.default").token,
        **_authority(settings),
    )


def _authority(settings: PartnerCenterSettings) -> dict[str, Any]:
    return {
        "authority": settings.endpoints.authority,
        # Discovery would ask the public cloud about an authority that the settings name on purpose.
        "disable_instance_discovery": True,
        **_SHORT_RETRIES,
    }


class RefreshTokenCredential:
    """App+User: redeems the refresh token in Key Vault and stores its successor there."""

    def __init__(self, settings: PartnerCenterSettings) -> None:
        self._vault = _key_vault(settings)
        self._secret_name = str(settings.refresh_token_secret_name)
        self._app = msal.ConfidentialClientApplication(
            settings.client_id,
            client_credential=settings.client_secret,
            authority=f"{settings.endpoints.authority}/{settings.tenant_id}",
            instance_discovery=False,
            timeout=_TIMEOUT_SECONDS,
        )

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a new access token; TokenSource keeps it, and asks in one thread at a time."""
        old = self._stored()
        result = self._app.acquire_token_by_refresh_token(old, list(scopes))
        if "access_token" not in result:
            raise ClientAuthenticationError(message=self._rejection(result))
        # A refresh token expires after 90 days without use, so each successor replaces it.
        successor = result.get("refresh_token")
        if isinstance(successor, str) and successor not in {"", old}:
            self._vault.set_secret(self._secret_name, successor)
        return AccessToken(result["access_token"], int(time.time()) + int(result["expires_in"]))

    def _stored(self) -> str:
        try:
            return bare_secret(self._vault.get_secret(self._secret_name).value or "")
        except NotASecret as error:
            message = f"the refresh token in secret {self._secret_name} {error}"
            raise _failure(message, rejected=True) from error

    def _rejection(self, result: dict[str, Any]) -> str:
        return (
            f"the refresh token in secret {self._secret_name} was not accepted "
            f"({result.get('error')}: {result.get('error_description')}); an Admin agent of the "
            "sandbox tenant has to consent again and store a new one"
        )


_CREDENTIALS: Final[dict[Auth, Callable[[PartnerCenterSettings], TokenCredential]]] = {
    Auth.SECRET: _with_secret,
    Auth.CERTIFICATE: _with_certificate,
    Auth.FEDERATED: _with_managed_identity,
    Auth.USER: RefreshTokenCredential,
}
