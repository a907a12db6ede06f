"""The description of the HTTP functions, in OpenAPI 3.0."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from functions.api.history import KEY_PATTERN
from functions.api.openapi_schemas import (
    LINE,
    SCHEMAS,
    TENANT_ID,
    TEXT,
    Schema,
    one_of,
    reference,
)
from shared.storage.records import State

_SECONDS: Final[Schema] = {"type": "integer", "minimum": 1}
_TENANT_PARAMETER: Final[Schema] = {
    "name": "tenantId",
    "in": "path",
    "required": True,
    "description": "Tenant ID of the customer",
    "schema": TENANT_ID,
}
_REQUEST_PARAMETER: Final[Schema] = {
    "name": "requestId",
    "in": "path",
    "required": True,
    "description": "ID of a rejected request",
    "schema": {"type": "string", "minLength": 1},
}
_SWEEP_PARAMETER: Final[Schema] = {
    "name": "sweepId",
    "in": "path",
    "required": True,
    "description": "ID of a sweep",
    "schema": {"type": "string", "minLength": 1},
}
_HTML: Final[Schema] = {"text/html": {"schema": {"type": "string"}}}
_TROUBLE: Final = "Storage, Partner Center or the settings cannot be used at the moment"
_SWEEPING: Final = "The sweep has not ended: poll Location after Retry-After seconds."
_RUNNING: Final = "The deletion is in progress: poll Location after Retry-After seconds."


def document(server: str) -> dict[str, Any]:
    """Return the description of the app at this address."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "tipsweep",
            "version": "1",
            "description": "Deletes customers of the Partner Center integration sandbox.",
        },
        "servers": [{"url": server}],
        "security": [{"header": []}, {"query": []}],
        "paths": _PATHS,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "query": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _operation(
    operation_id: str,
    summary: str,
    responses: Mapping[int, Schema],
    *parameters: Schema,
    body: str | None = None,
    later: Schema | None = None,
) -> Schema:
    """Return an operation; any of them may lack a caller, a setting or its storage.

    `later` are other content types of the response that asks to try again.
    """
    common = {
        401: _problem("No function key, or no signed-in caller where one is required"),
        403: _problem("The signed-in caller lacks the role that the call needs"),
        503: _later(_TROUBLE, later),
    }
    all_responses = dict(sorted({**common, **responses}.items()))
    operation: Schema = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {str(status): response for status, response in all_responses.items()},
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        content = {"application/json": {"schema": reference(body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


def _if_match() -> Schema:
    return {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of the switch as the caller has seen it",
        "schema": TEXT,
    }


def _switch() -> Schema:
    header = {"required": True, "description": "For If-Match", "schema": TEXT}
    return {**_json("The switch", "Switch"), "headers": {"ETag": header}}


def _json(description: str, schema: str | Schema) -> Schema:
    shape = reference(schema) if isinstance(schema, str) else schema
    return {"description": description, "content": {"application/json": {"schema": shape}}}


def _problem(description: str, schema: str = "Problem") -> Schema:
    content = {"application/problem+json": {"schema": reference(schema)}}
    return {"description": description, "content": content}


def _later(description: str, content: Schema | None = None, *, required: bool = True) -> Schema:
    header = {"required": required, "description": "Seconds", "schema": _SECONDS}
    problem = _problem(description)
    return {
        **problem,
        "content": {**problem["content"], **(content or {})},
        "headers": {"Retry-After": header},
    }


def _accepted(schema: str = "Deletion", description: str = _RUNNING) -> Schema:
    location = {"required": True, "schema": {"type": "string", "format": "uri"}}
    retry_after = {"required": True, "description": "Seconds", "schema": _SECONDS}
    headers = {"Location": location, "Retry-After": retry_after}
    return {**_json(description, schema), "headers": headers}


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
        ),
        "get": _operation(
            "listDeletions",
            "List deletions, ordered by tenant ID",
            {200: _json("A page of deletions", "Deletions"), 400: _BAD},
            _query("state", "Only deletions in this state", one_of(State)),
            _query("continuationToken", "The value in links.next", TENANT_ID),
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
            _if_match(),
            _query("requestedBy", "Who resets it; the signed-in caller by default", LINE),
            _query("reason", "Why", LINE, required=True),
        ),
    },
    "/api/status": {
        "get": _operation(
            "getStatusPage",
            "Show the status page",
            {200: {"description": "A page that refreshes itself", "content": _HTML}},
            later=_HTML,
        ),
    },
    "/api/openapi.json": {
        "get": _operation(
            "getDescription",
            "Return this description",
            {200: _json("OpenAPI 3.0", {"type": "object"})},
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
            "security": [],
            "responses": {str(HTTPStatus.OK.value): _json("The app is loaded", "Health")},
        },
    },
}
