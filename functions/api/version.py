"""`/api/version`: which versions run."""

import azure.functions as func

from functions.api.endpoint import guarded
from functions.api.parameters import require_query
from functions.api.principal import Role
from functions.api.representations import version_members
from functions.api.responses import json_response
from shared.versions import versions

blueprint = func.Blueprint()


@blueprint.route(route="version", methods=["GET"])
@guarded(Role.READER)
def show_version(req: func.HttpRequest) -> func.HttpResponse:
    """Show the versions of tipsweep, Python and the packages."""
    require_query(req)
    return json_response(version_members(versions()))
