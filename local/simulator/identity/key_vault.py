"""The secrets of an Azure Key Vault."""

import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.identity.tokens import read
from local.simulator.state.accounts import Account
from local.simulator.state.world import World

PFX_CONTENT_TYPE = "application/x-pkcs12"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret."""

    version: str
    value: str
    content_type: str | None
    created: datetime
    expires: int | None = None


class KeyVault:
    """A vault whose secrets tests can inspect.

    Its resource is a domain suffix of 127.0.0.1, so that SecretClient's challenge verification
    passes without DNS.
    """

    def __init__(self, world: World, port: int, tenant_id: str) -> None:
        self._world = world
        self._tenant_id = tenant_id
        self._secrets: defaultdict[str, list[SecretVersion]] = defaultdict(list)
        self.url = f"https://127.0.0.1:{port}"
        self.resource = f"https://0.0.1:{port}"

    def put(
        self,
        name: str,
        value: str,
        *,
        content_type: str | None = None,
        age_days: float = 0.0,
        expires: int | None = None,
    ) -> SecretVersion:
        """Store a new version of a secret, dated `age_days` ago; `expires` is in Unix seconds."""
        with self._world.lock:
            created = self._world.clock.now() - timedelta(days=age_days)
            version = SecretVersion(uuid.uuid4().hex, value, content_type, created, expires)
            self._secrets[name].append(version)
            return version

    def versions(self, name: str) -> tuple[SecretVersion, ...]:
        """Return every version of a secret, oldest first."""
        with self._world.lock:
            return tuple(self._secrets.get(name, ()))

    def fill(self, *accounts: Account) -> None:
        """Replace all secrets with the certificate and the refresh token of each account."""
        self._secrets.clear()
        for account in accounts:
            pfx = account.app_certificate.pfx_base64
            self.put(account.certificate_name, pfx, content_type=PFX_CONTENT_TYPE)
            self.put(account.refresh_token_name, account.refresh_token)

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        return [
            Route("/secrets/{name}", self._get),
            Route("/secrets/{name}/", self._get),
            Route("/secrets/{name}/{version}", self._get),
            Route("/secrets/{name}", self._set, methods=["PUT"]),
        ]

    async def _get(self, request: Request) -> Response:
        if rejection := self._rejection(request):
            return rejection
        name, wanted = request.path_params["name"], request.path_params.get("version")
        for version in reversed(self.versions(name)):
            if wanted in {None, version.version}:
                return JSONResponse(self._bundle(name, version))
        return _error(404, "SecretNotFound", f"A secret with name {name} was not found.")

    async def _set(self, request: Request) -> Response:
        if rejection := self._rejection(request):
            return rejection
        try:
            body = json.loads(await request.body())
            value, content_type = body["value"], body.get("contentType")
            expires = (body.get("attributes") or {}).get("exp")
        except (ValueError, TypeError, KeyError):
            return _error(400, "BadParameter", "The body must be JSON with the member value.")
        version = self.put(
            request.path_params["name"], value, content_type=content_type, expires=expires
        )
        return JSONResponse(self._bundle(request.path_params["name"], version))

    def _rejection(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            read(token, self.resource)
        except jwt.InvalidTokenError:
            # SecretClient first calls without a token, to learn authority and resource from this.
            rejection = _error(401, "Unauthorized", "The request lacks a valid token.")
            rejection.headers["WWW-Authenticate"] = (
                f'Bearer authorization="{self.url}/{self._tenant_id}", resource="{self.resource}"'
            )
            return rejection
        if "api-version" not in request.query_params:
            return _error(400, "BadParameter", "api-version must be specified.")
        return None

    def _bundle(self, name: str, version: SecretVersion) -> dict[str, object]:
        moment = int(version.created.timestamp())
        attributes: dict[str, object] = {
            "enabled": True,
            "created": moment,
            "updated": moment,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        }
        bundle: dict[str, object] = {
            "value": version.value,
            "id": f"{self.url}/secrets/{name}/{version.version}",
            "attributes": attributes,
            "tags": {},
        }
        if version.expires is not None:
            bundle["attributes"] = {**attributes, "exp": version.expires}
        if version.content_type:
            bundle["contentType"] = version.content_type
        return bundle


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
