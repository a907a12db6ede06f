"""The refresh token of App+User: kept in Key Vault, replaced by its successor at each sign-in.

Source: Microsoft's page "Secure Application Model".
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets import SecretClient

from shared.inputs import NotASecret, bare_secret
from shared.partner_center.sign_in_clients import SIGN_IN_ERRORS, entra_app, key_vault
from shared.partner_center.sign_in_failure import failure, log_failure
from shared.partner_center.verdicts import said, verdict_on
from shared.settings import Auth, PartnerCenterSettings

# Microsoft's page "Secure Application Model": 90 days, anew with each token.
REFRESH_TOKEN_LIFETIME: Final = timedelta(days=90)


def refresh_token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the stored refresh token; None if another credential is used.

    Raises SignInFailed or SignInUnavailable if the vault cannot be read.
    """
    if settings.auth is not Auth.USER:
        return None
    name = str(settings.refresh_token_secret_name)
    try:
        with key_vault(settings) as vault:
            stored = vault.get_secret(name).properties.updated_on
    except SIGN_IN_ERRORS as error:
        message = f"secret {name} could not be read: {said(error)}"
        failed = failure(message, verdict_on(error, settings))
        log_failure(failed)
        raise failed from error
    return None if stored is None else round((now - stored) / timedelta(days=1), 1)


def store_refresh_token(settings: PartnerCenterSettings, token: str) -> datetime:
    """Store a token that was issued now as the newest in the vault; return when it expires.

    Raises SignInFailed or SignInUnavailable if the vault cannot be written.
    """
    name = str(settings.refresh_token_secret_name)
    try:
        with key_vault(settings) as vault:
            return _store(vault, name, token)
    except SIGN_IN_ERRORS as error:
        message = f"secret {name} could not be written: {said(error)}"
        raise failure(message, verdict_on(error, settings)) from error


def _store(vault: SecretClient, name: str, token: str) -> datetime:
    expires = datetime.now(UTC) + REFRESH_TOKEN_LIFETIME
    vault.set_secret(name, token, expires_on=expires)
    return expires


class RefreshTokenCredential:
    """App+User: redeems the refresh token in Key Vault and stores its successor there."""

    def __init__(self, settings: PartnerCenterSettings) -> None:
        self._vault = key_vault(settings)
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
