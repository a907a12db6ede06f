"""The libraries that sign in: what they wait for, what they repeat, and what they say of errors."""

import functools
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msal
import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, DecodeError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    CredentialUnavailableError,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient
from msal.exceptions import MsalError

from shared.inputs import NotASecret, json_of
from shared.partner_center.deadline import limited_session
from shared.partner_center.sign_in_responses import (
    challenges_as_vault,
    is_discovery,
    is_rejection,
    leads_elsewhere,
    oauth_error,
)
from shared.partner_center.verdicts import Unusable
from shared.settings import PartnerCenterSettings

Read = TypeVar("Read")

_TIMEOUT_SECONDS: Final = 10
_ENTRA_TEXT: Final = re.compile(r'AADSTS\d+[^"]*')
# msal and the parsers of certificates raise ValueError.
SIGN_IN_ERRORS: Final = (
    AzureError,
    MsalError,
    NotASecret,
    requests.RequestException,
    Unusable,
    ValueError,
)


# What the sign-in libraries raise over JSON with members of other types than documented; also
# ValueError, which parsers of certificates raise too.
TRIPPED_OVER: Final = (AttributeError, LookupError, OverflowError, RecursionError, TypeError)


def read(call: Callable[[], Read], tripped: tuple[type[Exception], ...]) -> Read:
    """Return what a library reads; raises DecodeError for JSON that it trips over."""
    try:
        return call()
    except tripped as error:
        # Without its text, which may hold a part of a token.
        message = f"the response cannot be read ({type(error).__name__})"
        raise DecodeError(message) from None


class _StoppedEarly(ClientAuthenticationError):
    """An error whose text is its message alone; the base class appends the body."""

    def __str__(self) -> str:
        return str(self.message)


def _stop_early(response: PipelineResponse[Any, Any]) -> None:
    """Raise what asks for a wait, which azure-core would sleep through, leads elsewhere, or is odd.

    The libraries write a body that is no JSON to their log, and it may hold a token.
    """
    found = response.http_response
    if reason := leads_elsewhere(found.request.url, found.status_code, found.text):
        raise _StoppedEarly(message=reason, response=found)
    challenged = "WWW-Authenticate" in found.headers
    unreadable = not challenged and _is_unreadable(found.body())
    if unreadable or _asks_to_wait(found.status_code, found.headers):
        raise _stopped(response)


def _stopped(response: PipelineResponse[Any, Any]) -> _StoppedEarly:
    found = response.http_response
    message = _described(found.request.url, found.status_code, found.text())
    return _StoppedEarly(message=message, response=found)


def _stop_at_authority(response: PipelineResponse[Any, Any]) -> None:
    """Raise an error without a code of Entra ID too: azure-identity drops its response."""
    _stop_early(response)
    found = response.http_response
    if is_rejection(found.status_code) and not _ENTRA_TEXT.search(found.text()):
        raise _stopped(response)


def _stop_at_vault(response: PipelineResponse[Any, Any]) -> None:
    """Raise what no vault sends too: the library trips over it."""
    _stop_early(response)
    found = response.http_response
    challenge = found.headers.get("WWW-Authenticate")
    foreign = challenge is not None and not challenges_as_vault(found.request.url, challenge)
    odd = found.status_code == HTTPStatus.OK and not isinstance(json_of(found.body()), dict)
    if odd or (foreign and found.status_code == HTTPStatus.UNAUTHORIZED):
        raise _stopped(response)


def _stop_at_identity(response: PipelineResponse[Any, Any]) -> None:
    """Raise a rejection as an identity that is not there: msal trips over one without JSON."""
    found = response.http_response
    if is_rejection(found.status_code) and found.status_code != HTTPStatus.GONE:
        message = _described(found.request.url, found.status_code, found.text())
        raise CredentialUnavailableError(message=message)
    try:
        _stop_early(response)
    except _StoppedEarly as error:
        if found.status_code < HTTPStatus.BAD_REQUEST:
            # The login authority of the simulator has the same host.
            error.response = None
        raise


def _asks_to_wait(status: int, headers: Mapping[str, str]) -> bool:
    has_header = status >= HTTPStatus.BAD_REQUEST and "Retry-After" in headers
    return has_header or status == HTTPStatus.TOO_MANY_REQUESTS


def _is_unreadable(body: bytes) -> bool:
    return bool(body.strip()) and json_of(body) is None


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
}


def _options(hook: Callable[[PipelineResponse[Any, Any]], None]) -> dict[str, Any]:
    """Return the options of one client, with a transport of its own and a look at each response."""
    transport = RequestsTransport(session=limited_session())
    return {**_SHORT_RETRIES, "raw_response_hook": hook, "transport": transport}


def azure_credential(*, managed: bool, client_id: str | None) -> TokenCredential:
    """Return the app's managed identity in Azure, or the developer's sign-in elsewhere."""
    if managed:
        return ManagedIdentityCredential(client_id=client_id, **_options(_stop_at_identity))
    return DefaultAzureCredential()


def own_identity(settings: PartnerCenterSettings) -> TokenCredential:
    """Return the identity that the settings name, in Azure and elsewhere."""
    return azure_credential(
        managed=settings.managed_identity, client_id=settings.managed_identity_client_id
    )


def key_vault(settings: PartnerCenterSettings) -> SecretClient:
    """Return a client of the vault that the settings name."""
    options = _options(_stop_at_vault)
    return SecretClient(str(settings.key_vault_uri), own_identity(settings), **options)


def authority(settings: PartnerCenterSettings) -> dict[str, Any]:
    """Return the options of azure-identity that name the login authority."""
    return {
        "authority": settings.endpoints.authority,
        # Discovery would ask the public cloud about an authority that the settings name on purpose.
        "disable_instance_discovery": True,
        **_options(_stop_at_authority),
    }


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
    session = limited_session(retries=1)
    session.request = functools.partial(session.request, timeout=_TIMEOUT_SECONDS)  # type: ignore[method-assign] # as msal does
    session.hooks["response"].append(_raise_outage)
    return session


def _raise_outage(response: requests.Response, *_: object, **__: object) -> None:
    status = response.status_code
    if reason := leads_elsewhere(response.url, status, lambda: response.text):
        response.close()
        raise requests.HTTPError(reason, response=response)
    unavailable = status >= HTTPStatus.INTERNAL_SERVER_ERROR or _is_unreadable(response.content)
    if unavailable or _says_nothing(response) or _asks_to_wait(status, response.headers):
        message = _described(response.url, status, response.text)
        raise requests.HTTPError(message, response=response)


def _says_nothing(response: requests.Response) -> bool:
    """Whether msal would drop what a rejection says, or trip over it."""
    if not is_rejection(response.status_code) or _ENTRA_TEXT.search(response.text):
        return False
    return is_discovery(response.url) or not oauth_error(response.content)
