"""The gateway of Partner Center: routes, tokens, throttling, repeated request IDs."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulator.calls import WRITES, Notes
from local.simulator.identity.tokens import AUDIENCE, read
from local.simulator.partner_center import customers, orders, subscriptions
from local.simulator.partner_center.errors import (
    GatewayError,
    ServiceError,
    error_response,
    gateway_response,
    json_response,
)
from local.simulator.partner_center.service_request import ServiceRequest, ServiceResponse
from local.simulator.partner_center.throttle import Throttle
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour
from local.simulator.state.world import World

Handler = Callable[[ServiceRequest], ServiceResponse]

_CUSTOMER = "/v1/customers/{customer_id}"
_ORDER = _CUSTOMER + "/orders/{order_id}"
_SUBSCRIPTION = _CUSTOMER + "/subscriptions/{subscription_id}"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v1/customers", customers.list_customers),
    ("GET", _CUSTOMER, customers.get_customer),
    ("DELETE", _CUSTOMER, customers.delete_customer),
    ("GET", _CUSTOMER + "/orders", orders.list_orders),
    ("GET", _ORDER, orders.get_order),
    ("PATCH", _ORDER, orders.patch_order),
    ("GET", _ORDER + "/provisioningstatus", orders.get_provisioning_status),
    ("GET", _CUSTOMER + "/entitlements", orders.list_entitlements),
    ("GET", _CUSTOMER + "/subscriptions", subscriptions.list_subscriptions),
    ("GET", _SUBSCRIPTION, subscriptions.get_subscription),
    ("PATCH", _SUBSCRIPTION, subscriptions.patch_subscription),
    ("POST", _SUBSCRIPTION + "/activate", subscriptions.activate_subscription),
    ("GET", _SUBSCRIPTION + "/azureEntitlements", subscriptions.list_azure_entitlements),
    (
        "POST",
        _SUBSCRIPTION + "/azureEntitlements/{entitlement_id}/cancel",
        subscriptions.cancel_azure_entitlement,
    ),
)
_BODILESS_POSTS = {subscriptions.activate_subscription}


class PartnerCenter:
    """The resources below /v1, for the accounts of one world."""

    def __init__(self, world: World, sandbox: Account, production: Account) -> None:
        self._world = world
        self._accounts = (sandbox, production)
        self._throttle = Throttle(world.clock)
        self._responses: dict[tuple[str, str, str, str], Response] = {}

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        return [
            Route(path, self._endpoint(handler), methods=[method])
            for method, path, handler in _ROUTES
        ]

    def reset(self) -> None:
        """Clear the throttling window and the recorded responses."""
        self._throttle.clear()
        self._responses.clear()

    def _endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            notes: Notes = request.scope["notes"]
            # One call at a time, so that what a call reads and writes belongs together.
            with self._world.lock:
                try:
                    return self._respond(request, body, handler, notes)
                except ServiceError as error:
                    notes.code = error.code
                    return error_response(error, self._world.behaviour)
                except GatewayError as error:
                    return gateway_response(error)

        return endpoint

    def _respond(self, request: Request, body: bytes, handler: Handler, notes: Notes) -> Response:
        claims = self._claims(request)
        account, other_account = self._account(claims)
        notes.partner_tenant_id = account.tenant_id
        notes.app_only = "scp" not in claims
        # Counted before the request is validated: rejected calls use up the limit too.
        self._throttle.count(account.tenant_id, self._world.behaviour)
        service_request = ServiceRequest(
            world=self._world,
            account=account,
            other_account=other_account,
            app_only=notes.app_only,
            path=request.path_params,
            query={name.lower(): value for name, value in request.query_params.items()},
            headers=request.headers,
            body=_json_body(request, body, handler, self._world.behaviour),
        )
        notes.requested_status = _text(service_request.body.get("status"))
        return self._perform_once(request, service_request, handler, notes)

    def _perform_once(
        self, request: Request, service_request: ServiceRequest, handler: Handler, notes: Notes
    ) -> Response:
        """Perform a call, or repeat the recorded response to an earlier write with the same ID."""
        request_id = request.headers.get("ms-requestid")
        if (
            request_id is None
            or request.method not in WRITES
            or not self._world.behaviour.replay_request_ids
        ):
            return self._perform(service_request, handler, notes)
        key = (
            service_request.account.tenant_id,
            request_id.lower(),
            request.method,
            request.url.path,
        )
        if key not in self._responses:
            self._responses[key] = self._perform(service_request, handler, notes)
        return self._responses[key]

    def _perform(self, service_request: ServiceRequest, handler: Handler, notes: Notes) -> Response:
        behaviour = self._world.behaviour
        try:
            response = handler(service_request)
        except ServiceError as error:
            # Returned, not raised: a repeated request ID gets the recorded error again.
            notes.code = error.code
            return error_response(error, behaviour)
        if behaviour.empty_lists_without_content and _is_empty_list(response.body):
            return Response(status_code=204)
        if response.body is None:
            return Response(status_code=response.status, headers=dict(response.headers))
        return json_response(
            response.body, behaviour, status=response.status, headers=response.headers
        )

    def _claims(self, request: Request) -> Mapping[str, Any]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized(800001, "The partner token is missing.")
        try:
            claims = read(token, AUDIENCE)
        except jwt.InvalidAudienceError as error:
            raise _unauthorized(900420, "The token audience is not accepted.") from error
        except jwt.InvalidTokenError as error:
            raise _unauthorized(400, "Access denied: the token is invalid.") from error
        if "scp" in claims and "mfa" not in claims.get("amr", []):
            raise _unauthorized(900421, "The token lacks the MFA claim.")
        return claims

    def _account(self, claims: Mapping[str, Any]) -> tuple[Account, Account]:
        sandbox, production = self._accounts
        if claims.get("tid") == sandbox.tenant_id:
            return sandbox, production
        if claims.get("tid") == production.tenant_id:
            return production, sandbox
        raise _unauthorized(400, "Access denied: the tenant is not a partner.")


def _unauthorized(code: int, description: str) -> ServiceError:
    challenge = 'Bearer error="invalid_token"'
    return ServiceError(401, code, description, headers={"WWW-Authenticate": challenge})


def _json_body(
    request: Request, body: bytes, handler: Handler, behaviour: Behaviour
) -> Mapping[str, object]:
    if request.method in {"GET", "DELETE"} or (handler in _BODILESS_POSTS and not body):
        return {}
    if handler in _BODILESS_POSTS and behaviour.calls_as_printed:
        raise ServiceError(400, 800002, "The call takes no body.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ServiceError(400, 3000, "Content-Type must be application/json.")
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ServiceError(400, 800002, "The body is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise ServiceError(400, 800002, "The body is not a JSON object.")
    return parsed


def _is_empty_list(body: object) -> bool:
    return isinstance(body, dict) and body.get("items") == []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
