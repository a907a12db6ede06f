"""The caller as Easy Auth names him: it sets these headers and removes them from what comes in.

https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from typing import Final

import azure.functions as func

from functions.api.problems import NoPrincipal
from shared.deletion.messages import REQUESTED_BY_CHARACTERS
from shared.settings import HttpSettings

PRINCIPAL_ID: Final = "X-MS-CLIENT-PRINCIPAL-ID"
PRINCIPAL_NAME: Final = "X-MS-CLIENT-PRINCIPAL-NAME"


def require_principal(request: func.HttpRequest, settings: HttpSettings) -> None:
    """Refuse a request that Easy Auth has not passed, where the settings ask for it.

    Raises NoPrincipal.
    """
    if settings.require_client_principal and not request.headers.get(PRINCIPAL_ID, "").strip():
        message = (
            f"The request has no {PRINCIPAL_ID}: sign in with Entra ID, and check that Easy Auth "
            "is on for this app"
        )
        raise NoPrincipal(message)


def principal_name(request: func.HttpRequest) -> str:
    """Return the caller's name, one line; empty where nobody has signed in."""
    name = request.headers.get(PRINCIPAL_NAME, "").strip()
    return name[:REQUESTED_BY_CHARACTERS] if name.isprintable() else ""
