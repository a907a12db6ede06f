"""Responses that would lead a library of the sign-in, and the credentials with it, elsewhere."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from shared.errors import shown
from shared.inputs import json_of

_DISCOVERY: Final = "/.well-known/openid-configuration"
# One service under two names, in the cloud that 21Vianet operates.
_SAME_HOSTS: Final = {"login.partner.microsoftonline.cn": "login.chinacloudapi.cn"}


def leads_elsewhere(url: str, status: int, read: Callable[[], str]) -> str:
    """Return why a response would send credentials somewhere else, "" if it would not.

    `read` returns its text, and is called for a discovery document only.
    """
    host = urlsplit(url).netloc
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"{host} responded with {status}: a redirection is not followed"
    if status != HTTPStatus.OK or not urlsplit(url).path.endswith(_DISCOVERY):
        return ""
    document = json_of(read().encode())
    endpoint = document.get("token_endpoint") if isinstance(document, dict) else None
    if not isinstance(endpoint, str):
        return f"{host} names no token_endpoint: expected one on {host}"
    if _origin(endpoint) != _origin(url):
        return f"{host} names the token_endpoint {shown(endpoint)}: expected one on {host}"
    return ""


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return what makes two URLs go to the same place, None for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return None
    host = parts.hostname or ""
    return parts.scheme, _SAME_HOSTS.get(host, host), port
