"""What an access token says about itself.

The signature is not checked: the token came over TLS, and Partner Center checks it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from shared.partner_center import token_refusals
from shared.partner_center.refusals import PARTNER_CENTER_APP_ID
from shared.partner_center.verdicts import Unusable
from shared.settings import ENDPOINTS, Auth, PartnerCenterSettings

# A clock may be wrong by as much.
_LEEWAY_SECONDS: Final = 600
_ODD: Final = (LookupError, TypeError, ValueError, binascii.Error, RecursionError)
# The audiences of the older API, with and without 21Vianet, and its ID: withdrawn in 2025.
_WITHDRAWN: Final = frozenset(
    {
        "https://graph.windows.net",
        "https://graph.chinacloudapi.cn",
        "00000002-0000-0000-c000-000000000000",
    }
)


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token; raises ValueError, IndexError or TypeError for no JWT."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(claims, dict):
        message = "The claims are not an object"
        raise TypeError(message)
    return claims


def tenant_of(token: str) -> str:
    """Return the `tid` claim of a token, in lower case; raises Unusable if it has none."""
    try:
        return str(claims_of(token)["tid"]).lower()
    except _ODD:
        message = "The access token names no tenant: expected a JWT with the claim tid"
        raise Unusable(message, token_refusals.UNREADABLE) from None


def require_usable(token: str, settings: PartnerCenterSettings, now: float) -> str:
    """Check tenant, audience, expiry and, of a user's token, MFA; return the tenant.

    `now` is in Unix seconds. Raises Unusable. Partner Center looks for `mfa` in `amr` (Microsoft's
    page "Partner Center authentication").
    """
    tenant, claims = tenant_of(token), claims_of(token)
    if tenant != settings.tenant_id:
        message = f"The access token was issued in tenant {tenant}, expected {settings.tenant_id}"
        raise Unusable(message, token_refusals.WRONG_TENANT)
    _require_audience(claims, settings)
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires + _LEEWAY_SECONDS < now:
        message = "The access token has expired already"
        raise Unusable(message, token_refusals.OUT_OF_DATE)
    if settings.auth is Auth.USER and not has_mfa(claims):
        message = "The access token has no mfa in its claim amr"
        raise Unusable(message, token_refusals.NO_MFA)
    return tenant


def has_mfa(claims: Mapping[str, Any]) -> bool:
    """Whether the claims say that a person used multifactor authentication."""
    methods = claims.get("amr")
    return isinstance(methods, list) and "mfa" in methods


def _require_audience(claims: Mapping[str, Any], settings: PartnerCenterSettings) -> None:
    """Refuse a token for another API; one that names none is for Partner Center to judge."""
    named = claims.get("aud")
    all_named = named if isinstance(named, list) else [named]
    found = {str(each).rstrip("/").lower() for each in all_named}
    if named is not None and not found & _audiences(settings):
        message = f"The access token is meant for {str(named)[:200]}"
        raise Unusable(message, token_refusals.WRONG_AUDIENCE)


def _audiences(settings: PartnerCenterSettings) -> frozenset[str]:
    scopes = (settings.endpoints.scope, *(each.scope for each in ENDPOINTS.values()))
    resources = {scope.rpartition("/")[0].rstrip("/").lower() for scope in scopes}
    return frozenset({*resources, PARTNER_CENTER_APP_ID}) - _WITHDRAWN
