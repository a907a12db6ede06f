"""What an error of a sign-in means: refused, misconfigured, throttled, or away for a moment."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError

from shared.errors import TipsweepError
from shared.inputs import NotASecret, retry_after_seconds
from shared.partner_center.refusals import (
    BY_CODE,
    LIST_PAGE,
    PASSING_ERRORS,
    Meaning,
    Row,
    hint_of,
)
from shared.partner_center.sign_in_responses import (
    challenges_as_vault,
    is_discovery,
    is_page,
    is_rejection,
    oauth_error,
)
from shared.settings import ENDPOINTS, Auth, PartnerCenterSettings

# Microsoft's page about throttling names 60 s for a client credential.
THROTTLED_SECONDS: Final = 60.0
_IDENTITY_PAGE: Final = "https://learn.microsoft.com/azure/app-service/overview-managed-identity"
_VAULT_PAGE: Final = "https://learn.microsoft.com/azure/key-vault/general/rest-error-codes"
_CODE: Final = re.compile(r"AADSTS(\d+)")
_SAID_CHARACTERS: Final = 500
# azure-identity says: "Token request error: (invalid_scope) 400, <text of the endpoint>".
_IDENTITY_STATUS: Final = re.compile(r"(?:Token request error: \(\w+\)|responded with) (\d{3})\b")
_NOT_RESOLVED: Final = re.compile(r"Failed to resolve '([^']+)'")
_NOT_ITS_CERTIFICATE: Final = re.compile(r"certificate is not valid for '([^']+)'")
_DEPTH: Final = 8
# What Key Vault says besides 401, 429 and 5xx.
_OF_VAULTS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A person has to do what `remedy` says; `settings` are the names to look at."""

    code: str
    meaning: str
    remedy: str
    settings: tuple[str, ...]
    page: str


@dataclass(frozen=True, slots=True)
class Misconfigured(Refused):
    """The first of `settings` is wrong."""


@dataclass(frozen=True, slots=True)
class Transient:
    """It passes by itself; `retry_after` is the wait in seconds that was asked for."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests were sent; none may follow for `retry_after` seconds."""

    retry_after: float


class Unusable(TipsweepError):
    """What was issued or stored cannot be used; `refusal` says why and what to do."""

    def __init__(self, message: str, refusal: Refused) -> None:
        super().__init__(message)
        self.refusal = refusal


Verdict = Refused | Misconfigured | Transient | Throttled


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    url: str
    retry_after: float | None
    content: bytes
    challenge: str | None


def verdict_on(error: BaseException, settings: PartnerCenterSettings) -> Verdict:
    """Return what an error of azure-identity, msal, requests or the vault means.

    The status comes first, because a 429 or a 5xx passes whatever its body says. Then comes the
    code of Entra ID. What has neither is an error of the vault, the managed identity or the
    network.
    """
    if isinstance(error, Unusable):
        return error.refusal
    response = _response(error)
    if response is not None and response.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = response.retry_after
        return Throttled(THROTTLED_SECONDS if wait is None else wait)
    if response is not None and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(response.retry_after)
    if found := _CODE.search(_text(error)):
        return _of_code(int(found[1]), response)
    return (
        _of_vault(response, settings)
        or _of_entra(response, settings)
        or _of_identity(error)
        or _of_name(error, settings)
        or _of_secret(error)
        or Transient()
    )


def said(error: BaseException) -> str:
    """Return in one line what the error says, or what caused it if that has a code of Entra ID.

    A library may append the body of a response, which can hold a token: that part is left out.
    """
    text = str(error) or type(error).__name__
    if _CODE.search(text) is None and (found := _CODE.search(_text(error))):
        text = _text(error)[found.start() :]
    return " ".join(re.split(r"\s*Content:|\"", text, maxsplit=1)[0].split())[:_SAID_CHARACTERS]


def told(message: str, refusal: Refused) -> str:
    """Add to a message what is wrong, what to do, and the settings to look at."""
    names = f" Settings: {', '.join(refusal.settings)}." if refusal.settings else ""
    return f"{message.rstrip('.')}. {refusal.meaning} {refusal.remedy}{names}"


