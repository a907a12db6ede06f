"""The caller as identified by Easy Auth, which sets these headers and strips them from requests.

https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from typing import Final

import azure.functions as func

from functions.api.problems import NoPrincipal
from shared.deletion.messages import REQUESTED_BY_CHARACTERS
from shared.inputs import is_line
from shared.settings import HttpSettings, easy_auth_guards_http

PRINCIPAL_ID: Final = "X-MS-CLIENT-PRINCIPAL-ID"
PRINCIPAL_NAME: Final = "X-MS-CLIENT-PRINCIPAL-NAME"


def http_auth_level() -> func.AuthLevel:
    """Return what the host requires of callers: a function key, unless Easy Auth signs them in.

    A Logic App that signs in with its managed identity has no key.
    """
    return func.AuthLevel.ANONYMOUS if easy_auth_guards_http() else func.AuthLevel.FUNCTION


def require_principal(request: func.HttpRequest, settings: HttpSettings) -> None:
    """Require a caller whom Easy Auth has signed in, if the settings ask for that.

    Raises NoPrincipal; always while Easy Auth is off, because then anybody can set the header.
    """
    if not settings.require_client_principal:
        return
    if not settings.easy_auth:
        message = "REQUIRE_CLIENT_PRINCIPAL is true, but Easy Auth is off for this app: turn it on"
        raise NoPrincipal(message)
    if not request.headers.get(PRINCIPAL_ID, "").strip():
        raise NoPrincipal(f"The request has no {PRINCIPAL_ID}: sign in with Entra ID")


def principal_name(request: func.HttpRequest) -> str:
    """Return the caller's name as one line; empty if nobody is signed in."""
    name = request.headers.get(PRINCIPAL_NAME, "").strip()
    name = name[:REQUESTED_BY_CHARACTERS]
    return name if is_line(name, REQUESTED_BY_CHARACTERS) else ""
