"""Calls to Azure Resource Manager and to the app, signed in as azd is."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hooks.console import Stop, azd

PUBLIC: Final = "https://management.azure.com/"
VERSION: Final = "api-version=2023-12-01"
TIMEOUT_SECONDS: Final = 60


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to the caller as an error: following it would send the credential on."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class NoToken(Stop):
    """Whoever is signed in to azd gets no token of a resource."""


class Failed(Exception):
    """A response that is no success, or none: then the status is 0."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status or 'no response'}: {text[:500]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class ResourceManager:
    """Azure Resource Manager of one cloud."""

    environment: Mapping[str, str]

    @property
    def base(self) -> str:
        """Its address, without a trailing slash."""
        return self.environment.get("RESOURCE_MANAGER_URL", PUBLIC).rstrip("/")

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a resource, whose path begins with a slash; raises Failed."""
        return self._call("GET", f"{self.base}{path}")

    def post(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Call an action of a resource; raises Failed."""
        return self._call("POST", f"{self.base}{path}")

    def values(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the members of a list, page by page; raises Failed."""
        page = self.get(path)
        while True:
            yield from page.get("value", [])
            if not (following := page.get("nextLink")):
                return
            if not following.startswith(f"{self.base}/"):
                raise Failed(0, f"{following} is not at {self.base}: no token is sent there")
            page = self._call("GET", following)

    def _call(self, method: str, url: str) -> Any:  # noqa: ANN401 - JSON
        token = token_for(self.base, self.environment)
        return call(method, url, {"Authorization": f"Bearer {token}"})


def token_for(resource: str, environment: Mapping[str, str]) -> str:
    """Return a token of whoever is signed in to azd; raises NoToken."""
    done = azd(
        *("auth", "token", "--scope", f"{resource}/.default", "--output", "json"),
        environment=environment,
    )
    try:
        return str(json.loads(done.stdout)["token"])
    except (ValueError, KeyError, TypeError):
        # What azd printed when it succeeded holds the token, in whatever form.
        said = done.stderr + (done.stdout if done.returncode else "")
        raise NoToken(
            f"azd gives no token for {resource}: run 'azd auth login'. {said[:500].strip()}"
        ) from None


def call(method: str, url: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a response, None without a body; raises Failed."""
    if not url.startswith("https://"):
        raise Stop(f"{url} is no https address: no credential is sent there.")
    body = b"" if method == "POST" else None
    request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - https
    try:
        opener = urllib.request.build_opener(_NoRedirection)
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            text = response.read()
            return json.loads(text) if text.strip() else None
    except urllib.error.HTTPError as error:
        raise Failed(error.code, error.read().decode(errors="replace")) from None
    except (OSError, ValueError) as error:
        raise Failed(0, str(error)) from None
