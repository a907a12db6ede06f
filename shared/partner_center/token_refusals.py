"""What is wrong with a token that Partner Center does not accept, and what a person does about it.

Sources: Microsoft's pages "Partner Center authentication" and "Partner Center error codes".
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from shared.partner_center.refusals import (
    CONDITIONAL_ACCESS_PAGE,
    CONSENT_PAGE,
    SIGN_IN_AGAIN,
)
from shared.partner_center.verdicts import Misconfigured, Refused

# Denied, no rights in the role, insufficient privileges, programme not active, account locked.
RIGHTS_CODES: Final = ("2032", "900150", "900308", "900149", "900416")
_REGISTER: Final = "Register the application in Partner Center: Account settings, App management."

WRONG_AUDIENCE: Final = Misconfigured(
    code="401/900420",
    meaning="The token is not meant for Partner Center's API.",
    remedy="Remove the scope, or set the API's address with /.default; check the cloud.",
    settings=("PARTNER_CENTER_SCOPE", "PARTNER_CENTER_CLOUD"),
    page=CONSENT_PAGE,
)
NO_MFA: Final = Refused(
    code="401/900421",
    meaning="The token shows no multifactor authentication.",
    remedy=f"Require MFA for the account. {SIGN_IN_AGAIN}",
    settings=("REFRESH_TOKEN_SECRET_NAME",),
    page=CONSENT_PAGE,
)
NOT_FOR_THIS_CREDENTIAL: Final = Refused(
    code="403/900329",
    meaning="Partner Center does not accept this kind of credential for the call.",
    remedy="Sign in as a user, and with an Admin agent: PARTNER_CENTER_AUTH=user.",
    settings=("PARTNER_CENTER_AUTH",),
    page=CONSENT_PAGE,
)
BLOCKED_BY_POLICY: Final = Refused(
    code="403/900309",
    meaning="A conditional access policy of the tenant forbids the call.",
    remedy="Exclude the application from the policy, or fulfil it.",
    settings=("PARTNER_CENTER_CLIENT_ID",),
    page=CONDITIONAL_ACCESS_PAGE,
)
LACKS_RIGHTS: Final = Refused(
    code="403",
    meaning="The credential lacks a right in Partner Center.",
    remedy=f"Give the user who consented the role Admin agent. {_REGISTER}",
    settings=("PARTNER_CENTER_AUTH", "PARTNER_CENTER_CLIENT_ID"),
    page=CONSENT_PAGE,
)
UNEXPLAINED: Final = Refused(
    code="401",
    meaning="Partner Center does not accept the token and does not say why.",
    remedy=f"It responds so to a token without MFA: in user mode, run python -m local.consent. "
    f"Otherwise: {_REGISTER}",
    settings=("PARTNER_CENTER_CLIENT_ID", "PARTNER_CENTER_AUTH"),
    page=CONSENT_PAGE,
)
WRONG_TENANT: Final = Misconfigured(
    code="Token/tid",
    meaning="The token was issued in another tenant.",
    remedy="Set the tenant ID of the sandbox account, and use a credential of that tenant.",
    settings=("PARTNER_TENANT_ID",),
    page=CONSENT_PAGE,
)
OUT_OF_DATE: Final = Refused(
    code="Token/exp",
    meaning="The token had expired when it was issued.",
    remedy="Check the clock of the machine.",
    settings=(),
    page=CONSENT_PAGE,
)
UNREADABLE: Final = Refused(
    code="Token",
    meaning="The token is not one of Entra ID.",
    remedy="Correct the login authority or the scope.",
    settings=("PARTNER_CENTER_AUTHORITY", "PARTNER_CENTER_SCOPE"),
    page=CONSENT_PAGE,
)
TOKEN_REFUSALS: Final = (
    WRONG_AUDIENCE,
    NO_MFA,
    NOT_FOR_THIS_CREDENTIAL,
    BLOCKED_BY_POLICY,
    LACKS_RIGHTS,
    UNEXPLAINED,
    WRONG_TENANT,
    OUT_OF_DATE,
    UNREADABLE,
)
_BY_CODE: Final = {each.code: each for each in TOKEN_REFUSALS}


def refusal_of(status: int, code: str) -> Refused:
    """Return what a 401 or a 403 about the token means, by status and code of the response."""
    # A code that is no number comes from the header of a response without a body.
    if status == HTTPStatus.UNAUTHORIZED and not code.isdecimal():
        return UNEXPLAINED
    if code in RIGHTS_CODES:
        return replace(LACKS_RIGHTS, code=f"{status}/{code}")
    if found := _BY_CODE.get(f"{status}/{code}"):
        return found
    return Refused(
        code=f"{status}/{code}",
        meaning="Partner Center does not accept the token.",
        remedy=f"Check the rights of the app registration's credential. {_REGISTER}",
        settings=("PARTNER_CENTER_CLIENT_ID",),
        page=CONSENT_PAGE,
    )
