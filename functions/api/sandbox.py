"""`/api/sandbox` and `/api/sweeps`: show what a sweep would do, and run one."""

import math
from http import HTTPStatus
from typing import Final

import azure.functions as func

from functions.api.deletions import UNNAMED
from functions.api.endpoint import caller_of, guarded
from functions.api.parameters import json_object, require_known, require_query
from functions.api.principal import Role
from functions.api.problems import REFUSED, SWEEP_FAILED, BadRequest, Problem
from functions.api.representations import report_members, sweep_members
from functions.api.responses import (
    json_response,
    problem_response,
    server_address,
    sweep_address,
)
from shared.errors import shown
from shared.services import Services, current_services
from shared.settings import SweepMode
from shared.storage.sweeps import SweepRun, SweepState
from shared.sweep.requested import find_sweep, request_sweep
from shared.sweep.run import last_report, preview_sweep

_LEAST_RETRY_SECONDS: Final = 5
MODES: Final = (SweepMode.REPORT, SweepMode.DELETE)

blueprint = func.Blueprint()


@blueprint.route(route="sandbox", methods=["GET"])
@guarded(Role.READER)
def show_sandbox(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Show the slots used, the verdict on every customer, and the report of the last sweep."""
    services = current_services()
    members = report_members(preview_sweep(services))
    last = last_report(services.reports)
    return json_response({**members, "lastSweep": last and report_members(last)})


@blueprint.route(route="sweeps", methods=["POST"])
@guarded(Role.OPERATOR)
def start_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Start a sweep, or return the one of this mode that has not ended."""
    require_query(req)
    members = json_object(req)
    require_known(members, {"mode"})
    requested_by = caller_of(req).name or UNNAMED
    services = current_services()
    run = request_sweep(services, _mode(members.get("mode")), requested_by)
    return _sweep_response(req, services, run)


@blueprint.route(route="sweeps/{sweepId}", methods=["GET"])
@guarded(Role.READER)
def show_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Respond 202 while a sweep has not ended, then with its report, or why there is none."""
    require_query(req)
    services = current_services()
    run = find_sweep(services, req.route_params.get("sweepId", "").lower())
    return _sweep_response(req, services, run)


def _sweep_response(req: func.HttpRequest, services: Services, run: SweepRun) -> func.HttpResponse:
    members = sweep_members(run)
    if run.live:
        server = server_address(req, services.settings.http)
        seconds = math.ceil((run.next_try_at - services.now()).total_seconds())
        headers = {
            "Location": sweep_address(server, run.id),
            "Retry-After": str(max(_LEAST_RETRY_SECONDS, seconds)),
        }
        return json_response(members, HTTPStatus.ACCEPTED, headers)
    if run.state is SweepState.FINISHED:
        return json_response(members)
    kind = REFUSED if run.state is SweepState.REFUSED else SWEEP_FAILED
    return problem_response(Problem(kind, run.reason, members=members))


def _mode(value: object) -> SweepMode:
    if value not in MODES:
        message = f"mode is {shown(str(value))}: expected {' or '.join(MODES)}"
        raise BadRequest(message)
    return SweepMode(str(value))
