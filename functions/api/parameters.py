"""Reads what a caller sends: the tenant ID in the path, the query, a JSON object as the body."""

from collections.abc import Collection
from typing import Any, Final

import azure.functions as func

from functions.api.problems import BadRequest
from functions.api.responses import JSON
from shared.errors import shown
from shared.inputs import NotJson, is_line, parse_json, readable_json
from shared.tenants import TenantId, tenant_id

BODY_BYTES: Final = 64 * 1024
LINE_CHARACTERS: Final = 1000

Members = dict[str, Any]

# The key of the host, which it reads in any case and passes on.
_OF_THE_HOST: Final = frozenset({"code", "clientid"})


def tenant_of_path(request: func.HttpRequest) -> TenantId:
    """Return the tenant ID in the path; raises NotATenantId."""
    return tenant_id(request.route_params.get("tenantId", ""))


def json_object(request: func.HttpRequest) -> Members:
    """Return the body, a JSON object; raises BadRequest for anything else."""
    _check_content_type(request)
    body = request.get_body()
    if len(body) > BODY_BYTES:
        message = f"The body has {len(body)} bytes: expected {BODY_BYTES} at most"
        raise BadRequest(message)
    value = _json(body)
    if not isinstance(value, dict):
        message = f"Expected a JSON object, found a {type(value).__name__}"
        raise BadRequest(message)
    return value


def require_query(request: func.HttpRequest, *known: str) -> None:
    """Reject unknown query parameters, `dryRun` of a body above all; raises BadRequest."""
    for name in sorted(request.params):
        if name not in known and name.lower() not in _OF_THE_HOST:
            expected = f"only {', '.join(known)}" if known else "none"
            message = f"Unknown query parameter {shown(name)}: expected {expected}"
            raise BadRequest(message)


def require_known(members: Members, known: Collection[str]) -> None:
    """Reject unknown members, which are likely misspelt; raises BadRequest."""
    unknown = sorted(set(members) - set(known))
    if unknown:
        message = f"Unknown member {shown(unknown[0])}: expected only {', '.join(sorted(known))}"
        raise BadRequest(message)


def line_of(value: object, name: str, *, default: str = "") -> str:
    """Return one line of text, or the default if it is empty; raises BadRequest if both are."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        text = default
    if not isinstance(text, str) or not text:
        message = f"Expected text in {name}"
        raise BadRequest(message)
    if not is_line(text, LINE_CHARACTERS):
        message = f"Expected one line of at most {LINE_CHARACTERS} characters in {name}"
        raise BadRequest(message)
    return text


def _check_content_type(request: func.HttpRequest) -> None:
    content_type = request.headers.get("Content-Type", "")
    if content_type.partition(";")[0].strip().lower() != JSON:
        message = f"Content-Type is {shown(content_type)}: expected {JSON}"
        raise BadRequest(message)


def _json(body: bytes) -> object:
    try:
        return parse_json(readable_json(body.decode("utf-8-sig")))
    except (NotJson, UnicodeDecodeError) as error:
        message = f"The body is not valid JSON in UTF-8: {error}"
        raise BadRequest(message) from error
