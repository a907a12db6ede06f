"""Responses to a sign-in that lead it elsewhere, or that come from the wrong kind of service."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from shared.errors import shown
from shared.inputs import json_of

_DISCOVERY: Final = "/.well-known/openid-configuration"
_PASSING: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_RESOURCE: Final = re.compile(r'(?:resource|scope)="?([^",\s]+)')
# One service under two names, in the cloud that 21Vianet operates.
_SAME_HOSTS: Final = {"login.partner.microsoftonline.cn": "login.chinacloudapi.cn"}


def leads_elsewhere(url: str, status: int, read: Callable[[], str]) -> str:
    """Return why a response would send credentials somewhere else, "" if it would not.

    `read` returns its text, and is called for a discovery document only.
    """
    host = urlsplit(url).netloc
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"{host} responded with {status}: a redirection is not followed"
    if status != HTTPStatus.OK or not is_discovery(url):
        return ""
    document = json_of(read().encode())
    endpoint = document.get("token_endpoint") if isinstance(document, dict) else None
    if not isinstance(endpoint, str):
        return f"{host} names no token_endpoint: expected one on {host}"
    if _origin(endpoint) != _origin(url):
        return f"{host} names the token_endpoint {shown(endpoint)}: expected one on {host}"
    return ""


def is_rejection(status: int) -> bool:
    """Whether a status says that the same request will be rejected again."""
    rejected = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return rejected and status not in _PASSING


def is_discovery(url: str) -> bool:
    """Whether a URL is that of the authority's discovery document."""
    return urlsplit(url).path.endswith(_DISCOVERY)


def is_page(content: bytes) -> bool:
    """Whether a body is one for browsers, in HTML or XML."""
    return content.lstrip(b"\xef\xbb\xbf\t\r\n ").startswith(b"<")


def oauth_error(content: bytes) -> str:
    """Return the error code of OAuth in a body, "" if it has none."""
    body = json_of(content)
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, str) else ""


def challenges_as_vault(url: str, challenge: str) -> bool:
    """Whether a challenge names an authority, and a resource that the host belongs to, if any."""
    if "authorization" not in challenge:
        return False
    found = _RESOURCE.search(challenge)
    try:
        resource = urlsplit(found[1]).hostname if found else None
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return found is None or (resource is not None and host.endswith(f".{resource}"))


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return what makes two URLs go to the same place, None for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return None
    host = parts.hostname or ""
    return parts.scheme, _SAME_HOSTS.get(host, host), port
