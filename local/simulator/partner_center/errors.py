"""Error responses of Partner Center: those of the service and those of its gateway."""

import codecs
import json
from collections.abc import Mapping

from starlette.responses import Response

from local.simulator.state.behaviour import Behaviour, CodeType, ErrorBody
from local.simulator.state.products import Rejection


class ServiceError(Exception):
    """An error of the service, with its numeric code."""

    def __init__(
        self,
        status: int,
        code: int,
        description: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, rejection: Rejection) -> "ServiceError":
        """Return the error for a rejection."""
        return cls(rejection.status, rejection.code, rejection.description)


class GatewayError(Exception):
    """An error of the gateway in front of the service: unmapped route, throttling."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def choice_error(choice: str, description: str) -> ServiceError | GatewayError:
    """Return the error for a behaviour of the form "status/code" or "status/gateway"."""
    status, _, code = choice.partition("/")
    if code == "gateway":
        return GatewayError(int(status), description)
    return ServiceError(int(status), int(code), description)


def json_response(
    body: object, behaviour: Behaviour, *, status: int = 200, headers: Mapping[str, str]
) -> Response:
    """Return a JSON response of the service, with a byte order mark if that is enabled."""
    content = json.dumps(body).encode()
    if behaviour.byte_order_mark:
        content = codecs.BOM_UTF8 + content
    return Response(content, status, {"Content-Type": "application/json; charset=utf-8", **headers})


def gateway_response(error: GatewayError) -> Response:
    """Return an error response of the gateway."""
    body = {"statusCode": error.status, "message": error.message}
    return Response(
        json.dumps(body), error.status, {"Content-Type": "application/json", **error.headers}
    )


def error_response(error: ServiceError, behaviour: Behaviour) -> Response:
    """Return an error response of the service, in the form that the behaviour sets."""
    if behaviour.error_body is ErrorBody.EMPTY:
        return Response(status_code=error.status, headers=error.headers)
    if behaviour.error_body is ErrorBody.GATEWAY:
        return gateway_response(
            GatewayError(error.status, error.description, headers=error.headers)
        )
    # Code 0 was observed as an integer only.
    as_text = behaviour.error_code_type is CodeType.STRING and error.code != 0
    body: dict[str, object] = {
        "code": str(error.code) if as_text else error.code,
        "description": error.description[:1024],
        "data": [],
        "source": "PartnerFD",
    }
    return json_response(body, behaviour, status=error.status, headers=error.headers)
