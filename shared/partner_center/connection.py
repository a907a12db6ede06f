"""One rate-limited, authenticated HTTPS connection to Partner Center, shared by all threads."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from shared.partner_center.credentials import TokenSource
from shared.partner_center.errors import (
    ErrorResponse,
    ErrorStatus,
    ForeignLink,
    HeldBack,
    NoResponse,
    Throttled,
    UnexpectedResponse,
    error_of,
)
from shared.partner_center.rate_limit import RateLimited, RateLimiter

# No page gives a timeout, and Microsoft's own SDK waits 3 minutes. Two tries of 60 s still fit in
# the functionTimeout of 5 minutes; a call that is cut off is repeated by the next step.
CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 60.0
# For a 429 without the header: Microsoft's example says "Try again in 30 seconds."
DEFAULT_RETRY_AFTER_SECONDS: Final = 30.0
# One odd header must not park a deletion for weeks, or the calls of a whole process for hours.
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
LONGEST_HOLD_SECONDS: Final = 600.0
_REDIRECTION: Final = HTTPStatus.MULTIPLE_CHOICES
_ERROR: Final = HTTPStatus.BAD_REQUEST
_DESCRIPTION_CHARACTERS: Final = 1024

# Each try sends the same MS-RequestId, which makes it safe to repeat a PATCH or a DELETE
# (Microsoft's page "Partner Center REST headers").
_SHORT_RETRIES: Final = Retry(
    total=2,
    connect=2,
    read=1,
    status=2,
    redirect=0,
    backoff_factor=0.5,
    backoff_jitter=0.5,
    status_forcelist=(502, 503, 504),
    allowed_methods=None,
    # A thread must not sleep for minutes: the step puts its message back instead.
    respect_retry_after_header=False,
    raise_on_status=False,
)


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response; `body` is None if there was none."""

    status: int
    body: Any


class _Bearer(AuthBase):
    """Adds the token to each request; being an auth object, it also keeps .netrc out."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._tokens.token()}"
        return request


class Connection:
    """Sends calls to one Partner Center; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        rate_limiter: RateLimiter,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.tokens = tokens
        self._base = f"{base_url}/v1/"
        self._auth = _Bearer(tokens)
        self._rate_limiter = rate_limiter
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/json", "MS-PartnerCenter-Application": "tipsweep"}
        )
        # One connection for each of the 32 threads that the deployed worker runs.
        adapter = HTTPAdapter(pool_maxsize=32, max_retries=_SHORT_RETRIES)
        self._session.mount("https://", adapter)

    def wait_for_turn(self, method: str, path: str) -> None:
        """Wait until the rate limit allows a call; raises HeldBack if the wait would be long."""
        try:
            wait = self._rate_limiter.acquire()
        except RateLimited as held:
            description = f"not sent: {held}"
            raise HeldBack(
                ErrorResponse(method, path, 429, "", description, held.seconds, "")
            ) from held
        if wait:
            self._sleep(wait)

    def call(
        self,
        method: str,
        path: str,
        *,
        correlation_id: str,
        request_id: str = "",
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one call and return its response.

        `path` is relative to /v1/, or a link from a response; without a `request_id` the call gets
        one of its own. Raises ForeignLink, NoResponse, SignInFailed, UnexpectedResponse for a
        redirection, or an ErrorStatus.
        """
        url = self._resolve(path)
        request_id = request_id or str(uuid.uuid4())
        all_headers = {
            "MS-RequestId": request_id,
            "MS-CorrelationId": correlation_id,
            **(headers or {}),
        }
        response = self._send(method, url, body, all_headers)
        if response.status_code >= _ERROR:
            raise self._error(method, url, request_id, response)
        if response.status_code >= _REDIRECTION:
            message = f"{method} {path} got status {response.status_code}: expected a 2xx"
            raise UnexpectedResponse(message)
        return Response(response.status_code, _json(response))

    def _resolve(self, path: str) -> str:
        base = urlsplit(self._base)
        link = urlsplit(path)
        if (link.scheme or link.netloc) and (link.scheme, link.netloc) != base[:2]:
            message = (
                f"Partner Center pointed to {link.scheme}://{link.netloc}, expected a link to "
                f"{base.scheme}://{base.netloc}: not followed, because the token must not go there"
            )
            raise ForeignLink(message)
        relative = path.removeprefix(f"{base.scheme}://{base.netloc}").lstrip("/")
        return urljoin(self._base, "./" + relative.removeprefix("v1/").lstrip("/"))

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                url,
                json=body,
                headers=headers,
                auth=self._auth,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            message = f"{method} {url} got no response: {error}"
            raise NoResponse(message) from error

    def _error(
        self, method: str, url: str, request_id: str, response: requests.Response
    ) -> ErrorStatus:
        code, description = _service_error(response)
        retry_after = retry_after_seconds(response.headers.get("Retry-After"))
        error_response = ErrorResponse(
            method=method,
            path=urlsplit(url).path,
            status=response.status_code,
            code=code,
            description=description,
            retry_after=retry_after,
            request_id=request_id,
        )
        error = error_of(error_response)
        # A 401 that means "not a sandbox" ends the token too, so the status decides, not the type.
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.tokens.forget()
        if isinstance(error, Throttled):
            hold = DEFAULT_RETRY_AFTER_SECONDS if retry_after is None else retry_after
            self._rate_limiter.pause(min(hold, LONGEST_HOLD_SECONDS))
        return error


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return a Retry-After header in seconds, at most a day; None if it cannot be read.

    The header holds seconds, or an HTTP date.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_RETRY_AFTER_SECONDS)
    try:
        timestamp = parsedate_to_datetime(header)
    except ValueError:
        return None
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    seconds = (timestamp - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_SECONDS)


def _json(response: requests.Response) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return json.loads(response.content.decode("utf-8-sig"))
    except ValueError:
        return None


def _service_error(response: requests.Response) -> tuple[str, str]:
    """Return code and description from either of the two error shapes; empty without a body."""
    body = _json(response)
    if not isinstance(body, Mapping):
        return "", ""
    code = body.get("code")
    description = body.get("description") or body.get("message") or ""
    return ("" if code is None else str(code)), str(description)[:_DESCRIPTION_CHARACTERS]
