"""`/api/openapi.json`: the description of the HTTP functions."""

import azure.functions as func

from functions.api.endpoint import guarded
from functions.api.openapi_document import document
from functions.api.principal import Role
from functions.api.responses import json_response, server_address
from shared.services import built_services

blueprint = func.Blueprint()


@blueprint.route(route="openapi.json", methods=["GET"])
@guarded(Role.READER)
def show_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the HTTP functions."""
    return json_response(document(server_address(req, built_services().settings.http)))