def _of_code(code: int, response: _Response | None) -> Verdict:
    wait = response.retry_after if response else None
    row = BY_CODE.get(code)
    if row is None:
        return Refused(
            code=f"AADSTS{code}",
            meaning="Entra ID refuses the sign-in.",
            remedy="Look the code up on the page, and repair what it names.",
            settings=("PARTNER_CENTER_AUTH",),
            page=f"https://login.microsoftonline.com/error?code={code}",
        )
    if row.meaning is Meaning.TRANSIENT:
        return Transient(wait)
    if row.meaning is Meaning.THROTTLED:
        return Throttled(THROTTLED_SECONDS if wait is None else wait)
    kind = Misconfigured if row.meaning is Meaning.MISCONFIGURED else Refused
    return _refusal(kind, row)


def _refusal(kind: type[Refused], row: Row) -> Refused:
    return kind(row.name, row.cause, row.remedy, row.settings, row.page)


def _of_vault(response: _Response | None, settings: PartnerCenterSettings) -> Refused | None:
    if response is None or _host(response.url) != _host(settings.key_vault_uri or ""):
        return None
    code = f"KeyVault/{response.status}"
    if _is_no_vault(response):
        return _no_vault(code, f"{_host(response.url)} does not respond as a Key Vault does.")
    name, setting = _secret(settings)
    if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
        return Misconfigured(
            code=code,
            meaning=f"The vault has no secret {name}, or none can have this name.",
            remedy="Store it, enable it, or correct its name.",
            settings=(setting, "KEY_VAULT_URI"),
            page=_VAULT_PAGE,
        )
    if response.status == HTTPStatus.CONFLICT:
        return Refused(
            code=code,
            meaning=f"The vault keeps a deleted secret {name}.",
            remedy="Recover or purge it.",
            settings=(setting, "KEY_VAULT_URI"),
            page=_VAULT_PAGE,
        )
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Refused(
            code=code,
            meaning=f"The app may not use the secret {name}.",
            remedy="Give the app's identity the role Key Vault Secrets User, for a refresh token "
            "Key Vault Secrets Officer; check the vault's firewall and that the secret is enabled.",
            settings=("KEY_VAULT_URI", "AZURE_CLIENT_ID"),
            page=_VAULT_PAGE,
        )
    return None


def rejected(message: str, error: object) -> Exception:
    """Return the error of a response that msal hands back; `error` is OAuth's word in it."""
    known = isinstance(error, str) and _CODE.search(message) is None
    refusal = _of_error(str(error)) if known else None
    return Unusable(message, refusal) if refusal else ClientAuthenticationError(message=message)


def _is_no_vault(response: _Response) -> bool:
    """Whether a vault would not respond like this; JSON that was cut off may come from one."""
    challenge = response.challenge
    if response.status == HTTPStatus.UNAUTHORIZED:
        return challenge is None or not challenges_as_vault(response.url, challenge)
    if response.status == HTTPStatus.OK:
        return not response.content.lstrip().startswith(b"{")
    if is_rejection(response.status):
        return response.status not in _OF_VAULTS or is_page(response.content)
    return response.status < HTTPStatus.BAD_REQUEST


def _no_vault(code: str, meaning: str) -> Misconfigured:
    return Misconfigured(
        code=code,
        meaning=meaning,
        remedy="Correct the vault's address, or its private DNS zone.",
        settings=("KEY_VAULT_URI",),
        page=_VAULT_PAGE,
    )


def _of_entra(response: _Response | None, settings: PartnerCenterSettings) -> Refused | None:
    """Return what a response of the login authority without a code of Entra ID means."""
    if response is None or _host(response.url) != _host(settings.endpoints.authority):
        return None
    if is_rejection(response.status):
        return _of_error(oauth_error(response.content), response.status)
    if response.status >= HTTPStatus.BAD_REQUEST:
        return None
    elsewhere = response.status != HTTPStatus.OK or is_discovery(response.url)
    if _is_microsofts(_host(response.url)) or not (elsewhere or is_page(response.content)):
        return None
    return _no_authority(
        f"Authority/{response.status}",
        f"{_host(response.url)} does not respond as a login authority does.",
    )


def _of_error(error: str, status: int | None = None) -> Refused | None:
    """Return what an error code of OAuth means without one of Entra ID; None if it passes."""
    if error in PASSING_ERRORS or not (error or status):
        return None
    hint = hint_of(error)
    code = f"Entra/{error if error.isidentifier() else status or 'error'}"
    return Refused(code, hint.cause, hint.remedy, hint.settings, LIST_PAGE)


