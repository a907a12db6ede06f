"""`/api/health`: the process answers; it needs no key, no setting and no network."""

import azure.functions as func

from functions.api.responses import json_response

blueprint = func.Blueprint()


@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def show_health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Answer that the app is loaded."""
    return json_response({"status": "ok"})
