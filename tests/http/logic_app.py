"""A client that behaves as the HTTP action of Logic Apps does.

Sources: Microsoft's pages "Handle errors and exceptions in Azure Logic Apps" (retry policies) and
"HTTP connector reference" (asynchronous request-response behaviour).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

MORE_TRIES = 4
FIRST_INTERVAL = 7.5
SHORTEST_INTERVAL, LONGEST_INTERVAL = 5.0, 45.0
DEFAULT_POLL_SECONDS = 20.0
REQUEST_SECONDS = 120.0
ACCEPTED = 202


class ActionFailed(Exception):
    """The action ends without a response, as a failed action does."""


@dataclass
class LogicApp:
    """One HTTP action; `sleep` is told how long the action would wait."""

    sleep: Callable[[float], None]
    session: requests.Session = field(default_factory=requests.Session)
    requests_sent: list[tuple[str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def run(self, url: str, body: dict[str, Any]) -> requests.Response:
        """POST, follow Location while the response is 202, and return the first that is not."""
        response = self._send("POST", url, body)
        while response.status_code == ACCEPTED:
            location = response.headers.get("Location", "")
            if not urlsplit(location).netloc:
                message = f"Location {location!r} is not absolute"
                raise ActionFailed(message)
            self._wait(float(response.headers.get("Retry-After", DEFAULT_POLL_SECONDS)))
            response = self._send("GET", location, None)
        return response

    def _send(self, method: str, url: str, body: dict[str, Any] | None) -> requests.Response:
        """Send a request, up to five times if that may help."""
        for interval in self._intervals():
            try:
                response = self._try(method, url, body)
            except requests.RequestException:
                self._wait(interval)
                continue
            if not _worth_another_try(response.status_code):
                return response
            self._wait(max(interval, float(response.headers.get("Retry-After", 0))))
        return self._try(method, url, body)

    def _try(self, method: str, url: str, body: dict[str, Any] | None) -> requests.Response:
        self.requests_sent.append((method, url))
        return self.session.request(
            method, url, json=body, timeout=REQUEST_SECONDS, allow_redirects=False
        )

    def _intervals(self) -> list[float]:
        grown = (FIRST_INTERVAL * 2**number for number in range(MORE_TRIES))
        return [min(max(each, SHORTEST_INTERVAL), LONGEST_INTERVAL) for each in grown]

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.sleep(seconds)


def _worth_another_try(status: int) -> bool:
    return status in {408, 429} or status >= 500
