"""`/api/health`: shows that the process is up; needs no key, setting or network."""

import azure.functions as func

from functions.api.responses import json_response

blueprint = func.Blueprint()


@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def show_health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Say that the app is loaded."""
    return json_response({"status": "ok"})
