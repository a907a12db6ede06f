"""The errors of Entra ID, and their form on the wire."""

import time
import uuid
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class EntraError(Exception):
    """An error from the token endpoint: HTTP status, OAuth error, AADSTS number, text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number
        self.text = text


def error_response(error: EntraError, request: Request) -> Response:
    """Return an error of Entra ID in its own form, and note its number for the call log."""
    correlation_id = request.headers.get("client-request-id") or str(uuid.uuid4())
    trace_id = str(uuid.uuid4())
    moment = datetime.fromtimestamp(int(time.time()), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    described = (
        f"AADSTS{error.number}: {error.text} Trace ID: {trace_id} "
        f"Correlation ID: {correlation_id} Timestamp: {moment}"
    )
    if (notes := request.scope.get("notes")) is not None:
        notes.code = error.number
    return JSONResponse(
        {
            "error": error.error,
            "error_description": described,
            "error_codes": [error.number],
            "timestamp": moment,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        },
        error.status,
    )
