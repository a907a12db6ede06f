"""Responses in JSON, and what all responses have in common."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit

import azure.functions as func

from functions.api.problems import Problem
from shared.inputs import readable
from shared.settings import HttpSettings
from shared.tenants import TenantId

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
_DELETIONS: Final = "/api/deletions"

# A cached page would show an old state, and a referrer would give away an address with a key in it.
COMMON_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def json_response(
    value: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    *,
    mimetype: str = JSON,
) -> func.HttpResponse:
    """Respond with a JSON value."""
    return func.HttpResponse(
        # Whatever is stored, one odd text must not keep the rest from its reader.
        readable(json.dumps(value, ensure_ascii=False, separators=(",", ":"))),
        status_code=status,
        headers={**COMMON_HEADERS, **(headers or {})},
        mimetype=mimetype,
    )


def problem_response(problem: Problem) -> func.HttpResponse:
    """Respond with a problem document; Retry-After says when to try again."""
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    return json_response(problem.document(), problem.type.status, headers, mimetype=PROBLEM_JSON)


def server_address(request: func.HttpRequest, settings: HttpSettings) -> str:
    """Return scheme and host of the app as its callers see it."""
    called = urlsplit(request.url)
    return settings.public_base_url or f"{called.scheme}://{called.netloc}"


def deletion_address(server: str, tenant: TenantId) -> str:
    """Return the address of a deletion: absolute, as Logic Apps needs it, and without a key."""
    return f"{server}{_DELETIONS}/{tenant}"


def sweep_address(server: str, sweep_id: str) -> str:
    """Return the address of a sweep."""
    return f"{server}/api/sweeps/{sweep_id}"


def history_address(server: str, tenant: TenantId | None, after: str) -> str:
    """Return the address of a page of the history: a customer's, or that of the account."""
    path = "/api/history" if tenant is None else f"{_DELETIONS}/{tenant}/history"
    return f"{server}{path}?{urlencode({'continuationToken': after})}"


def page_address(server: str, **query: str) -> str:
    """Return the address of a page of deletions; empty values are left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{server}{_DELETIONS}?{urlencode(given)}"
