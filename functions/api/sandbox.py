"""`/api/sandbox` and `/api/sweeps`: what a sweep would do with each customer, and a sweep now."""

from typing import Any, Final

import azure.functions as func

from functions.api.endpoint import guarded
from functions.api.parameters import json_object, require_known
from functions.api.problems import BadRequest
from functions.api.representations import timestamp
from functions.api.responses import json_response
from shared.limits import SANDBOX_CUSTOMERS
from shared.services import current_services
from shared.settings import SweepMode
from shared.sweep.report import candidate_members
from shared.sweep.run import (
    SweepReport,
    last_report,
    run_sweep,
    survey_sandbox,
)
from shared.tenants import shown

MODES: Final = (SweepMode.REPORT, SweepMode.DELETE)

blueprint = func.Blueprint()


@blueprint.route(route="sandbox", methods=["GET"])
@guarded
def show_sandbox(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Tell the slots used and the verdict on every customer, and what the last sweep said."""
    services = current_services()
    members = report_members(survey_sandbox(services))
    last = last_report(services)
    return json_response({**members, "lastSweep": last and report_members(last)})


@blueprint.route(route="sweeps", methods=["POST"])
@guarded
def start_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Run a sweep now and return its report."""
    members = json_object(req)
    require_known(members, {"mode"})
    return json_response(report_members(run_sweep(current_services(), _mode(members.get("mode")))))


def report_members(report: SweepReport) -> dict[str, Any]:
    """Return a report as JSON."""
    return {
        "at": timestamp(report.at),
        "mode": report.mode,
        "slots": {
            "total": SANDBOX_CUSTOMERS,
            "used": report.customers,
            "free": report.free_slots,
        },
        "customers": [candidate_members(candidate) for candidate in report.candidates],
    }


def _mode(value: object) -> SweepMode:
    if value not in MODES:
        message = f"mode is {shown(str(value))}: expected {' or '.join(MODES)}"
        raise BadRequest(message)
    return SweepMode(str(value))
