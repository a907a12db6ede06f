"""The caller as Easy Auth identifies it, with headers that it sets and strips from requests.

https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import azure.functions as func

from functions.api.problems import NoPrincipal, NoRole
from shared.deletion.messages import REQUESTED_BY_CHARACTERS
from shared.inputs import is_line
from shared.settings import HttpSettings, easy_auth_guards_http

PRINCIPAL: Final = "X-MS-CLIENT-PRINCIPAL"
PRINCIPAL_ID: Final = "X-MS-CLIENT-PRINCIPAL-ID"
PRINCIPAL_NAME: Final = "X-MS-CLIENT-PRINCIPAL-NAME"
SIGN_IN_PATH: Final = "/.auth/login/aad"

# Easy Auth passes the claim under its own name or under the one that .NET gives to roles.
_ROLE_CLAIMS: Final = frozenset(
    {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
)


class Role(IntEnum):
    """What a caller may do; each role may do what those below it may."""

    READER = 1
    OPERATOR = 2

    @property
    def value_in_entra(self) -> str:
        """The value of the app role in Entra ID."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, "" if nobody signs callers in, and in which role."""

    name: str
    role: Role


def http_auth_level() -> func.AuthLevel:
    """Return what the host requires of callers: a function key, unless Easy Auth signs them in.

    A Logic App that signs in with its managed identity has no key.
    """
    return func.AuthLevel.ANONYMOUS if easy_auth_guards_http() else func.AuthLevel.FUNCTION


def caller_in(request: func.HttpRequest, settings: HttpSettings, needed: Role) -> Caller:
    """Return the caller, who must have a role; raises NoPrincipal or NoRole.

    Without Easy Auth every key holder is an operator without a name, because anybody could set
    the headers; if the settings require Easy Auth, nobody gets in then.
    """
    if not settings.require_client_principal:
        return Caller("", Role.OPERATOR)
    if not settings.easy_auth:
        message = "REQUIRE_CLIENT_PRINCIPAL is true, but Easy Auth is off for this app: turn it on"
        raise NoPrincipal(message)
    principal_id = request.headers.get(PRINCIPAL_ID, "").strip()
    if not principal_id:
        message = (
            f"The request has no {PRINCIPAL_ID}: sign in with Entra ID; a person opens "
            f"{SIGN_IN_PATH} of this app in a browser"
        )
        raise NoPrincipal(message)
    name = _name(request) or _line(principal_id) or "a signed-in caller"
    return Caller(name, _role(request, name, needed))


def named(given: str, caller: Caller) -> str:
    """Return who asks: what the caller says, and who Easy Auth says that it is."""
    if not given or not caller.name or given == caller.name:
        return given or caller.name
    return f"{given}, signed in as {caller.name}"


def _role(request: func.HttpRequest, name: str, needed: Role) -> Role:
    given = _roles(request.headers.get(PRINCIPAL, ""))
    role = max((each for each in Role if each.value_in_entra in given), default=None)
    if role is None or role < needed:
        found = "no role" if role is None else f"only the role {role.value_in_entra}"
        message = (
            f"{name} has {found} of tipsweep, and this call needs {needed.value_in_entra}: an "
            f"administrator assigns the app role {needed.value_in_entra} in Entra ID, under the "
            "enterprise application of this app, and the caller signs in again"
        )
        raise NoRole(message)
    return role


def _roles(header: str) -> frozenset[str]:
    """Return the values of the role claims that can be read."""
    try:
        claims = list(json.loads(base64.b64decode(header))["claims"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return frozenset()
    return frozenset(value for each in claims for value in _roles_in(each))


def _roles_in(claim: object) -> Iterator[str]:
    """Yield the role that a claim gives; none for one that is about something else, or broken."""
    if isinstance(claim, dict) and str(claim.get("typ")) in _ROLE_CLAIMS:
        role = claim.get("val")
        if isinstance(role, str):
            yield role


def _name(request: func.HttpRequest) -> str:
    return _line(request.headers.get(PRINCIPAL_NAME, "").strip())


def _line(text: str) -> str:
    """Return text as one line of limited length; empty if it is none."""
    text = text[:REQUESTED_BY_CHARACTERS]
    return text if is_line(text, REQUESTED_BY_CHARACTERS) else ""