def _of_identity(error: BaseException) -> Refused | None:
    if not (isinstance(error, CredentialUnavailableError) or _has_no_developer(error)):
        return None
    found = _IDENTITY_STATUS.search(str(error))
    if "Token request error" in str(error) and not (found and found[1].startswith("4")):
        return None
    return Misconfigured(
        code=f"ManagedIdentity/{found[1]}" if found else "ManagedIdentity",
        meaning="The app has no managed identity of this client ID.",
        remedy="Assign the user-assigned identity to the function app, or correct its client ID. "
        "On a machine of your own, run az login.",
        settings=("AZURE_CLIENT_ID",),
        page=_IDENTITY_PAGE,
    )


def _has_no_developer(error: BaseException) -> bool:
    """Whether nobody has signed in on a machine outside of Azure."""
    return str(error).startswith("DefaultAzureCredential failed to retrieve a token")


def _of_name(error: BaseException, settings: PartnerCenterSettings) -> Refused | None:
    """Name the setting of the vault or of the authority if no such host exists."""
    text = _text(error)
    if found := _NOT_RESOLVED.search(text):
        return _of_host(found[1].lower(), "unresolved", "has no address", settings)
    if found := _NOT_ITS_CERTIFICATE.search(text):
        return _of_host(found[1].lower(), "certificate", "has no certificate of its name", settings)
    return None


def _of_host(host: str, flaw: str, said_so: str, settings: PartnerCenterSettings) -> Refused | None:
    if host == urlsplit(settings.endpoints.authority).hostname and not _is_microsofts(host):
        meaning = f"The host of the login authority {host} {said_so}."
        return _no_authority(f"Authority/{flaw}", meaning)
    if host == urlsplit(settings.key_vault_uri or "").hostname:
        return _no_vault(f"KeyVault/{flaw}", f"The vault's host {host} {said_so}.")
    return None


def _is_microsofts(host: str) -> bool:
    """Whether a login authority is one of Microsoft's, which do exist."""
    return host.lower() in {urlsplit(each.authority).netloc for each in ENDPOINTS.values()}


def _no_authority(code: str, meaning: str) -> Misconfigured:
    return Misconfigured(
        code=code,
        meaning=meaning,
        remedy="Remove the setting, or correct it.",
        settings=("PARTNER_CENTER_AUTHORITY",),
        page=LIST_PAGE,
    )


def _of_secret(error: BaseException) -> Refused | None:
    if not isinstance(error, NotASecret):
        return None
    return Refused(
        code="RefreshToken",
        meaning="The stored text cannot be a refresh token.",
        remedy="Store the token again, in one line, or sign in anew: python -m local.consent.",
        settings=("REFRESH_TOKEN_SECRET_NAME",),
        page=_VAULT_PAGE,
    )


def _secret(settings: PartnerCenterSettings) -> tuple[str, str]:
    """Return the name of the secret in the vault, and of the setting that holds it."""
    if settings.auth is Auth.CERTIFICATE:
        return str(settings.certificate_name), "PARTNER_CENTER_CERTIFICATE_NAME"
    return str(settings.refresh_token_secret_name), "REFRESH_TOKEN_SECRET_NAME"


def _response(error: BaseException) -> _Response | None:
    """Return the first response in an error or in what caused it."""
    for each in _chain(error):
        response = getattr(each, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            headers: Mapping[str, str] = getattr(response, "headers", None) or {}
            url = str(getattr(getattr(response, "request", None), "url", ""))
            wait = retry_after_seconds(headers.get("Retry-After"))
            return _Response(status, url, wait, _content(response), headers.get("WWW-Authenticate"))
    return None


def _content(response: object) -> bytes:
    """Return the body, which azure-core has in a method and requests in a property."""
    body = getattr(response, "body", None)
    content = body() if callable(body) else getattr(response, "content", b"")
    return content if isinstance(content, bytes) else b""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it: the libraries wrap each other."""
    current: BaseException | None = error
    for _ in range(_DEPTH):
        if current is None:
            return
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )


def _text(error: BaseException) -> str:
    return "\n".join(str(each) for each in _chain(error))


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()
