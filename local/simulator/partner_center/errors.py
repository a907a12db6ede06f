"""Refusals of Partner Center: the service's errors and the gateway's."""

import codecs
import json
from collections.abc import Mapping

from starlette.responses import Response

from local.simulator.state.behaviour import Behaviour, CodeType, ErrorBody
from local.simulator.state.products import Rejection


class ServiceError(Exception):
    """A refusal by the service, with its own numeric code."""

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
        """Return the error of a rule."""
        return cls(rejection.status, rejection.code, rejection.description)


class GatewayError(Exception):
    """A refusal by the gateway in front of the service: unmapped route, throttling."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def choice_error(choice: str, description: str) -> ServiceError | GatewayError:
    """Return the error that a behaviour names as "status/code" or "status/gateway"."""
    status, _, code = choice.partition("/")
    if code == "gateway":
        return GatewayError(int(status), description)
    return ServiceError(int(status), int(code), description)


def json_response(
    body: object, behaviour: Behaviour, *, status: int = 200, headers: Mapping[str, str]
) -> Response:
    """Write JSON as the service does, with a byte order mark unless that is switched off."""
    content = json.dumps(body).encode()
    if behaviour.byte_order_mark:
        content = codecs.BOM_UTF8 + content
    return Response(content, status, {"Content-Type": "application/json; charset=utf-8", **headers})


def gateway_response(error: GatewayError) -> Response:
    """Write an error of the gateway."""
    body = {"statusCode": error.status, "message": error.message}
    return Response(
        json.dumps(body), error.status, {"Content-Type": "application/json", **error.headers}
    )


def error_response(error: ServiceError, behaviour: Behaviour) -> Response:
    """Write an error of the service in the form that the behaviour asks for."""
    if behaviour.error_body is ErrorBody.EMPTY:
        return Response(status_code=error.status, headers=error.headers)
    if behaviour.error_body is ErrorBody.GATEWAY:
        return gateway_response(
            GatewayError(error.status, error.description, headers=error.headers)
        )
    as_text = behaviour.error_code_type is CodeType.STRING and error.code != 0
    body: dict[str, object] = {
        "code": str(error.code) if as_text else error.code,
        "description": error.description[:1024],
        "data": [],
        "source": "PartnerFD",
    }
    return json_response(body, behaviour, status=error.status, headers=error.headers)
