"""The caller as Easy Auth names him: it sets these headers and removes them from what comes in.

https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from typing import Final

import azure.functions as func

from functions.api.problems import NoPrincipal
from shared.deletion.messages import REQUESTED_BY_CHARACTERS
from shared.settings import HttpSettings, easy_auth_guards_http

PRINCIPAL_ID: Final = "X-MS-CLIENT-PRINCIPAL-ID"
PRINCIPAL_NAME: Final = "X-MS-CLIENT-PRINCIPAL-NAME"


def http_auth_level() -> func.AuthLevel:
    """Return what the host asks callers for: a function key, unless Easy Auth signs them in.

    A Logic App that signs in with its identity carries no key.
    """
    return func.AuthLevel.ANONYMOUS if easy_auth_guards_http() else func.AuthLevel.FUNCTION


def require_principal(request: func.HttpRequest, settings: HttpSettings) -> None:
    """Refuse a request that Easy Auth has not passed, where the settings ask for it.

    Raises NoPrincipal; always where Easy Auth is off, because then anybody can write the header.
    """
    if not settings.require_client_principal:
        return
    if not settings.easy_auth:
        message = "REQUIRE_CLIENT_PRINCIPAL is true, but Easy Auth is off for this app: turn it on"
        raise NoPrincipal(message)
    if not request.headers.get(PRINCIPAL_ID, "").strip():
        raise NoPrincipal(f"The request has no {PRINCIPAL_ID}: sign in with Entra ID")


def principal_name(request: func.HttpRequest) -> str:
    """Return the caller's name, one line; empty where nobody has signed in."""
    name = request.headers.get(PRINCIPAL_NAME, "").strip()
    return name[:REQUESTED_BY_CHARACTERS] if name.isprintable() else ""
