"""`/api/requests`: what became of requests that started no deletion."""

from typing import Final

import azure.functions as func

from functions.api.deletions import requested_by
from functions.api.endpoint import guarded
from functions.api.parameters import require_query, tenant_of_path
from functions.api.principal import Role
from functions.api.problems import NoPlan, NoRejectedRequest
from functions.api.representations import plan_members, rejected_members
from functions.api.responses import json_response
from shared.deletion.dry_run_result import DryRunResult
from shared.deletion.submission import dismiss_rejected
from shared.errors import shown
from shared.services import current_services

SHOWN_REQUESTS: Final = 100

blueprint = func.Blueprint()


@blueprint.route(route="requests/rejected", methods=["GET"])
@guarded(Role.OPERATOR)
def list_rejected_requests(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Return the latest requests that were not handled, and how many there are."""
    found = current_services().rejected.all()
    items = [rejected_members(each) for each in found[:SHOWN_REQUESTS]]
    return json_response({"items": items, "total": len(found)})


@blueprint.route(route="requests/rejected/{requestId}", methods=["DELETE"])
@guarded(Role.OPERATOR)
def dismiss_rejected_request(req: func.HttpRequest) -> func.HttpResponse:
    """Take a rejected request that a person has dealt with off the list, and return it."""
    require_query(req, "requestedBy")
    by = requested_by(req)
    request_id = req.route_params.get("requestId", "")
    dismissed = dismiss_rejected(current_services(), request_id, by)
    if dismissed is None:
        message = f"The list of rejected requests has no ID {shown(request_id)}."
        raise NoRejectedRequest(message)
    return json_response(rejected_members(dismissed))


@blueprint.route(route="deletions/{tenantId}/plan", methods=["GET"])
@guarded(Role.READER)
def show_plan(req: func.HttpRequest) -> func.HttpResponse:
    """Return the result of the last dry run over the queue for a customer."""
    require_query(req)
    tenant = tenant_of_path(req)
    result = current_services().plans.last(tenant, DryRunResult.from_json)
    if result is None:
        message = (
            f"Customer {tenant} has no plan. Drop "
            f'{{"tenantId": "{tenant}", "dryRun": true}} on the queue to have one made.'
        )
        raise NoPlan(message)
    return json_response(plan_members(result))
