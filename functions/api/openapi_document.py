"""The description of the HTTP functions, in OpenAPI 2.0.

Custom connectors and the HTTP + Swagger action of Logic Apps take no other version.
https://learn.microsoft.com/connectors/custom-connectors/openapi-extensions
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from functions.api.history import KEY_PATTERN
from functions.api.openapi_schemas import (
    ADVANCED,
    IMPORTANT,
    INTERNAL,
    LINE,
    SCHEMAS,
    SUMMARY,
    TENANT_ID,
    TEXT,
    VISIBILITY,
    Schema,
    one_of,
    reference,
    title,
)
from shared.storage.records import State

_SECONDS: Final[Schema] = {"type": "integer", "minimum": 1}
_ID: Final[Schema] = {"type": "string", "minLength": 1}
# OpenAPI 2.0 has no word for a header that always comes.
_REQUIRED: Final = "x-required"
_JSON: Final = "application/json"
_PROBLEM_JSON: Final = "application/problem+json"
_HTML: Final = "text/html"
_TROUBLE: Final = "Storage, Partner Center or the settings cannot be used at the moment"
_RUNNING: Final = "The deletion is in progress: poll Location after Retry-After seconds."
_SWEEPING: Final = "The sweep has not ended: poll Location after Retry-After seconds."


def document(server: str) -> dict[str, Any]:
    """Return the description of the app at this address."""
    address = urlsplit(server)
    return {
        "swagger": "2.0",
        "info": {
            "title": "tipsweep",
            "version": "1",
            "description": "Deletes customers of the Partner Center integration sandbox.",
        },
        "host": address.netloc,
        "basePath": "/",
        "schemes": [address.scheme],
        "consumes": [_JSON],
        "produces": [_JSON, _PROBLEM_JSON],
        "security": [{"header": []}, {"query": []}],
        "securityDefinitions": {
            "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            "query": {"type": "apiKey", "in": "query", "name": "code"},
        },
        "paths": _PATHS,
        "definitions": SCHEMAS,
    }


def _operation(
    operation_id: str,
    summary: str,
    responses: Mapping[int, Schema],
    *parameters: Schema,
    body: str | None = None,
    visibility: str = ADVANCED,
) -> Schema:
    """Return an operation; any of them may lack a caller, a role, a setting or its storage."""
    common = {
        401: _problem("No function key, or no signed-in caller where one is required"),
        403: _problem("The signed-in caller lacks the role that the call needs"),
        503: _later(_TROUBLE),
    }
    all_responses = dict(sorted({**common, **responses}.items()))
    operation: Schema = {
        "operationId": operation_id,
        "summary": summary,
        "description": summary,
        VISIBILITY: visibility,
        "responses": {str(status): response for status, response in all_responses.items()},
    }
    if parameters or body:
        operation["parameters"] = [*parameters, *([_body(body)] if body else [])]
    return operation


def _parameter(
    place: str, name: str, description: str, schema: Schema, *, required: bool = False
) -> Schema:
    """Return a parameter, which has no example in OpenAPI 2.0."""
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        SUMMARY: title(name),
        VISIBILITY: IMPORTANT if required else ADVANCED,
        **{key: value for key, value in schema.items() if key != "example"},
    }


def _path(name: str, description: str, schema: Schema) -> Schema:
    return _parameter("path", name, description, schema, required=True)


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return _parameter("query", name, description, schema, required=required)


def _body(schema: str) -> Schema:
    return {"name": "body", "in": "body", "required": True, "schema": reference(schema)}


def _header(description: str, schema: Schema, *, required: bool = True) -> Schema:
    return {"description": description, **schema, _REQUIRED: required}


def _switch() -> Schema:
    return {**_json("The switch", "Switch"), "headers": {"ETag": _header("For If-Match", TEXT)}}


def _json(description: str, schema: str | Schema) -> Schema:
    shape = reference(schema) if isinstance(schema, str) else schema
    return {"description": description, "schema": shape}


def _problem(description: str, schema: str = "Problem") -> Schema:
    return _json(description, schema)


def _later(description: str, *, required: bool = True) -> Schema:
    header = _header("Seconds", _SECONDS, required=required)
    return {**_problem(description), "headers": {"Retry-After": header}}


def _accepted(schema: str = "Deletion", description: str = _RUNNING) -> Schema:
    headers = {
        "Location": _header("Where to look", {"type": "string", "format": "uri"}),
        "Retry-After": _header("Seconds", _SECONDS),
    }
    return {**_json(description, schema), "headers": headers}


_TENANT_PARAMETER: Final = _path("tenantId", "Tenant ID of the customer", TENANT_ID)
_REQUEST_PARAMETER: Final = _path("requestId", "ID of a rejected request", _ID)
_SWEEP_PARAMETER: Final = _path("sweepId", "ID of a sweep", _ID)
_IF_MATCH: Final = _parameter(
    "header", "If-Match", "The ETag of the switch as the caller has seen it", TEXT
)
_BAD: Final = _problem("The request is not valid")
_REFUSED: Final = _problem("A safety rule forbids it")
_PARTNER_CENTER: Final = _later(
    "Partner Center rejected a call, or the sign-in there is refused", required=False
)
_UNKNOWN: Final = _problem("The customer has no deletion")

_AFTER: Final = _query(
    "continuationToken", "The value in links.next", {"type": "string", "pattern": KEY_PATTERN}
)

_PATHS: Final[dict[str, Schema]] = {
    "/api/deletions": {
        "post": _operation(
            "requestDeletion",
            "Delete a customer, or show what that would do",
            {
                200: _json("The plan of a dry run", "DryRun"),
                202: _accepted(),
                400: _BAD,
                422: _REFUSED,
                502: _PARTNER_CENTER,
                503: _later(f"{_TROUBLE}; the deletion may still start, as getDeletion shows"),
            },
            body="DeletionRequest",
            visibility=IMPORTANT,
        ),
        "get": _operation(
            "listDeletions",
            "List deletions, ordered by tenant ID",
            {200: _json("A page of deletions", "Deletions"), 400: _BAD},
            _query("state", "Only deletions in this state", one_of(State)),
            _query("continuationToken", "The value in links.next", TENANT_ID),
            visibility=IMPORTANT,
        ),
    },
    "/api/deletions/{tenantId}": {
        "get": _operation(
            "getDeletion",
            "Show the deletion of a customer",
            {
                200: _json("The customer is deleted", "Deletion"),
                202: _accepted(),
                400: _BAD,
                404: _UNKNOWN,
                409: _problem("The deletion is stuck, or was aborted", "EndedDeletion"),
                422: _problem("The deletion was refused", "EndedDeletion"),
            },
            _TENANT_PARAMETER,
            visibility=IMPORTANT,
        ),
        "delete": _operation(
            "abortDeletion",
            "Stop a deletion that has not sent its DELETE",
            {
                200: _json("The deletion is aborted", "Deletion"),
                400: _BAD,
                404: _UNKNOWN,
                409: _problem("It is too late to abort"),
            },
            _TENANT_PARAMETER,
            _query("requestedBy", "Who aborts it", LINE),
        ),
    },
    "/api/deletions/{tenantId}/history": {
        "get": _operation(
            "getHistory",
            "Show everything done about a customer, newest first",
            {200: _json("A page of the history", "History"), 400: _BAD},
            _TENANT_PARAMETER,
            _AFTER,
        ),
    },
    "/api/history": {
        "get": _operation(
            "getAccountHistory",
            "Show trips and resets of the switch and sweeps, newest first",
            {200: _json("A page of the history", "History"), 400: _BAD},
            _AFTER,
        ),
    },
    "/api/deletions/{tenantId}/dismiss": {
        "post": _operation(
            "dismissDeletion",
            "Take a stuck or refused deletion off what needs attention",
            {
                200: _json("The deletion is dismissed", "Deletion"),
                400: _BAD,
                404: _UNKNOWN,
                409: _problem("The deletion is neither stuck nor refused"),
            },
            _TENANT_PARAMETER,
            _query("requestedBy", "Who has dealt with it", LINE),
        ),
    },
    "/api/deletions/{tenantId}/plan": {
        "get": _operation(
            "getPlan",
            "Show the result of the last dry run over the queue",
            {
                200: _json("What a deletion would start with", "Plan"),
                400: _BAD,
                404: _problem("The customer has no plan"),
            },
            _TENANT_PARAMETER,
        ),
    },
    "/api/requests/rejected": {
        "get": _operation(
            "listRejectedRequests",
            "List messages that were not handled, the latest first",
            {200: _json("The latest messages", "RejectedRequests")},
        ),
    },
    "/api/requests/rejected/{requestId}": {
        "delete": _operation(
            "dismissRejectedRequest",
            "Take a message off that list",
            {
                200: _json("The message as it was", "RejectedRequest"),
                400: _BAD,
                404: _problem("No rejected request has this ID, or it is dismissed"),
            },
            _REQUEST_PARAMETER,
            _query("requestedBy", "Who has dealt with it", LINE),
        ),
    },
    "/api/sandbox": {
        "get": _operation(
            "getSandbox",
            "Show the slots, and what a sweep would do with each customer",
            {200: _json("The sandbox", "Sandbox"), 422: _REFUSED, 502: _PARTNER_CENTER},
            visibility=IMPORTANT,
        ),
    },
    "/api/sweeps": {
        "post": _operation(
            "startSweep",
            "Start a sweep, or show the one of this mode that has not ended",
            {
                202: _accepted("Sweep", _SWEEPING),
                400: _BAD,
                422: _REFUSED,
            },
            body="SweepRequest",
            visibility=IMPORTANT,
        ),
    },
    "/api/sweeps/{sweepId}": {
        "get": _operation(
            "getSweep",
            "Show a sweep and its report",
            {
                200: _json("The sweep with its report", "Sweep"),
                202: _accepted("Sweep", _SWEEPING),
                400: _BAD,
                404: _problem("There is no such sweep"),
                409: _problem("The sweep ended without a report", "EndedSweep"),
                422: _problem("A safety rule forbade the sweep", "EndedSweep"),
            },
            _SWEEP_PARAMETER,
            visibility=IMPORTANT,
        ),
    },
    "/api/switch": {
        "get": _operation(
            "getSwitch",
            "Show the safety switch",
            {200: _switch()},
        ),
        "put": _operation(
            "tripSwitch",
            "Stop all cancelling and deleting",
            {200: _switch(), 400: _BAD},
            body="SwitchRequest",
        ),
        "delete": _operation(
            "resetSwitch",
            "Let cancelling and deleting resume",
            {
                200: _switch(),
                400: _BAD,
                412: _problem("The switch has changed since it was read", "ChangedSwitch"),
            },
            _IF_MATCH,
            _query("requestedBy", "Who resets it; the signed-in caller by default", LINE),
            _query("reason", "Why", LINE, required=True),
        ),
    },
    "/api/status": {
        "get": _operation(
            "getStatusPage",
            "Show the status page",
            {200: {"description": "A page that refreshes itself", "schema": TEXT}},
            visibility=INTERNAL,
        )
        | {"produces": [_HTML, _PROBLEM_JSON]},
    },
    "/api/openapi.json": {
        "get": _operation(
            "getDescription",
            "Return this description",
            {200: _json("OpenAPI 2.0", {"type": "object"})},
            visibility=INTERNAL,
        ),
    },
    "/api/version": {
        "get": _operation(
            "getVersion",
            "Show the versions of tipsweep, Python and the packages",
            {200: _json("What runs", "Versions"), 400: _BAD},
        ),
    },
    "/api/health": {
        "get": {
            "operationId": "getHealth",
            "summary": "Say that the app is loaded",
            "description": "Say that the app is loaded",
            VISIBILITY: INTERNAL,
            "security": [],
            "responses": {str(HTTPStatus.OK.value): _json("The app is loaded", "Health")},
        },
    },
}
