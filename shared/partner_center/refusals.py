"""What each error code of Entra ID means for the app, and what a person does about it.

Microsoft asks apps not to depend on these codes, so a code that is missing here is a refusal
without a remedy of its own, and nothing ends because of one. `Source` says how sure each row is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What the app does about a code."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"


class Source(StrEnum):
    """Where a code is named."""

    LIST = "Microsoft's list of error codes"
    PAGE = "another page of Microsoft"
    LIBRARY = "the source of a library of Microsoft"
    OBSERVED = "responses that users quote"


@dataclass(frozen=True, slots=True)
class Row:
    """One code: its meaning, the cause and the remedy in a sentence each, and the page about it.

    `settings` are the app settings to look at, the likeliest first.
    """

    code: int
    meaning: Meaning
    cause: str
    remedy: str = ""
    settings: tuple[str, ...] = ()
    page: str = ""
    source: Source = Source.LIST

    @property
    def name(self) -> str:
        """The code as Entra ID writes it."""
        return f"AADSTS{self.code}"


LIST_PAGE: Final = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes"
_LOOKUP: Final = "https://login.microsoftonline.com/error?code="
_LEARN: Final = "https://learn.microsoft.com/"
CERTIFICATES_PAGE: Final = f"{_LEARN}entra/identity-platform/certificate-credentials"
FEDERATION_PAGE: Final = (
    f"{_LEARN}entra/workload-id/workload-identity-federation-config-app-trust-managed-identity"
)
SERVICE_PRINCIPAL_PAGE: Final = (
    f"{_LEARN}azure/developer/java/sdk/troubleshooting-authentication-service-principal"
)
_MISSING_PRINCIPAL_PAGE: Final = (
    f"{_LEARN}microsoftteams/platform/teams-sdk/teams/app-authentication/troubleshooting"
)
THROTTLING_PAGE: Final = f"{_LEARN}entra/msal/dotnet/advanced/client-and-server-throttling"
CONDITIONAL_ACCESS_PAGE: Final = (
    f"{_LEARN}entra/identity/conditional-access/troubleshoot-conditional-access"
)
CONSENT_PAGE: Final = f"{_LEARN}partner-center/developer/partner-center-authentication"
REDIRECT_PAGE: Final = f"{_LEARN}entra/identity-platform/reply-url"
_WORKLOAD_PAGE: Final = "https://azure.github.io/azure-workload-identity/docs/troubleshooting.html"
_LIBRARY_PAGE: Final = "https://github.com/AzureAD/microsoft-identity-web"

_TENANT: Final = "PARTNER_TENANT_ID"
_CLIENT: Final = "PARTNER_CENTER_CLIENT_ID"
_SECRET: Final = "PARTNER_CENTER_CLIENT_SECRET"  # noqa: S105 - the name of a setting
_CERTIFICATE: Final = "PARTNER_CENTER_CERTIFICATE_NAME"
_TOKEN: Final = "REFRESH_TOKEN_SECRET_NAME"  # noqa: S105 - the name of a setting
_CLOUD: Final = "PARTNER_CENTER_CLOUD"
_AUTHORITY: Final = "PARTNER_CENTER_AUTHORITY"
_SCOPE: Final = "PARTNER_CENTER_SCOPE"
_IDENTITY: Final = "AZURE_CLIENT_ID"

PARTNER_CENTER_APP_ID: Final = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"
SIGN_IN_AGAIN: Final = (
    "An Admin agent of the sandbox tenant has to sign in again with MFA and consent again: run "
    "python -m local.consent."
)
_FEDERATED: Final = (
    "Compare issuer, subject and audience of the app registration's federated credential with the "
    "app's managed identity."
)
_REGISTER_CERTIFICATE: Final = (
    "Upload the public part of the certificate in the vault to the app registration, or import "
    "the certificate that is registered there."
)
_RENEW_CERTIFICATE: Final = (
    "Import a certificate that is valid now into the vault, and upload its public part to the app "
    "registration."
)
_NAME_TENANT_AND_APP: Final = (
    "Check that the app registration belongs to the sandbox tenant, and correct these settings."
)
_LATER: Final = "Nothing has to be done; the app tries again by itself."


def _rows(
    meaning: Meaning,
    cause: str,
    remedy: str,
    *codes: int,
    settings: tuple[str, ...] = (),
    page: str = LIST_PAGE,
    source: Source = Source.LIST,
) -> Iterable[Row]:
    """Yield a row for each of the codes that share all but the code."""
    for code in codes:
        about = f"{_LOOKUP}{code}" if source is Source.OBSERVED else page
        yield Row(code, meaning, cause, remedy, settings, about, source)


_WRONG: Final = Meaning.MISCONFIGURED
_REFUSED: Final = Meaning.REFUSED

ROWS: Final[tuple[Row, ...]] = (
    # The tenant and the cloud.
    *_rows(
        _WRONG,
        "The tenant does not exist in this cloud.",
        "Correct the tenant ID, or the cloud that it belongs to.",
        90002,
        settings=(_TENANT, _CLOUD),
    ),
    *_rows(
        _WRONG,
        "The tenant or the app registration belongs to another cloud.",
        "Set the cloud that the sandbox account belongs to.",
        *(90038, 900382, 900432),
        settings=(_CLOUD, _AUTHORITY),
    ),
    # The application and its service principal.
    *_rows(
        _REFUSED,
        "The tenant does not know the application.",
        _NAME_TENANT_AND_APP,
        *(700016, 700011),
        settings=(_CLIENT, _TENANT),
        page=SERVICE_PRINCIPAL_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The application is disabled.",
        "Enable it in the sandbox tenant: Enterprise applications, Properties, Enabled for users "
        "to sign in.",
        *(7000112, 70001, 1000031),
        settings=(_CLIENT,),
    ),
    *_rows(
        _REFUSED,
        "The application has no service principal in the tenant.",
        "Create it in the sandbox tenant: az ad sp create --id <client ID>.",
        7000229,
        settings=(_CLIENT, _TENANT),
        page=_MISSING_PRINCIPAL_PAGE,
        source=Source.PAGE,
    ),
    *_rows(
        _REFUSED,
        "The app registration is a public client, which must not send a credential.",
        "Register a web app with a credential, and move its redirect URI to the platform Web.",
        700025,
        settings=(_CLIENT,),
    ),
    *_rows(
        _REFUSED,
        "The request carried no credential of the application.",
        "Set the credential that the way to sign in needs.",
        7000218,
        settings=("PARTNER_CENTER_AUTH", _SECRET),
    ),
    *_rows(
        _REFUSED,
        "The redirect URI of the sign-in is not registered.",
        "Add the redirect URI http://localhost to the platform Web of the app registration.",
        50011,
        settings=(_CLIENT,),
        page=REDIRECT_PAGE,
    ),
    # Partner Center as the resource.
    *_rows(
        _REFUSED,
        "Partner Center's API is not installed in the tenant.",
        f"Create its service principal in the sandbox tenant: az ad sp create --id "
        f"{PARTNER_CENTER_APP_ID}.",
        *(500011, 50001, 650052, 650054),
        settings=(_SCOPE, _TENANT),
    ),
    *_rows(
        _WRONG,
        "The scope is not one of Partner Center's API.",
        "Remove the setting, or set the API's address with /.default.",
        *(70011, 28002, 700022),
        settings=(_SCOPE,),
    ),
    # Consent and assignment.
    *_rows(
        _REFUSED,
        "The app registration lacks a permission that it asks for.",
        "Add the delegated permission Microsoft Partner Center, user_impersonation, and grant "
        "admin consent.",
        *(65005, 650056, 650057),
        settings=(_CLIENT,),
        page=CONSENT_PAGE,
    ),
    *_rows(
        _REFUSED,
        "Nobody has consented to the application.",
        f"Grant admin consent to the app registration. {SIGN_IN_AGAIN}",
        *(65001, 65004, 90008, 90094, 90095, 90099, 9002341),
        settings=(_CLIENT,),
        page=CONSENT_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The user is not assigned to the application.",
        "Assign the user under Enterprise applications, Users and groups, or turn off Assignment "
        "required.",
        50105,
        settings=(_CLIENT,),
    ),
    *_rows(
        _REFUSED,
        "The application is not assigned to Partner Center's API.",
        "Register the application in Partner Center: Account settings, App management.",
        501051,
        settings=(_CLIENT,),
        source=Source.OBSERVED,
    ),
    # The client secret.
    *_rows(
        _REFUSED,
        "The client secret is wrong.",
        "Store the value of a client secret of this app registration, not its ID.",
        *(7000215, 70002),
        settings=(_SECRET, _CLIENT),
        page=SERVICE_PRINCIPAL_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The client secret has expired.",
        "Create another client secret in the app registration and store its value.",
        7000222,
        settings=(_SECRET,),
        page=SERVICE_PRINCIPAL_PAGE,
    ),
    # The certificate.
    *_rows(
        _REFUSED,
        "The certificate is not registered for the application.",
        _REGISTER_CERTIFICATE,
        *(700027, 50012),
        settings=(_CERTIFICATE, _CLIENT),
        page=CERTIFICATES_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The certificate names a subject that the application does not accept.",
        _REGISTER_CERTIFICATE,
        700030,
        settings=(_CERTIFICATE,),
        page=CERTIFICATES_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The certificate is outside the time in which it is valid.",
        _RENEW_CERTIFICATE,
        *(1000502, 7000274),
        settings=(_CERTIFICATE,),
        page=_LIBRARY_PAGE,
        source=Source.LIBRARY,
    ),
    *_rows(
        _REFUSED,
        "The certificate was revoked.",
        _RENEW_CERTIFICATE,
        *(7000214, 7000277),
        settings=(_CERTIFICATE,),
        page=_LIBRARY_PAGE,
        source=Source.LIBRARY,
    ),
    *_rows(
        _REFUSED,
        "The signed assertion is outside the time in which it is valid.",
        "Check the clock of the machine, then the certificate's dates.",
        700024,
        settings=(_CERTIFICATE,),
        page=_LIBRARY_PAGE,
        source=Source.LIBRARY,
    ),
    *_rows(
        _REFUSED,
        "The signed assertion is not one that the application may present.",
        "Check that the client ID is that of the app registration whose credential is used.",
        *(50013, 500133, 50027, 50048),
        settings=(_CLIENT,),
        page=SERVICE_PRINCIPAL_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The signed assertion names another application.",
        "Check that the client ID is that of the app registration whose credential is used.",
        700021,
        settings=(_CLIENT,),
        page=SERVICE_PRINCIPAL_PAGE,
        source=Source.PAGE,
    ),
    # Two pages disagree: Microsoft's list says that the scope names no resource.
    *_rows(
        _REFUSED,
        "The signed assertion is meant for another authority, or the scope names no resource.",
        "Correct the authority, the cloud or the scope.",
        700023,
        settings=(_AUTHORITY, _CLOUD, _SCOPE),
        page=SERVICE_PRINCIPAL_PAGE,
    ),
    # The federated credential.
    *_rows(
        _REFUSED,
        "No federated credential of the app registration matches the managed identity.",
        _FEDERATED,
        70021,
        settings=(_CLIENT, _IDENTITY),
        page=_WORKLOAD_PAGE,
        source=Source.PAGE,
    ),
    *_rows(
        _REFUSED,
        "No federated credential of the app registration has this issuer.",
        f"{_FEDERATED} The issuer is https://login.microsoftonline.com/<tenant ID>/v2.0.",
        700211,
        settings=(_CLIENT, _TENANT),
        page=FEDERATION_PAGE,
        source=Source.OBSERVED,
    ),
    *_rows(
        _REFUSED,
        "No federated credential of the app registration has this audience.",
        f"{_FEDERATED} The audience is api://AzureADTokenExchange in the global cloud.",
        700212,
        settings=(_CLIENT, _AUTHORITY),
        page=FEDERATION_PAGE,
        source=Source.OBSERVED,
    ),
    *_rows(
        _REFUSED,
        "No federated credential of the app registration has this subject.",
        f"{_FEDERATED} The subject is the object ID of the managed identity, not its client ID.",
        *(700213, 7002131),
        settings=(_CLIENT, _IDENTITY),
        page=FEDERATION_PAGE,
        source=Source.OBSERVED,
    ),
    *_rows(
        _REFUSED,
        "The token of the managed identity is not accepted as a federated credential.",
        _FEDERATED,
        *(700229, 900384),
        settings=(_IDENTITY,),
        page=FEDERATION_PAGE,
    ),
    # The user's account.
    *_rows(
        _REFUSED,
        "The user does not exist in the tenant.",
        f"Use an account of the sandbox tenant. {SIGN_IN_AGAIN}",
        *(16000, 50014, 50020, 50034, 51004, 90072, 500213),
        settings=(_TENANT,),
    ),
    *_rows(
        _REFUSED,
        "The user's account is disabled.",
        f"Enable the account, or use another one. {SIGN_IN_AGAIN}",
        50057,
        settings=(_TOKEN,),
    ),
    *_rows(
        _REFUSED,
        "The user's account is locked or blocked.",
        f"Unblock the account in the sandbox tenant. {SIGN_IN_AGAIN}",
        *(50053, 53011, 530034),
        settings=(_TOKEN,),
    ),
    *_rows(
        _REFUSED,
        "The user's password has expired or was changed.",
        SIGN_IN_AGAIN,
        *(50055, 50056, 50125, 50126, 50132, 50133, 50135, 50144),
        settings=(_TOKEN,),
    ),
    # MFA and conditional access.
    *_rows(
        _REFUSED,
        "The tenant wants multifactor authentication.",
        SIGN_IN_AGAIN,
        *(50072, 50074, 50076, 50078, 50079, 50158, 53004, 53010),
        settings=(_TOKEN,),
    ),
    *_rows(
        _REFUSED,
        "A conditional access policy of the tenant forbids the sign-in.",
        "Exclude the application from the policy, or fulfil it. In user mode run "
        "python -m local.consent after that.",
        *(50005, 50097, 50129, 50131, 50155, 53000, 53001, 53002, 53003, 530032, 530035),
        settings=(_CLIENT,),
        page=CONDITIONAL_ACCESS_PAGE,
    ),
    *_rows(
        _REFUSED,
        "A conditional access policy limits how long a sign-in lasts.",
        f"Exclude the application from the sign-in frequency. {SIGN_IN_AGAIN}",
        70043,
        settings=(_TOKEN,),
        page=CONDITIONAL_ACCESS_PAGE,
    ),
    # The refresh token.
    *_rows(
        _REFUSED,
        "The refresh token has expired.",
        SIGN_IN_AGAIN,
        *(70008, 700082, 700084, 50089),
        settings=(_TOKEN,),
        page=CONSENT_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The refresh token was revoked.",
        SIGN_IN_AGAIN,
        50173,
        settings=(_TOKEN,),
        page=CONSENT_PAGE,
    ),
    *_rows(
        _REFUSED,
        "The refresh token is not valid, or belongs to another application.",
        f"Check that the secret holds a refresh token of this application. {SIGN_IN_AGAIN}",
        *(70000, 9002313, 700005),
        settings=(_TOKEN, _CLIENT),
        page=CONSENT_PAGE,
    ),
    *_rows(
        _REFUSED,
        "A person has to sign in.",
        SIGN_IN_AGAIN,
        *(700020, 50058, 54005, 70019),
        settings=(_TOKEN,),
    ),
    # What passes by itself.
    *_rows(
        Meaning.TRANSIENT,
        "Entra ID is unavailable for a moment.",
        _LATER,
        *(50000, 50033, 50087, 50134, 90006, 90012, 90024, 90033, 90090, 90091),
    ),
    *_rows(
        _REFUSED,
        "Entra ID failed in a way that it does not expect to pass.",
        "Open a support ticket with the trace ID in the log.",
        90036,
    ),
    *_rows(
        Meaning.THROTTLED,
        "Entra ID is asked too often.",
        _LATER,
        *(50196, 90055, 50166),
        page=THROTTLING_PAGE,
    ),
)

BY_CODE: Final = {row.code: row for row in ROWS}


@dataclass(frozen=True, slots=True)
class Hint:
    """What a rejection without a code of Entra ID means: cause, remedy, and settings to look at."""

    cause: str
    remedy: str
    settings: tuple[str, ...]


_BY_ERROR: Final = {
    "invalid_client": Hint(
        "Entra ID does not accept the credential of the application.",
        "Check that the credential is registered for the application and has not expired.",
        (_CLIENT, "PARTNER_CENTER_AUTH"),
    ),
    "unauthorized_client": Hint(
        "The application may not sign in like this.",
        f"{_NAME_TENANT_AND_APP} Enable the application and grant its consent.",
        (_CLIENT, _TENANT, "PARTNER_CENTER_AUTH"),
    ),
    "invalid_grant": Hint(
        "Entra ID does not accept the refresh token or the signed assertion.",
        f"In user mode: {SIGN_IN_AGAIN} Otherwise check certificate or federated credential.",
        (_TOKEN, _CERTIFICATE, _CLIENT),
    ),
    "invalid_scope": Hint(
        "The scope is not one of Partner Center's API.",
        "Remove the setting, or set the API's address with /.default.",
        (_SCOPE,),
    ),
    "invalid_tenant": Hint(
        "The tenant does not exist in this cloud.",
        "Correct the tenant ID, or the cloud that it belongs to.",
        (_TENANT, _CLOUD),
    ),
}
_NO_CODE: Final = Hint(
    "The login authority rejects the request and names no code of Entra ID.",
    "Check the authority, the tenant and the client ID, and that no firewall or proxy responds in "
    "its place.",
    (_AUTHORITY, _TENANT, _CLIENT),
)
# OAuth's own words for trouble that passes.
PASSING_ERRORS: Final = ("temporarily_unavailable", "server_error")


def hint_of(error: str) -> Hint:
    """Return what an error code of OAuth means."""
    return _BY_ERROR.get(error, _NO_CODE)
