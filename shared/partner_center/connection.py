"""One rate-limited, authenticated HTTPS connection to Partner Center, shared by all threads."""

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
from azure.core.exceptions import AzureError
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from shared.errors import TipsweepError, shown
from shared.inputs import json_of, retry_after_seconds
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline, limited, limited_session
from shared.partner_center.errors import (
    ErrorResponse,
    ErrorStatus,
    ForeignLink,
    HeldBack,
    NoResponse,
    PartnerCenterError,
    Redirected,
    Throttled,
    TimedOut,
    Unauthorized,
    UnexpectedResponse,
    error_of,
    error_text,
)
from shared.partner_center.rate_limit import (
    LONGEST_WAIT_SECONDS,
    CallBudget,
    Rank,
    RateLimited,
)

# No page gives a timeout, and Microsoft's own SDK waits 3 minutes. The step's deadline cuts these.
CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 60.0
# A listing of 2,000 orders takes about 4 MB. What is larger must not fill the worker's memory.
MOST_BYTES: Final = 32 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
# A call that begins with less time is cut off before its response, and nobody knows its outcome.
LEAST_SECONDS: Final = 5.0
# For a 429 without the header: Microsoft's example says "Try again in 30 seconds."
DEFAULT_RETRY_AFTER_SECONDS: Final = 30.0
# One odd header must not hold the calls of a whole process for hours.
LONGEST_HOLD_SECONDS: Final = 600.0
# A 429 is over within minutes, whatever its header says.
LONGEST_THROTTLED_SECONDS: Final = 3_600.0
_VERSION: Final = re.compile(r"\Av1/", re.IGNORECASE)
_REDIRECTION: Final = HTTPStatus.MULTIPLE_CHOICES
_ERROR: Final = HTTPStatus.BAD_REQUEST

# Before each repeat, in seconds; up to twice as long, so that threads that failed together do not
# come back together. For a longer wait, the step puts its message back.
_PAUSES: Final = (0.5, 1.0)
_LONGEST_PAUSE_SECONDS: Final = 2.0
_REPEATED: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)

# Within a step that is under way, a short wait costs less than the calls that it would repeat.
_SHORT_WAITS: Final = 4
# The gate may take longer than a turn lasts; then both are asked again.
_TURNS: Final = 3

Gate = Callable[[], None]


def _uncounted() -> None:
    """Count no attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a call left, and what came back; `status` is None if nothing did.

    `at` is when it left.
    """

    at: datetime
    status: int | None = None
    code: str = ""


Witness = Callable[[Attempt], None]


