"""`/api/switch`: show, trip and reset the safety switch."""

from collections.abc import Callable
from typing import Final

import azure.functions as func

from functions.api.endpoint import caller_of, guarded
from functions.api.parameters import json_object, line_of, require_known, require_query
from functions.api.principal import Role, named
from functions.api.representations import switch_members
from functions.api.responses import json_response
from shared.safety.switch import SwitchState
from shared.services import built_services, current_services

_MEMBERS: Final = frozenset({"requestedBy", "reason"})
_WEAK: Final = "W/"
_UNUSED: Final = '"unused"'

blueprint = func.Blueprint()


@blueprint.route(route="switch", methods=["GET"])
@guarded(Role.READER)
def show_switch(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
    """Show whether everything is stopped, by whom and why."""
    return _response(current_services().switch.read())


@blueprint.route(route="switch", methods=["PUT"])
@guarded(Role.OPERATOR)
def trip_switch(req: func.HttpRequest) -> func.HttpResponse:
    """Stop everything."""
    require_query(req)
    members = json_object(req)
    require_known(members, _MEMBERS)
    requested_by = _requested_by(members.get("requestedBy"), req)
    reason = line_of(members.get("reason"), "reason")
    # Nothing may keep a process from stopping.
    return _response(built_services().switch.trip(requested_by, reason))


@blueprint.route(route="switch", methods=["DELETE"])
@guarded(Role.OPERATOR)
def reset_switch(req: func.HttpRequest) -> func.HttpResponse:
    """Let everything resume, if the switch is as If-Match says, or as it is read here.

    Who and why are in the query, because a DELETE has no body.
    """
    require_query(req, "requestedBy", "reason")
    requested_by = _requested_by(req.params.get("requestedBy"), req)
    reason = line_of(req.params.get("reason"), "reason")
    return _response(current_services().switch.reset(requested_by, reason, _expected(req)))


def _requested_by(value: object, req: func.HttpRequest) -> str:
    caller = caller_of(req)
    return named(line_of(value, "requestedBy", default=caller.name), caller)


def _expected(req: func.HttpRequest) -> Callable[[SwitchState], bool]:
    """Return whether a state is one that If-Match names; any state is, without the header."""
    header = req.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return lambda _: True
    # A proxy that compresses a response marks its ETag as weak, and the state is still the same.
    named = {tag.strip().removeprefix(_WEAK) for tag in header.split(",")}
    return lambda state: _entity_tag(state) in named


def _entity_tag(state: SwitchState) -> str:
    """Return the ETag of the row as a strong one, which If-Match requires (RFC 9110, 13.1.1)."""
    return state.etag.removeprefix(_WEAK) or _UNUSED


def _response(state: SwitchState) -> func.HttpResponse:
    return json_response(switch_members(state), headers={"ETag": _entity_tag(state)})
