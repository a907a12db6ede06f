"""`/api/history` and `/api/deletions/{tenantId}/history`: everything done, newest first."""

import re
from collections.abc import Sequence
from typing import Final

import azure.functions as func

from functions.api.endpoint import guarded
from functions.api.parameters import require_query, tenant_of_path
from functions.api.principal import Role
from functions.api.problems import BadRequest
from functions.api.representations import history_members
from functions.api.responses import history_address, json_response, server_address
from shared.services import current_services
from shared.storage.history import HistoryEntry
from shared.tenants import TenantId

PAGE_ENTRIES: Final = 100
KEY_PATTERN: Final = "^[0-9a-f-]{1,100}$"

blueprint = func.Blueprint()


@blueprint.route(route="history", methods=["GET"])
@guarded(Role.READER)
def show_account_history(req: func.HttpRequest) -> func.HttpResponse:
    """Return a page of trips, resets and sweeps."""
    require_query(req, "continuationToken")
    found = current_services().history.account_page(_token(req), PAGE_ENTRIES + 1)
    return _page(req, None, found)


@blueprint.route(route="deletions/{tenantId}/history", methods=["GET"])
@guarded(Role.READER)
def show_history(req: func.HttpRequest) -> func.HttpResponse:
    """Return a page of everything done about a customer, in all its deletions."""
    require_query(req, "continuationToken")
    tenant = tenant_of_path(req)
    found = current_services().history.page(tenant, _token(req), PAGE_ENTRIES + 1)
    return _page(req, tenant, found)


def _page(
    req: func.HttpRequest, tenant: TenantId | None, found: Sequence[HistoryEntry]
) -> func.HttpResponse:
    items, more = found[:PAGE_ENTRIES], len(found) > PAGE_ENTRIES
    server = server_address(req, current_services().settings.http)
    following = history_address(server, tenant, items[-1].key) if more else None
    members = [history_members(entry) for entry in items]
    return json_response({"items": members, "links": {"next": following}})


def _token(req: func.HttpRequest) -> str:
    """Return the key that the page starts after, which our own links contain."""
    text: str = req.params.get("continuationToken", "")
    if text and not re.fullmatch(KEY_PATTERN, text, re.ASCII):
        message = "continuationToken: expected the value in links.next of the page before"
        raise BadRequest(message)
    return text
