"""Tokens for Partner Center, by the four ways to sign in.

Sources: Microsoft's pages "Partner Center authentication" and "Secure Application Model".
"""

import base64
import binascii
import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msal
import requests
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, DecodeError
from azure.core.pipeline import PipelineResponse
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient
from msal.exceptions import MsalError
from requests.adapters import HTTPAdapter

from shared.inputs import NotASecret, bare_secret
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import PartnerCenterError, SignInFailed
from shared.partner_center.shared_call import SharedCall
from shared.partner_center.sign_in_failure import failure, log_failure
from shared.partner_center.sign_in_responses import DirectSession, leads_elsewhere
from shared.partner_center.verdicts import Refused, Verdict, said, verdict_on
from shared.settings import Auth, PartnerCenterSettings

_FEDERATION_AUDIENCES: Final = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
_PUBLIC_FEDERATION_AUDIENCE: Final = "api://AzureADTokenExchange"
_RENEWAL_SECONDS: Final = 300
Read = TypeVar("Read")

_TIMEOUT_SECONDS: Final = 10
_PEM: Final = "-----BEGIN "
_ENTRA_TEXT: Final = re.compile(r'AADSTS\d+[^"]*')
# Microsoft's page "Secure Application Model": 90 days, anew with each token.
REFRESH_TOKEN_LIFETIME: Final = timedelta(days=90)
# A refused credential is tried once a minute, however many deletions wait for it.
REFUSED_PAUSE_SECONDS: Final = 60.0
# One odd header must not keep a whole process from signing in for hours.
LONGEST_PAUSE_SECONDS: Final = 600.0
# msal and the parsers of certificates raise ValueError.
SIGN_IN_ERRORS: Final = (
    AzureError,
    MsalError,
    NotASecret,
    requests.RequestException,
    ValueError,
)
# What the sign-in libraries raise over JSON with members of other types than documented; also
# ValueError, which parsers of certificates raise too.
_TRIPPED_OVER: Final = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
)


def _stop_at_throttling(response: PipelineResponse[Any, Any]) -> None:
    """Raise what asks for a wait, which azure-core would sleep through, or leads elsewhere."""
    found = response.http_response
    if reason := leads_elsewhere(found.request.url, found.status_code, found.text):
        raise ClientAuthenticationError(message=reason, response=found)
    if _asks_to_wait(found.status_code, found.headers):
        message = _described(found.request.url, found.status_code, found.text())
        raise ClientAuthenticationError(message=message, response=found)


def _asks_to_wait(status: int, headers: Mapping[str, str]) -> bool:
    has_header = status >= HTTPStatus.BAD_REQUEST and "Retry-After" in headers
    return has_header or status == HTTPStatus.TOO_MANY_REQUESTS


def _described(url: str, status: int, text: str) -> str:
    """Return an error response in one line, with what Entra ID says and no more of its body."""
    found = _ENTRA_TEXT.search(text)
    said_there = f": {found[0]}" if found else ""
    return f"{urlsplit(url).netloc} responded with {status}{said_there}"


# The libraries would retry for minutes, a managed identity after a 410 for 70 s; putting the
# message back costs nothing.
_SHORT_RETRIES: Final[dict[str, Any]] = {
    "retry_total": 1,
    "retry_backoff_max": 2,
    "connection_timeout": 5,
    "read_timeout": _TIMEOUT_SECONDS,
    "permit_redirects": False,
    "raw_response_hook": _stop_at_throttling,
}


