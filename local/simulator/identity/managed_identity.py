"""The managed identity endpoint of App Service (API version 2019-08-01)."""

import hmac
import secrets
import time
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.identity.tokens import issue

TOKEN_EXCHANGE = "api://AzureADTokenExchange"  # noqa: S105 - the audience of a token
PRINCIPAL_ID = str(uuid.uuid4())
_API_VERSION = "2019-08-01"
_LIFETIME_SECONDS = 86_400


class ManagedIdentity:
    """One identity with access to the token exchange and the vault."""

    def __init__(self, url: str, vault_resource: str) -> None:
        self._url = url
        self._resources = {TOKEN_EXCHANGE, vault_resource}
        self.client_id = str(uuid.uuid4())
        self.header = secrets.token_hex(16)

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        return [Route("/msi/token", self._token)]

    async def _token(self, request: Request) -> Response:
        query = request.query_params
        resource = query.get("resource", "")
        if not hmac.compare_digest(request.headers.get("x-identity-header", ""), self.header):
            return _error(401, "X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != _API_VERSION:
            return _error(400, f"api-version must be {_API_VERSION}.")
        if query.get("client_id", self.client_id).lower() != self.client_id:
            return _error(400, "No managed identity has this client_id.")
        if resource not in self._resources:
            return _error(400, f"The resource {resource!r} was not found.")
        return JSONResponse(
            {
                "access_token": self._issued(resource),
                "expires_on": str(int(time.time()) + _LIFETIME_SECONDS),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": self.client_id,
            }
        )

    def _issued(self, resource: str) -> str:
        claims = {
            "aud": resource,
            "iss": f"{self._url}/identity",
            "sub": PRINCIPAL_ID,
            "oid": PRINCIPAL_ID,
            "appid": self.client_id,
            "idtyp": "app",
        }
        return issue(claims, _LIFETIME_SECONDS)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)
