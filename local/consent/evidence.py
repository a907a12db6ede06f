"""Who has signed in, and whether the app can use that consent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import TipsweepError
from shared.partner_center.token_claims import claims_of
from shared.settings import PartnerCenterSettings


class NotAcceptable(TipsweepError):
    """The sign-in worked, and the app could not use it; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that the app can use."""

    who: str
    tenant: str
    refresh_token: str = field(repr=False)


def accepted(
    response: Mapping[str, Any], home_tenant: str, settings: PartnerCenterSettings
) -> Consent:
    """Return the consent in a token response; raises NotAcceptable.

    Partner Center looks for `mfa` in the claim `amr` of the access token (Microsoft's page
    "Partner Center authentication").
    """
    try:
        claims = claims_of(str(response["access_token"]))
    except (LookupError, TypeError, ValueError) as error:
        message = "The access token cannot be read: expected a JWT for Partner Center"
        raise NotAcceptable(message) from error
    who = _name(claims)
    _require_tenant(who, str(claims.get("tid", "")), home_tenant, settings.tenant_id)
    _require_mfa(who, claims.get("amr"))
    token = response.get("refresh_token")
    if not isinstance(token, str) or not token:
        message = f"Entra ID issued no refresh token for {who}: grant the app offline_access"
        raise NotAcceptable(message)
    return Consent(who, settings.tenant_id, token)


def _name(claims: Mapping[str, Any]) -> str:
    names = (claims.get(name) for name in ("upn", "unique_name", "preferred_username", "oid"))
    return next((str(name) for name in names if name), "somebody without a name")


def _require_tenant(who: str, tenant: str, home: str, expected: str) -> None:
    for found in (tenant, home):
        if found.lower() != expected:
            message = (
                f"{who} belongs to tenant {found or 'unknown'}, expected {expected} "
                "(PARTNER_TENANT_ID): sign in with an Admin agent of the sandbox tenant itself"
            )
            raise NotAcceptable(message)


def _require_mfa(who: str, methods: object) -> None:
    used = [str(each) for each in methods] if isinstance(methods, list) else []
    if "mfa" not in used:
        message = (
            f"{who} signed in without MFA (amr: {', '.join(used) or 'missing'}), and Partner "
            "Center rejects such a token: require MFA for the account, then sign in again in a "
            "private window"
        )
        raise NotAcceptable(message)
