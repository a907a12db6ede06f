"""The refresh token of App+User: kept in Key Vault, replaced by its successor at each sign-in.

Source: Microsoft's page "Secure Application Model".
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msal
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets import SecretClient

from shared.events import Event, emit
from shared.inputs import NotASecret, bare_secret
from shared.partner_center.covered_consents import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    CoveredConsents,
    Later,
    follows,
)
from shared.partner_center.sign_in_clients import (
    SIGN_IN_ERRORS,
    TRIPPED_OVER,
    entra_app,
    key_vault,
    read,
)
from shared.partner_center.sign_in_failure import failure, log_failure
from shared.partner_center.verdicts import said, verdict_on
from shared.settings import Auth, PartnerCenterSettings

# Microsoft's page "Secure Application Model": 90 days, anew with each token.
REFRESH_TOKEN_LIFETIME: Final = timedelta(days=90)


def in_background(seconds: float, act: Callable[[], None]) -> None:
    """Run a function after some seconds, in a thread that keeps no process alive."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def refresh_token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the stored refresh token; None without one, or if the vault tells no time.

    Raises SignInFailed or SignInUnavailable if the vault cannot be read.
    """
    if settings.auth is not Auth.USER:
        return None
    name = str(settings.refresh_token_secret_name)
    try:
        with key_vault(settings) as vault:
            stored = read(lambda: vault.get_secret(name).properties.updated_on, TRIPPED_OVER)
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
    expires = datetime.now(UTC) + REFRESH_TOKEN_LIFETIME
    try:
        with key_vault(settings) as vault:
            vault.set_secret(name, token, expires_on=expires)
    except SIGN_IN_ERRORS as error:
        message = f"secret {name} could not be written: {said(error)}"
        raise failure(message, verdict_on(error, settings)) from error
    return expires


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A refresh token, and the version of the secret that it is, or that it follows.

    `issued` is when it was issued if it is not in the vault yet, else None.
    """

    token: str = field(repr=False)
    version: str
    issued: datetime | None = None


class TokenInVault:
    """The newest refresh token: in Key Vault, or in memory while the vault cannot be written.

    A successor replaces the version that it follows and no other: whoever has stored another one in
    the meantime, a person or another instance, wins. `later` runs the next try to store.
    """

    def __init__(self, vault: SecretClient, name: str, later: Later) -> None:
        self._vault = vault
        self._name = name
        self._later = later
        self._consents = CoveredConsents(vault, name, later)
        self._lock = threading.Lock()
        self._known: KnownToken | None = None
        self._delay: float | None = None

    def newest(self) -> KnownToken:
        """Return the token to redeem; the last one that is known while the vault cannot be read.

        Raises NotASecret or AzureError.
        """
        with self._lock:
            try:
                stored = self._stored()
            except SIGN_IN_ERRORS:
                if self._known is None:
                    raise
                return self._known
            if self._known is None or stored.version != self._known.version:
                self._known = stored
            return self._known

    def forget(self) -> None:
        """Forget a token that is refused, so that the one in the vault is tried next."""
        with self._lock:
            self._known = None
        self._consents.uncover_soon()

    def put(self, successor: str, redeemed: KnownToken) -> None:
        """Replace the token that was redeemed; tries again later if the vault cannot be written."""
        with self._lock:
            self._known = KnownToken(successor, redeemed.version, datetime.now(UTC))
            if self._delay is None:
                self._try_to_store()

    def _try_again(self) -> None:
        with self._lock:
            self._try_to_store()

    def _try_to_store(self) -> None:
        known = self._known
        if known is None or known.issued is None:
            self._delay = None
            return
        try:
            issued = known.issued
            self._known = read(lambda: self._replaced(known, issued), TRIPPED_OVER)
            self._delay = None
            self._consents.uncover_soon()
        except SIGN_IN_ERRORS as error:
            self._put_off(error)

    def _replaced(self, known: KnownToken, issued: datetime) -> KnownToken:
        """Store a successor unless its place is taken; return the token that is in the vault."""
        newest = self._stored()
        if newest.version != known.version:
            return newest
        expires = issued + REFRESH_TOKEN_LIFETIME
        tags = follows(known.version)
        stored = self._vault.set_secret(self._name, known.token, expires_on=expires, tags=tags)
        return replace(known, version=str(stored.properties.version), issued=None)

    def _put_off(self, error: Exception) -> None:
        self._delay = min(2 * (self._delay or FIRST_DELAY_SECONDS / 2), LONGEST_DELAY_SECONDS)
        emit(
            Event.REFRESH_TOKEN_UNSTORED,
            reason=f"secret {self._name} could not be written: {said(error)}",
            remedy="Let the app write the vault: role Key Vault Secrets Officer, firewall. Until "
            "then do not restart the app, which keeps the token in memory.",
            retry_after_seconds=self._delay,
        )
        self._later(self._delay, self._try_again)

    def _stored(self) -> KnownToken:
        secret = self._vault.get_secret(self._name)
        try:
            return KnownToken(bare_secret(secret.value or ""), str(secret.properties.version))
        except NotASecret as error:
            message = f"the refresh token in secret {self._name} {error}"
            raise NotASecret(message) from error


class RefreshTokenCredential:
    """App+User: redeems the newest refresh token and keeps its successor."""

    def __init__(self, settings: PartnerCenterSettings, later: Later | None = None) -> None:
        self._settings = settings
        self._secret_name = str(settings.refresh_token_secret_name)
        self._tokens = TokenInVault(key_vault(settings), self._secret_name, later or in_background)
        self._app: msal.ConfidentialClientApplication | None = None

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a new access token; TokenSource keeps it, and asks in one thread at a time."""
        old = self._tokens.newest()
        app = self._app or self._new_app()
        # msal repeats an error for a minute without asking, so a failure needs another app.
        self._app = None
        result = app.acquire_token_by_refresh_token(old.token, list(scopes))
        if "access_token" not in result:
            if result.get("error") == "invalid_grant":
                self._tokens.forget()
            raise ClientAuthenticationError(message=self._rejection(result))
        self._app = app
        # A refresh token expires after 90 days without use, so each successor replaces it.
        successor = result.get("refresh_token")
        if isinstance(successor, str) and successor not in {"", old.token}:
            self._tokens.put(successor, old)
        return AccessToken(result["access_token"], int(time.time()) + int(result["expires_in"]))

    def _new_app(self) -> msal.ConfidentialClientApplication:
        try:
            return entra_app(self._settings)
        except ValueError as error:
            raise ClientAuthenticationError(message=said(error)) from error

    def _rejection(self, result: dict[str, Any]) -> str:
        return (
            f"the refresh token in secret {self._secret_name} was not accepted "
            f"({result.get('error')}: {result.get('error_description')})"
        )
