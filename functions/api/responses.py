"""Answers in JSON, and what all answers have in common."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import azure.functions as func

from functions.api.problems import Problem

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"

# The page of one state must not be shown for the next one, nor an address with a key in it told.
COMMON_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def json_response(
    value: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    *,
    mimetype: str = JSON,
) -> func.HttpResponse:
    """Answer with a JSON value."""
    return func.HttpResponse(
        json.dumps(value, separators=(",", ":")),
        status_code=status,
        headers={**COMMON_HEADERS, **(headers or {})},
        mimetype=mimetype,
    )


def problem_response(problem: Problem) -> func.HttpResponse:
    """Answer with a problem document, and with the seconds after which to try again."""
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    return json_response(problem.document(), problem.type.status, headers, mimetype=PROBLEM_JSON)