def unseen(_attempt: Attempt) -> None:
    """Tell nobody of an attempt."""


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response; `body` is None if there was none."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class _Received:
    """A response as it came; `content` ends after MOST_BYTES."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, the same in each attempt."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    rank: Rank
    leaving: Callable[[], None]
    witness: Witness

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


@dataclass(frozen=True, slots=True)
class _Bearer(AuthBase):
    """Adds the token to the request; being an auth object, it also keeps .netrc out."""

    token: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Connection:
    """Sends calls to one Partner Center; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        budget: CallBudget,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.tokens = tokens
        self._base = f"{base_url}/v1/"
        self._budget = budget
        self._sleep = sleep
        self._jitter = jitter
        # One connection for each of the 32 threads that the deployed worker runs. The library
        # repeats nothing: it would neither take a turn nor ask the gate.
        self._session = limited_session(pool_size=32)
        self._session.headers.update(
            {
                "Accept": "application/json",
                # Required, says Microsoft's page "Partner Center REST headers".
                "MS-Contract-Version": "v1",
                "MS-PartnerCenter-Application": "tipsweep",
            }
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        correlation_id: str,
        deadline: Deadline,
        gate: Gate,
        rank: Rank = Rank.PERSON,
        leaving: Callable[[], None] = _uncounted,
        request_id: str = "",
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        witness: Witness = unseen,
    ) -> Response:
        """Send one call, repeated after a lost connection, a 502, 503 or 504, and after a 401.

        After a 401, it is sent once more if a fresh token can be had.

        `path` is relative to /v1/, or a link from a response; without a `request_id` the call gets
        one of its own. `gate` is asked directly before each attempt leaves, after its turn was
        claimed, and stops the call by raising; `leaving` is told of each attempt, and `witness` of
        what became of it. Raises what the gate raises, ForeignLink, HeldBack, OutOfTime,
        NoResponse, SignInFailed, Redirected, an ErrorStatus, or the errors of the store of the
        budget; with anything that stops a repeat, the error of the attempt before it.
        """
        # Each attempt sends the same MS-RequestId, which makes it safe to repeat a PATCH or a
        # DELETE (Microsoft's page "Partner Center REST headers").
        ids = {
            "MS-RequestId": request_id or str(uuid.uuid4()),
            "MS-CorrelationId": correlation_id,
        }
        sent = {**ids, **(headers or {})}
        request = _Request(method, self._resolve(path), sent, body, rank, leaving, witness)
        return self._call(request, deadline, gate)

    def _call(self, request: _Request, deadline: Deadline, gate: Gate) -> Response:
        auth = self._wait(request, 0, deadline, gate)
        try:
            return self._attempt(request, auth, deadline)
        except PartnerCenterError as error:
            if _passes_soon(error):
                return self._repeat(request, deadline, gate, error)
            # A 401 that means "not a sandbox" ends the token too, but is not asked for again.
            renewable = _is_401(error) and self.tokens.renewable(auth.token)
            if not (renewable and isinstance(error, Unauthorized)):
                raise
        return self._attempt(request, self._wait(request, 0, deadline, gate), deadline)

    def _repeat(
        self, request: _Request, deadline: Deadline, gate: Gate, failed: PartnerCenterError
    ) -> Response:
        for pause in _PAUSES:
            try:
                auth = self._wait(request, pause * (1 + self._jitter()), deadline, gate)
            except (TipsweepError, AzureError) as obstacle:
                raise failed from obstacle
            try:
                return self._attempt(request, auth, deadline)
            except PartnerCenterError as error:
                error.may_be_done |= failed.may_be_done
                failed = error
                if not _passes_soon(error):
                    break
        raise failed

    def _wait(self, request: _Request, pause: float, deadline: Deadline, gate: Gate) -> _Bearer:
        """Wait for all that an attempt needs, then ask the gate; return the token."""
        self._sleep_for(pause, request, deadline)
        token = self.tokens.token(deadline)
        try:
            self._claim_turn(request, deadline, gate)
        except RateLimited as held:
            raise HeldBack(request.method, request.path, held.seconds) from held
        deadline.require(LEAST_SECONDS, f"{request.method} {request.path}")
        request.leaving()
        return _Bearer(token)

    def _claim_turn(self, request: _Request, deadline: Deadline, gate: Gate) -> None:
        for _ in range(_TURNS):
            until = self._turn(request, deadline)
            gate()
            # The gate may have taken long, and another call been told to wait.
            if self._budget.require_usable(until):
                return
        raise RateLimited(LONGEST_WAIT_SECONDS)

    def _turn(self, request: _Request, deadline: Deadline) -> float:
        waits = _SHORT_WAITS if request.rank > Rank.STARTING else 1
        for _ in range(waits):
            try:
                return self._budget.turn(request.rank, deadline, patient=True)
            except RateLimited as held:
                if held.seconds > LONGEST_WAIT_SECONDS:
                    raise
                self._sleep_for(held.seconds, request, deadline)
        return self._budget.turn(request.rank, deadline, patient=False)

    def _sleep_for(self, seconds: float, request: _Request, deadline: Deadline) -> None:
        deadline.require(seconds + LEAST_SECONDS, f"{request.method} {request.path}")
        if seconds:
            self._sleep(seconds)

    def _attempt(self, request: _Request, auth: _Bearer, deadline: Deadline) -> Response:
        at = datetime.now(UTC)
        try:
            response = self._send(request, auth, deadline)
        except NoResponse as lost:
            # Without a connection, nothing left.
            if lost.may_be_done:
                request.witness(Attempt(at))
            raise
        error = self._error(request, response) if response.status_code >= _ERROR else None
        code = error.response.code if error else ""
        request.witness(Attempt(at, response.status_code, code))
        if error is not None:
            raise error
        if response.status_code >= _REDIRECTION:
            message = (
                f"{request.method} {request.path} got status {response.status_code}: expected a 2xx"
            )
            raise Redirected(message)
        if not response.complete:
            message = f"{request.method} {request.path} got more than {MOST_BYTES} bytes"
            raise UnexpectedResponse(message)
        return Response(response.status_code, json_of(response.content))

    def _resolve(self, path: str) -> str:
        base = urlsplit(self._base)
        try:
            link = urlsplit(path)
            foreign = bool(link.scheme or link.netloc) and _origin(link) != _origin(base)
        except ValueError as error:
            message = f"Partner Center pointed to {shown(path)}, which is not a URL: {error}"
            raise ForeignLink(message) from error
        if foreign:
            message = (
                f"Partner Center pointed to {shown(f'{link.scheme}://{link.netloc}')}, expected a "
                f"link to {base.scheme}://{base.netloc}: not followed, because the token must not "
                "go there"
            )
            raise ForeignLink(message)
        relative = urlunsplit(("", "", link.path.lstrip("/"), link.query, ""))
        return urljoin(self._base, "./" + _VERSION.sub("", relative).lstrip("/"))

    def _send(self, request: _Request, auth: _Bearer, deadline: Deadline) -> _Received:
        left = deadline.left
        try:
            with (
                limited(deadline),
                self._session.request(
                    request.method,
                    request.url,
                    json=request.body,
                    headers=request.headers,
                    auth=auth,
                    timeout=(min(CONNECT_TIMEOUT_SECONDS, left), min(READ_TIMEOUT_SECONDS, left)),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                return _received(response)
        except requests.RequestException as error:
            raise _no_response(request, error) from error

    def _error(self, request: _Request, response: _Received) -> ErrorStatus:
        code, description = error_text(response.content, response.headers)
        retry_after = retry_after_seconds(response.headers.get("Retry-After"))
        if retry_after is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            retry_after = min(retry_after, LONGEST_THROTTLED_SECONDS)
        error_response = ErrorResponse(
            method=request.method,
            path=request.path,
            status=response.status_code,
            code=code,
            description=description,
            retry_after=retry_after,
            request_id=request.headers["MS-RequestId"],
        )
        error = error_of(error_response)
        if isinstance(error, Throttled):
            hold = DEFAULT_RETRY_AFTER_SECONDS if retry_after is None else retry_after
            self._budget.pause(min(hold, LONGEST_HOLD_SECONDS))
        return error


def _received(response: requests.Response) -> _Received:
    content, complete = bytearray(), True
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > MOST_BYTES:
            complete = False
            break
    return _Received(response.status_code, response.headers, bytes(content), complete)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    """Return what makes two URLs go to the same place; raises ValueError for an odd port."""
    port = url.port or {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.hostname, port, url.username


def _no_response(request: _Request, error: requests.RequestException) -> NoResponse:
    cause = error.args[0] if error.args else None
    call = f"{request.method} {request.url}"
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
        return TimedOut(f"{call} got no response in time: {error}", may_be_done=True)
    unconnected = isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(cause, "reason", None), NewConnectionError
    )
    if unconnected:
        return NoResponse(f"{call} was not sent: {error}", may_be_done=False)
    return NoResponse(f"{call} got no response: {error}", may_be_done=True)


def _is_401(error: PartnerCenterError) -> bool:
    return isinstance(error, ErrorStatus) and error.response.status == HTTPStatus.UNAUTHORIZED


def _passes_soon(error: PartnerCenterError) -> bool:
    """Whether a repeat within seconds may succeed, and nothing asks for a longer wait."""
    if isinstance(error, ErrorStatus):
        soon = (error.retry_after or 0) <= _LONGEST_PAUSE_SECONDS
        return error.response.status in _REPEATED and soon
    return isinstance(error, NoResponse) and not isinstance(error, TimedOut)
