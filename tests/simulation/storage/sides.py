"""The real client libraries on the model and on Azurite, to compare what they see."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from random import Random
from time import sleep
from typing import Any, Final, Self

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from tests.simulation.storage.account import Storage
from tests.simulation.storage.http import Request

START: Final = datetime(2026, 11, 28, 9, tzinfo=UTC)
TICK: Final = timedelta(milliseconds=5)


class VirtualClock:
    """A clock that only moves on request."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class ModelAdapter(HTTPAdapter):
    """Carries the requests of a session to the model; each takes a moment of virtual time."""

    def __init__(self, storage: Storage, clock: VirtualClock) -> None:
        super().__init__()
        self._storage = storage
        self._clock = clock

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        self._clock.advance(TICK.total_seconds())
        body = request.body or b""
        response = self._storage.respond(
            Request(
                method=request.method or "",
                url=request.url or "",
                headers=request.headers,
                body=body.encode() if isinstance(body, str) else bytes(body),
            )
        )
        raw = HTTPResponse(
            body=BytesIO(response.body),
            headers=dict(response.headers),
            status=response.status,
            reason=HTTPStatus(response.status).phrase,
            preload_content=False,
        )
        return self.build_response(request, raw)


@dataclass(frozen=True)
class Side:
    """The clients of one account, its time and a way to let time pass."""

    tables: TableServiceClient
    queues: QueueServiceClient
    now: Callable[[], datetime]
    wait: Callable[[float], None]

    @classmethod
    def model(cls) -> Self:
        """Give an empty account of the model."""
        clock = VirtualClock()
        storage = Storage(clock.now, Random(1))
        session = requests.Session()
        session.mount("http://", ModelAdapter(storage, clock))
        clients = _clients(
            storage.connection_string,
            transport=RequestsTransport(session=session, session_owner=False),
        )
        return cls(*clients, now=clock.now, wait=clock.advance)

    @classmethod
    def azurite(cls, connection_string: str) -> Self:
        """Give an account of Azurite."""
        return cls(*_clients(connection_string), now=lambda: datetime.now(UTC), wait=sleep)


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result of a call, or the failure that the client reports."""
    try:
        return call()
    except (AzureError, ValueError) as error:
        return Failure.of(error)


@dataclass(frozen=True)
class Failure:
    """A failed call as the client reports it; `index` is that of the operation in a batch."""

    error: str
    status: int | None = None
    code: str | None = None
    index: int | None = None

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Describe an error of a client."""
        response = getattr(error, "response", None)
        # The tables client does not read the code of every refusal.
        code = getattr(error, "error_code", None) or (
            None if response is None else response.headers.get("x-ms-error-code")
        )
        return cls(
            error=type(error).__name__,
            status=getattr(error, "status_code", None),
            code=getattr(code, "value", code),
            index=getattr(error, "index", None),
        )


class Roles:
    """Names an ETag or a receipt by its role, not by its text."""

    def __init__(self) -> None:
        self._known: dict[object, list[str]] = {}

    def notice(self, subject: object, value: str | None) -> str:
        """Remember a value; say whether it is the last one, an older one or another."""
        known = self._known.setdefault(subject, [])
        if not value:
            return "none"
        if value in known:
            return "same" if value == known[-1] else "stale"
        known.append(value)
        return "changed"

    def recall(self, subject: object, role: str, otherwise: str) -> str:
        """Return the last value or the first one that is stale."""
        known = self._known.get(subject, [])
        if role == "current":
            return known[-1] if known else otherwise
        return known[0] if len(known) > 1 else otherwise


def _clients(
    connection_string: str, **options: Any
) -> tuple[TableServiceClient, QueueServiceClient]:
    options = {"retry_total": 0, **options}
    return (
        TableServiceClient.from_connection_string(connection_string, **options),
        QueueServiceClient.from_connection_string(connection_string, **options),
    )