class TokenSource:
    """Hands out the access token of one credential, renewed five minutes before it expires.

    Threads that need a token at the same time share one sign-in, and its failure. After a refusal
    nobody signs in for `refused_pause` seconds, and after throttling for the time that was asked
    for; until then the failure is raised again. `monotonic` gives seconds.
    `entitlements_forbidden` is set once Partner Center has said that this credential may not read
    entitlements, and stays set for the life of the process.
    """

    def __init__(
        self,
        settings: PartnerCenterSettings,
        *,
        refused_pause: float = REFUSED_PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entitlements_forbidden = False
        self._settings = settings
        self._sign_in = SharedCall[AccessToken]("The sign-in")
        self._credential: TokenCredential | None = None
        self._token: AccessToken | None = None
        self._refused_pause = refused_pause
        self._monotonic = monotonic
        self._held: _Held | None = None

    def token(self, deadline: Deadline) -> str:
        """Return a valid access token.

        Raises SignInFailed, SignInUnavailable or OutOfTime.
        """
        kept = self._token
        if kept is not None and kept.expires_on - _RENEWAL_SECONDS >= time.time():
            return kept.token
        return self._sign_in.result(self._signed_in, deadline).token

    def tenant(self, deadline: Deadline) -> str:
        """Return the tenant that the access token was issued in, in lower case."""
        return tenant_of(self.token(deadline))

    def forget(self) -> None:
        """Drop the cached token, so that the next call fetches another."""
        self._token = self._credential = None

    def _signed_in(self) -> AccessToken:
        self._require_unheld()
        try:
            current = self._credential or _read(lambda: credential(self._settings), _TRIPPED_OVER)
            token = self._token_of(current)
        except SIGN_IN_ERRORS as error:
            # A certificate or a secret that was renewed in the vault is read again.
            self._credential = None
            raise self._failed(error) from error
        self._credential, self._token, self._held = current, token, None
        return token

    def _token_of(self, current: TokenCredential) -> AccessToken:
        scope = self._settings.endpoints.scope
        return _read(lambda: _sendable(current.get_token(scope)), (*_TRIPPED_OVER, ValueError))

    def _require_unheld(self) -> None:
        held = self._held
        if held is not None and (left := held.until - self._monotonic()) > 0:
            raise failure(held.message, held.verdict, left)

    def _failed(self, error: Exception) -> PartnerCenterError:
        """Return the error to raise, hold the next sign-ins back, and log it once for all."""
        verdict = verdict_on(error, self._settings)
        message = f"{self._who()} could not sign in at {self._where()}: {said(error)}"
        pause = self._pause(verdict)
        self._held = _Held(message, verdict, self._monotonic() + pause)
        failed = failure(message, verdict, pause)
        log_failure(failed)
        return failed

    def _pause(self, verdict: Verdict) -> float:
        if isinstance(verdict, Refused):
            return self._refused_pause
        return min(verdict.retry_after or 0.0, LONGEST_PAUSE_SECONDS)

    def _who(self) -> str:
        return f"Application {self._settings.client_id} ({self._settings.auth})"

    def _where(self) -> str:
        return f"{self._settings.endpoints.authority}/{self._settings.tenant_id}"


def _read(call: Callable[[], Read], tripped: tuple[type[Exception], ...]) -> Read:
    """Return what a library reads; raises DecodeError for JSON that it trips over."""
    try:
        return call()
    except tripped as error:
        # Without its text, which may hold a part of a token.
        message = f"the response cannot be read ({type(error).__name__})"
        raise DecodeError(message) from None


def _sendable(token: AccessToken) -> AccessToken:
    """Return a token that a header can hold; raises ValueError for another."""
    if not (token.token.isascii() and token.token.isprintable()):
        message = "the access token holds characters that no header can hold"
        raise ValueError(message)
    return token


@dataclass(frozen=True, slots=True)
class _Held:
    """Why nobody signs in until a time of the clock."""

    message: str
    verdict: Verdict
    until: float


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token; raises ValueError, IndexError or TypeError for no JWT."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(claims, dict):
        message = "The claims are not an object"
        raise TypeError(message)
    return claims


def tenant_of(token: str) -> str:
    """Return the `tid` claim of a token; raises SignInFailed if it has none.

    The signature is not checked: the token came over TLS and Partner Center checks it.
    """
    try:
        return str(claims_of(token)["tid"]).lower()
    except (LookupError, TypeError, ValueError, binascii.Error, RecursionError) as error:
        failed = SignInFailed("The access token names no tenant: expected a JWT with the claim tid")
        log_failure(failed)
        raise failed from error


def credential(settings: PartnerCenterSettings) -> TokenCredential:
    """Return the credential that the settings ask for."""
    return _CREDENTIALS[settings.auth](settings)


def azure_credential(*, managed: bool, client_id: str | None) -> TokenCredential:
    """Return the app's managed identity in Azure, or the developer's sign-in elsewhere."""
    if managed:
        return ManagedIdentityCredential(client_id=client_id, **_SHORT_RETRIES)
    return DefaultAzureCredential()


def refresh_token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the stored refresh token; None without one, or if the vault tells no time.

    Raises SignInFailed or SignInUnavailable if the vault cannot be read.
    """
    if settings.auth is not Auth.USER:
        return None
    name = str(settings.refresh_token_secret_name)
    try:
        with _key_vault(settings) as vault:
            stored = _read(lambda: vault.get_secret(name).properties.updated_on, _TRIPPED_OVER)
    except SIGN_IN_ERRORS as error:
        message = f"secret {name} could not be read: {said(error)}"
        failed = failure(message, verdict_on(error, settings))
        log_failure(failed)
        raise failed from error
    # The library passes on what it cannot read as a time.
    return round((now - stored) / timedelta(days=1), 1) if isinstance(stored, datetime) else None


def store_refresh_token(settings: PartnerCenterSettings, token: str) -> datetime:
    """Store a token that was issued now as the newest in the vault; return when it expires.

    Raises SignInFailed or SignInUnavailable if the vault cannot be written.
    """
    name = str(settings.refresh_token_secret_name)
    try:
        with _key_vault(settings) as vault:
            return _store(vault, name, token)
    except SIGN_IN_ERRORS as error:
        message = f"secret {name} could not be written: {said(error)}"
        raise failure(message, verdict_on(error, settings)) from error


def _store(vault: SecretClient, name: str, token: str) -> datetime:
    expires = datetime.now(UTC) + REFRESH_TOKEN_LIFETIME
    vault.set_secret(name, token, expires_on=expires)
    return expires


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
    stored = _key_vault(settings).get_secret(str(settings.certificate_name)).value or ""
    return CertificateCredential(
        settings.tenant_id,
        settings.client_id,
        certificate_data=certificate_data(stored),
        **_authority(settings),
    )


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
        self._app = entra_app(settings)

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a new access token; TokenSource keeps it, and asks in one thread at a time."""
        old = self._stored()
        result = self._app.acquire_token_by_refresh_token(old, list(scopes))
        if "access_token" not in result:
            raise ClientAuthenticationError(message=self._rejection(result))
        # A refresh token expires after 90 days without use, so each successor replaces it.
        successor = result.get("refresh_token")
        if isinstance(successor, str) and successor not in {"", old}:
            _store(self._vault, self._secret_name, successor)
        return AccessToken(result["access_token"], int(time.time()) + int(result["expires_in"]))

    def _stored(self) -> str:
        try:
            return bare_secret(self._vault.get_secret(self._secret_name).value or "")
        except NotASecret as error:
            message = f"the refresh token in secret {self._secret_name} {error}"
            raise NotASecret(message) from error

    def _rejection(self, result: dict[str, Any]) -> str:
        return (
            f"the refresh token in secret {self._secret_name} was not accepted "
            f"({result.get('error')}: {result.get('error_description')})"
        )


def entra_app(
    settings: PartnerCenterSettings,
    kind: type[msal.ConfidentialClientApplication] = msal.ConfidentialClientApplication,
) -> msal.ConfidentialClientApplication:
    """Return the application as msal knows it; asks Entra ID for its addresses.

    Raises one of SIGN_IN_ERRORS.
    """
    return kind(
        settings.client_id,
        client_credential=settings.client_secret,
        authority=f"{settings.endpoints.authority}/{settings.tenant_id}",
        instance_discovery=False,
        http_client=_entra_session(),
    )


def _entra_session() -> requests.Session:
    """Return a session for msal, which would drop the status and the headers of an error."""
    session = DirectSession()
    session.request = functools.partial(session.request, timeout=_TIMEOUT_SECONDS)  # type: ignore[method-assign] # as msal does
    session.mount("https://", HTTPAdapter(max_retries=1))
    session.hooks["response"].append(_raise_outage)
    return session


def _raise_outage(response: requests.Response, *_: object, **__: object) -> None:
    status = response.status_code
    if reason := leads_elsewhere(response.url, status, lambda: response.text):
        response.close()
        raise requests.HTTPError(reason, response=response)
    unavailable = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if unavailable or _asks_to_wait(status, response.headers):
        # Reading the text gives the connection back, which requests does only after the hook.
        message = _described(response.url, status, response.text)
        raise requests.HTTPError(message, response=response)


_CREDENTIALS: Final[dict[Auth, Callable[[PartnerCenterSettings], TokenCredential]]] = {
    Auth.SECRET: _with_secret,
    Auth.CERTIFICATE: _with_certificate,
    Auth.FEDERATED: _with_managed_identity,
    Auth.USER: RefreshTokenCredential,
}
