"""Absolute addresses for `Location` and links, which Logic Apps does not take otherwise."""

from typing import Final
from urllib.parse import urlencode, urlsplit

import azure.functions as func

from shared.services import current_services
from shared.tenants import TenantId

_DELETIONS: Final = "/api/deletions"


def server_address(request: func.HttpRequest) -> str:
    """Return scheme and host of the app as its callers see it."""
    called = urlsplit(request.url)
    return current_services().settings.http.public_base_url or f"{called.scheme}://{called.netloc}"


def deletion_address(request: func.HttpRequest, tenant: TenantId) -> str:
    """Return the address at which a deletion is looked up, without any key."""
    return f"{server_address(request)}{_DELETIONS}/{tenant}"


def page_address(request: func.HttpRequest, **query: str) -> str:
    """Return the address of a page of deletions; empty values are left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{server_address(request)}{_DELETIONS}?{urlencode(given)}"
