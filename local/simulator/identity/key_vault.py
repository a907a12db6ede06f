"""The secrets of an Azure Key Vault."""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.identity.tokens import read
from local.simulator.state.accounts import Account
from local.simulator.state.world import World

PFX_CONTENT_TYPE = "application/x-pkcs12"
# Key Vault's own maximum.
PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret."""

    version: str
    value: str
    content_type: str | None
    created: datetime
    expires: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True


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
        tags: Mapping[str, str] | None = None,
        enabled: bool = True,
    ) -> SecretVersion:
        """Store a new version of a secret, dated `age_days` ago; `expires` is in Unix seconds."""
        with self._world.lock:
            created = self._world.clock.now() - timedelta(days=age_days)
            version = SecretVersion(
                uuid.uuid4().hex, value, content_type, created, expires, tags or {}, enabled
            )
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
            Route("/secrets/{name}/versions", self._list),
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

    async def _list(self, request: Request) -> Response:
        """List the versions without their values, in pages and in no order of time."""
        if rejection := self._rejection(request):
            return rejection
        name, start = request.path_params["name"], int(request.query_params.get("$skiptoken", 0))
        found = sorted(self.versions(name), key=lambda version: version.version)
        page = {"value": [self._item(name, each) for each in found[start : start + PAGE_SIZE]]}
        if start + PAGE_SIZE >= len(found):
            return JSONResponse({**page, "nextLink": None})
        api = request.query_params["api-version"]
        following = f"api-version={api}&$skiptoken={start + PAGE_SIZE}"
        return JSONResponse({**page, "nextLink": f"{self.url}/secrets/{name}/versions?{following}"})

    async def _set(self, request: Request) -> Response:
        if rejection := self._rejection(request):
            return rejection
        try:
            body = json.loads(await request.body())
            value, content_type = body["value"], body.get("contentType")
            expires = (body.get("attributes") or {}).get("exp")
            tags = dict(body.get("tags") or {})
        except (ValueError, TypeError, KeyError):
            return _error(400, "BadParameter", "The body must be JSON with the member value.")
        name = request.path_params["name"]
        version = self.put(name, value, content_type=content_type, expires=expires, tags=tags)
        return JSONResponse(self._bundle(name, version))

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
        return {"value": version.value, **self._item(name, version)}

    def _item(self, name: str, version: SecretVersion) -> dict[str, object]:
        moment = int(version.created.timestamp())
        attributes: dict[str, object] = {
            "enabled": version.enabled,
            "created": moment,
            "updated": moment,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        }
        if version.expires is not None:
            attributes["exp"] = version.expires
        item: dict[str, object] = {
            "id": f"{self.url}/secrets/{name}/{version.version}",
            "attributes": attributes,
            "tags": version.tags,
        }
        if version.content_type:
            item["contentType"] = version.content_type
        return item


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
