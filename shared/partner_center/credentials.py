"""Tokens for Partner Center, by the four ways to sign in.

Sources: Microsoft's pages "Partner Center authentication" and "Secure Application Model".
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, TokenCredential
from azure.identity import (
    ClientAssertionCredential,
    ClientSecretCredential,
)

from shared.partner_center.certificates import CertificateInVault
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import PartnerCenterError
from shared.partner_center.refresh_tokens import RefreshTokenCredential
from shared.partner_center.shared_call import FirstCall, SharedCall
from shared.partner_center.sign_in_clients import (
    SIGN_IN_ERRORS,
    TRIPPED_OVER,
    authority,
    own_identity,
    read,
)
from shared.partner_center.sign_in_failure import failure, log_failure
from shared.partner_center.token_claims import require_usable
from shared.partner_center.verdicts import Refused, Verdict, said, verdict_on
from shared.settings import Auth, PartnerCenterSettings

_FEDERATION_AUDIENCES: Final = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
_PUBLIC_FEDERATION_AUDIENCE: Final = "api://AzureADTokenExchange"
_RENEWAL_SECONDS: Final = 300
# A refused credential is tried once a minute, however many deletions wait for it.
REFUSED_PAUSE_SECONDS: Final = 60.0
# One odd header must not keep a whole process from signing in for hours.
LONGEST_PAUSE_SECONDS: Final = 600.0


class TokenSource:
    """Hands out the access token of one credential, renewed five minutes before it expires.

    Threads that need a token at the same time share one sign-in, and its failure. After a refusal
    nobody signs in for `refused_pause` seconds, and after throttling for the time that was asked
    for; until then the failure is raised again. `monotonic` gives seconds.
    `entitlements_forbidden` is set once Partner Center has said that this credential may not read
    entitlements, and stays set for the life of the process; `first_entitlements` finds out.
    """

    def __init__(
        self,
        settings: PartnerCenterSettings,
        *,
        refused_pause: float = REFUSED_PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entitlements_forbidden = False
        self.first_entitlements = FirstCall("The first read of entitlements")
        self._settings = settings
        self._sign_in = SharedCall[_Issued]("The sign-in")
        self._credential: TokenCredential | None = None
        self._token: _Issued | None = None
        self._refused_pause = refused_pause
        self._monotonic = monotonic
        self._held: _Held | None = None
        self._lock = threading.Lock()
        self._renewable_at = -math.inf

    def token(self, deadline: Deadline) -> str:
        """Return a valid access token.

        Raises SignInFailed, SignInUnavailable or OutOfTime.
        """
        return self._issued(deadline).token

    def tenant(self, deadline: Deadline) -> str:
        """Return the tenant that the access token was issued in, in lower case."""
        return self._issued(deadline).tenant

    def renewable(self, rejected: str) -> bool:
        """Whether the next call has another token than the one that Partner Center rejected.

        The whole process drops a rejected token once in `refused_pause` seconds.
        """
        with self._lock:
            issued = self._token
            if issued is None or issued.token != rejected:
                return True
            now = self._monotonic()
            if now < self._renewable_at:
                return False
            self._renewable_at = now + self._refused_pause
            self.forget()
            return True

    def forget(self) -> None:
        """Drop the token, so that the next call fetches another."""
        self._token = None
        self._drop_credential()

    def _issued(self, deadline: Deadline) -> "_Issued":
        kept = self._token
        if kept is not None and kept.expires_on - _RENEWAL_SECONDS >= time.time():
            return kept
        return self._sign_in.result(self._signed_in, deadline)

    def _signed_in(self) -> "_Issued":
        self._require_unheld()
        try:
            self._credential = self._credential or read(
                lambda: credential(self._settings), TRIPPED_OVER
            )
            token = self._token_of(self._credential)
            tenant = require_usable(token.token, self._settings, time.time())
        except SIGN_IN_ERRORS as error:
            self._drop_credential()
            raise self._failed(error) from error
        issued = _Issued(token.token, token.expires_on, tenant)
        self._token, self._held = issued, None
        return issued

    def _drop_credential(self) -> None:
        """Read a certificate again; a refresh token that is not in the vault yet stays."""
        if not isinstance(self._credential, RefreshTokenCredential):
            self._credential = None

    def _token_of(self, current: TokenCredential) -> AccessToken:
        scope = self._settings.endpoints.scope
        return read(lambda: _sendable(current.get_token(scope)), (*TRIPPED_OVER, ValueError))

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


def _sendable(token: AccessToken) -> AccessToken:
    """Return a token that a header can hold; raises ValueError for another."""
    if not (token.token.isascii() and token.token.isprintable()):
        message = "the access token holds characters that no header can hold"
        raise ValueError(message)
    return token


@dataclass(frozen=True, slots=True)
class _Issued:
    """An access token, its end in Unix seconds, and the tenant that it was issued in."""

    token: str = field(repr=False)
    expires_on: int
    tenant: str


@dataclass(frozen=True, slots=True)
class _Held:
    """Why nobody signs in until a time of the clock."""

    message: str
    verdict: Verdict
    until: float


def credential(settings: PartnerCenterSettings) -> TokenCredential:
    """Return the credential that the settings ask for."""
    return _CREDENTIALS[settings.auth](settings)


def _with_secret(settings: PartnerCenterSettings) -> TokenCredential:
    return ClientSecretCredential(
        settings.tenant_id,
        settings.client_id,
        str(settings.client_secret),
        **authority(settings),
    )


def _with_managed_identity(settings: PartnerCenterSettings) -> TokenCredential:
    identity = own_identity(settings)
    host = urlsplit(settings.endpoints.authority).netloc
    audience = _FEDERATION_AUDIENCES.get(host, _PUBLIC_FEDERATION_AUDIENCE)
    return ClientAssertionCredential(
        settings.tenant_id,
        settings.client_id,
        lambda: identity.get_token(f"{audience}/.default").token,
        **authority(settings),
    )


_CREDENTIALS: Final[dict[Auth, Callable[[PartnerCenterSettings], TokenCredential]]] = {
    Auth.SECRET: _with_secret,
    Auth.CERTIFICATE: CertificateInVault,
    Auth.FEDERATED: _with_managed_identity,
    Auth.USER: RefreshTokenCredential,
}
