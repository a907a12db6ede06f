"""The app's HTTP functions without a host: routes a request and calls the real function."""

import base64
import json
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
from azure.functions.http import HttpRequest

from local.host.loading import Function, load
from local.host.triggers import OnRequest
from tests.bench import Bench

ROOT = Path(__file__).parents[2]
ADDRESS = "https://tipsweep.example"
JSON = {"Content-Type": "application/json"}
EASY_AUTH = {"REQUIRE_CLIENT_PRINCIPAL": "true", "WEBSITE_AUTH_ENABLED": "True"}
ROLE_CLAIM = "roles"
# The host needs a connection to load queue triggers; nothing is sent there.
NO_STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


@dataclass(frozen=True)
class Response:
    """What a function responded."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def problem(self) -> str:
        """The last part of the problem's type."""
        assert self.headers["content-type"] == "application/problem+json"
        return str(self.json["type"]).removeprefix("urn:tipsweep:problem:")


def signed_in(name: str, *roles: str, claim: str = ROLE_CLAIM) -> dict[str, str]:
    """Return the headers that Easy Auth sets for a caller in these app roles."""
    claims = [{"typ": "aud", "val": "api://tipsweep"}]
    claims += [{"typ": claim, "val": role} for role in roles]
    principal = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "role"}
    return {
        "X-MS-CLIENT-PRINCIPAL-ID": "8f1d",
        "X-MS-CLIENT-PRINCIPAL-NAME": name,
        "X-MS-CLIENT-PRINCIPAL": base64.b64encode(dumped(principal)).decode(),
    }


def fresh_app() -> func.FunctionApp:
    """Build the app again, because an app object can only be loaded once."""
    app = runpy.run_path(str(ROOT / "function_app.py"))["app"]
    assert isinstance(app, func.FunctionApp)
    return app


def http_functions() -> Iterator[tuple[Function, OnRequest]]:
    for function in load(fresh_app(), NO_STORAGE):
        if isinstance(function.trigger, OnRequest):
            yield function, function.trigger


class App:
    """Calls the functions; `headers` go with every request."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self._functions = list(http_functions())

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request to a path, or to an address of the app; `json` sets its content type."""
        path = path.removeprefix(ADDRESS)
        content_type = {} if json is None else JSON
        function, template = self._function(method, path)
        request = self._request(
            method,
            path,
            template,
            body if json is None else dumped(json),
            {**self.headers, **content_type, **(headers or {})},
        )
        response = function.call(req=request)
        assert isinstance(response, func.HttpResponse)
        named = {name.lower(): value for name, value in response.headers.items()}
        named.setdefault("content-type", response.mimetype)
        return Response(response.status_code, named, response.get_body())

    def get(self, path: str, **options: Any) -> Response:
        return self.call("GET", path, **options)

    def post(self, path: str, json: object, **options: Any) -> Response:
        return self.call("POST", path, json=json, **options)

    def put(self, path: str, json: object, **options: Any) -> Response:
        return self.call("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> Response:
        return self.call("DELETE", path, **options)

    def sweep(self, bench: Bench, mode: str) -> Response:
        """Ask for a sweep, deliver its message, and return what its address shows."""
        accepted = self.post("/api/sweeps", {"mode": mode})
        assert accepted.status == 202, accepted.text
        bench.pump(passes=1)
        return self.get(accepted.headers["location"])

    def _function(self, method: str, path: str) -> tuple[Function, list[str]]:
        segments = _segments(path)
        for function, trigger in self._functions:
            template = trigger.route.template.split("/")
            if method in trigger.methods and _matches(template, segments):
                return function, template
        message = f"no function serves {method} {path}"
        raise LookupError(message)

    def _request(
        self,
        method: str,
        path: str,
        template: list[str],
        body: bytes,
        headers: Mapping[str, str],
    ) -> HttpRequest:
        parts = zip(template, _segments(path), strict=True)
        return HttpRequest(
            method,
            f"{ADDRESS}{path}",
            headers=headers,
            params=dict(parse_qsl(urlsplit(path).query, keep_blank_values=True)),
            route_params={name[1:-1]: part for name, part in parts if name.startswith("{")},
            body_type="bytes",
            body=body,
        )


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def _segments(path: str) -> list[str]:
    return urlsplit(path).path.removeprefix("/api/").split("/")


def _matches(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        part.startswith("{") or part == segment
        for part, segment in zip(template, segments, strict=True)
    )
