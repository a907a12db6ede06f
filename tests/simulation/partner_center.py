"""Partner Center and Entra ID: the project's own simulator, called without sockets."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulator import Account, Behaviour
from local.simulator.calls import Notes
from local.simulator.identity.entra import Entra
from local.simulator.identity.tokens import AUDIENCE
from local.simulator.partner_center.gateway import PartnerCenter
from local.simulator.state.clock import Clock
from local.simulator.state.world import World

PARTNER_CENTER_HOST: Final = urlsplit(AUDIENCE).netloc
SIGN_IN_HOST: Final = "login.microsoftonline.com"

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of a service."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sandbox:
    """One partner account with its sign-in, and another partner's account beside it."""

    def __init__(self, behaviour: Behaviour, chance: Random) -> None:
        self.world = World(behaviour, Clock())
        self.world.random = chance
        self.account = Account(self.world, "sandbox", sandbox=True)
        self.foreign = Account(self.world, "production", sandbox=False)
        gateway = PartnerCenter(self.world, self.account, self.foreign)
        entra = Entra(self.world, f"https://{SIGN_IN_HOST}", self.account, self.foreign)
        self._routes = [_route(each) for each in (*gateway.routes(), *entra.routes())]

    def settings(self) -> dict[str, str]:
        """Return the app settings that point to this account."""
        return {
            "PARTNER_TENANT_ID": self.account.tenant_id,
            "SANDBOX_TENANT_CONFIRMATION": self.account.tenant_id,
            "PARTNER_CENTER_CLIENT_ID": self.account.client_id,
            "PARTNER_CENTER_CLIENT_SECRET": self.account.client_secret,
        }

    def respond(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the response to one request at once."""
        path, _, query = url.partition("?")
        for pattern, methods, endpoint in self._routes:
            match = pattern.match(path)
            if match and method in methods:
                scope = _scope(method, path, query, headers) | {"path_params": match.groupdict()}
                request = Request(scope, _receiving(body))
                response = _result(endpoint(request))
                return Reply(response.status_code, dict(response.headers), bytes(response.body))
        return Reply(404, {"Content-Type": "text/plain"}, b"Not Found")


def _route(route: Route) -> tuple[re.Pattern[str], set[str], Endpoint]:
    return route.path_regex, route.methods or set(), route.endpoint


def _scope(method: str, path: str, query: str, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ],
        "notes": Notes(),
    }


def _receiving(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _result(coroutine: Any) -> Response:
    try:
        coroutine.send(None)
    except StopIteration as finished:
        response: Response = finished.value
        return response
    raise RuntimeError("the simulator waits for something that will never happen")
