"""`/api/sandbox` and `/api/sweeps`: show what a sweep would do, and run one."""

from typing import Final

import azure.functions as func

from functions.api.deletions import UNNAMED
from functions.api.endpoint import caller_of, guarded
from functions.api.parameters import json_object, require_known, require_query
from functions.api.principal import Role
from functions.api.problems import BadRequest
from functions.api.representations import report_members
from functions.api.responses import json_response
from shared.errors import shown
from shared.services import current_services
from shared.settings import SweepMode
from shared.sweep.run import last_report, preview_sweep, run_sweep

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
    """Run a sweep now and return its report."""
    require_query(req)
    members = json_object(req)
    require_known(members, {"mode"})
    requested_by = caller_of(req).name or UNNAMED
    report = run_sweep(current_services(), _mode(members.get("mode")), requested_by)
    return json_response(report_members(report))


def _mode(value: object) -> SweepMode:
    if value not in MODES:
        message = f"mode is {shown(str(value))}: expected {' or '.join(MODES)}"
        raise BadRequest(message)
    return SweepMode(str(value))
