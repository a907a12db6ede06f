"""`/api/deletions`: request a deletion, show one, list them, abort one, dismiss one."""

import math
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import Final

import azure.functions as func

from functions.api.endpoint import caller_of, guarded
from functions.api.parameters import json_object, line_of, require_query, tenant_of_path
from functions.api.principal import Role, named
from functions.api.problems import ABORTED, REFUSED, STUCK, BadRequest, Problem
from functions.api.representations import dry_run_members, record_members
from functions.api.responses import (
    deletion_address,
    json_response,
    page_address,
    problem_response,
    server_address,
)
from shared.deletion.dry_run import dry_run_now
from shared.deletion.messages import request_from_json
from shared.deletion.submission import NoDeletion, abort, dismiss, submit
from shared.errors import shown
from shared.services import Services, current_services
from shared.settings import CheckSettings
from shared.storage.records import DeletionRecord, State, UnreadableRow
from shared.tenants import tenant_id

PAGE_RECORDS: Final = 50
UNNAMED: Final = "an unnamed caller"

_ENDS: Final = {State.STUCK: STUCK, State.ABORTED: ABORTED, State.REFUSED: REFUSED}

blueprint = func.Blueprint()


@blueprint.route(route="deletions", methods=["POST"])
@guarded(Role.OPERATOR)
def request_deletion(req: func.HttpRequest) -> func.HttpResponse:
    """Start a deletion, or return the one in progress; a dry run returns the plan."""
    require_query(req)
    services = current_services()
    request = request_from_json(json_object(req))
    request = replace(request, requested_by=named(request.requested_by, caller_of(req)))
    if request.dry_run:
        return json_response(dry_run_members(dry_run_now(services, request)))
    return _record_response(req, services, submit(services, request))


@blueprint.route(route="deletions/{tenantId}", methods=["GET"])
@guarded(Role.READER)
def show_deletion(req: func.HttpRequest) -> func.HttpResponse:
    """Respond 202 while a deletion is in progress, then with its outcome."""
    require_query(req)
    services = current_services()
    tenant = tenant_of_path(req)
    record = services.records.get(tenant)
    if record is None:
        raise NoDeletion(tenant)
    return _record_response(req, services, record)


@blueprint.route(route="deletions", methods=["GET"])
@guarded(Role.READER)
def list_deletions(req: func.HttpRequest) -> func.HttpResponse:
    """Return a page of records, ordered by tenant ID; those that cannot be read come apart."""
    require_query(req, "state", "continuationToken")
    services = current_services()
    state, token = _state(req), _token(req)
    found = list(islice(services.records.rows(token, state), PAGE_RECORDS + 1))
    rows, more = found[:PAGE_RECORDS], len(found) > PAGE_RECORDS
    server = server_address(req, services.settings.http)
    following = (
        page_address(server, state=state or "", continuationToken=rows[-1].tenant) if more else None
    )
    now = services.now()
    return json_response(
        {
            "items": [record_members(row, now) for row in rows if isinstance(row, DeletionRecord)],
            "unreadable": [
                {"tenantId": row.tenant, "reason": row.reason}
                for row in rows
                if isinstance(row, UnreadableRow)
            ],
            "links": {"next": following},
        }
    )


@blueprint.route(route="deletions/{tenantId}", methods=["DELETE"])
@guarded(Role.OPERATOR)
def abort_deletion(req: func.HttpRequest) -> func.HttpResponse:
    """Stop a deletion that has not sent its DELETE."""
    require_query(req, "requestedBy")
    services = current_services()
    tenant = tenant_of_path(req)
    record = abort(services, tenant, requested_by(req))
    return json_response(record_members(record, services.now()))


@blueprint.route(route="deletions/{tenantId}/dismiss", methods=["POST"])
@guarded(Role.OPERATOR)
def dismiss_deletion(req: func.HttpRequest) -> func.HttpResponse:
    """Note that a person has dealt with a stuck or refused deletion."""
    require_query(req, "requestedBy")
    services = current_services()
    tenant = tenant_of_path(req)
    record = dismiss(services, tenant, requested_by(req))
    return json_response(record_members(record, services.now()))


def requested_by(req: func.HttpRequest) -> str:
    """Return who asks: `requestedBy` in the query, the signed-in caller; raises BadRequest."""
    caller = caller_of(req)
    given = line_of(req.params.get("requestedBy"), "requestedBy", default=caller.name or UNNAMED)
    return named(given, caller)


def _record_response(
    req: func.HttpRequest, services: Services, record: DeletionRecord
) -> func.HttpResponse:
    now = services.now()
    members = record_members(record, now)
    if record.live:
        server = server_address(req, services.settings.http)
        seconds = _seconds_to_next_check(record, services.settings.checks, now)
        headers = {
            "Location": deletion_address(server, record.tenant),
            "Retry-After": str(seconds),
        }
        return json_response(members, HTTPStatus.ACCEPTED, headers)
    if record.state is State.DELETED:
        return json_response(members)
    return problem_response(Problem(_ENDS[record.state], record.reason, members=members))


def _seconds_to_next_check(record: DeletionRecord, checks: CheckSettings, now: datetime) -> int:
    """Return the seconds until the next check, and at least the first delay between checks."""
    least = max(1, math.ceil(checks.first_delay.total_seconds()))
    if record.next_check_at is None:
        return least
    return max(least, math.ceil((record.next_check_at - now).total_seconds()))


def _state(req: func.HttpRequest) -> State | None:
    text = req.params.get("state")
    if text is None:
        return None
    try:
        return State(text)
    except ValueError as error:
        message = f"state is {shown(text)}: expected one of {', '.join(State)}"
        raise BadRequest(message) from error


def _token(req: func.HttpRequest) -> str:
    """Return the tenant ID that the page starts after, which our own links contain."""
    text = req.params.get("continuationToken")
    return "" if text is None else tenant_id(text)
