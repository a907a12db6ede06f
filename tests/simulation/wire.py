"""The wire in memory, below the retries of urllib3.

Everything that the app and its libraries send passes through here. The seed decides what is
delayed, lost or damaged; the rest reaches the model of the service that it was sent to.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import urllib3
from greenlet import GreenletExit
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from tests.simulation.faults import Faults, Kind
from tests.simulation.log import Call, Log, Service
from tests.simulation.partner_center import PARTNER_CENTER_HOST, SIGN_IN_HOST, Reply
from tests.simulation.scheduler import Scheduler
from tests.simulation.storage.account import QUEUES_HOST, TABLES_HOST

_PATIENCE: Final = 300.0
_QUICK: Final = (0.002, 0.04)
_DRAGGING: Final = 0.04
_OUTLIVES: Final = 0.7
_HTML: Final = b"<html><body><h1>Service Unavailable</h1></body></html>"
_LOST: Final = {
    Service.PARTNER_CENTER: (
        Kind.REQUEST_LOST,
        Kind.RESPONSE_LOST,
        Kind.LATE_REQUEST,
        Kind.THROTTLED,
        Kind.SERVER_ERROR,
        Kind.ERROR_AFTER_EFFECT,
        Kind.ODD_BODY,
        Kind.SLOW,
    ),
    Service.SIGN_IN: (Kind.REQUEST_LOST, Kind.RESPONSE_LOST, Kind.SIGN_IN_ERROR, Kind.SLOW),
    Service.QUEUE: (Kind.REQUEST_LOST, Kind.RESPONSE_LOST, Kind.STORAGE_ERROR, Kind.SLOW),
    Service.TABLE: (Kind.REQUEST_LOST, Kind.RESPONSE_LOST, Kind.STORAGE_ERROR, Kind.SLOW),
}

Respond = Callable[["Ask"], Reply]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request in transit, and how long its sender waits."""

    pool: HTTPConnectionPool
    service: Service
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connect_timeout: float
    read_timeout: float


@dataclass(slots=True)
class Journey:
    """What has happened to a request so far.

    `there` and `back` are seconds; `outlives` says whether it arrives if its sender dies meanwhile.
    """

    left: int
    left_at: float
    there: float
    back: float
    outlives: bool
    fault: str = ""
    served: int = 0
    served_at: float = 0.0
    served_status: int = 0
    status: int | None = None
    received: bytes = b""
    served_body: bytes = b""
    retry_after: float = 0.0


@dataclass
class Outages:
    """The services that cannot be reached at the moment, and why.

    `retry_after` is what a service that throttles asks for, in seconds. `spares_host` says that the
    host still reaches its queues, and only the worker does not.
    """

    away: dict[Service, list[Kind]] = field(default_factory=dict)
    spares_host: bool = False
    retry_after: int = 0

    def begin(self, kind: Kind, services: Iterable[Service]) -> None:
        """Take services away."""
        for service in services:
            self.away.setdefault(service, []).append(kind)

    def end(self, kind: Kind, services: Iterable[Service]) -> None:
        """Give services back, unless they are away for another reason too."""
        for service in services:
            self.away[service].remove(kind)

    def of(self, service: Service) -> Kind | None:
        """Return why a service is away; None if it is not."""
        kinds = self.away.get(service)
        return kinds[-1] if kinds else None


class Wire:
    """Carries requests of actors to the models and their responses back."""

    def __init__(
        self, scheduler: Scheduler, log: Log, faults: Faults, chance: Random, respond: Respond
    ) -> None:
        self._scheduler = scheduler
        self._log = log
        self._faults = faults
        self._chance = chance
        self._respond = respond
        self.outages = Outages()
        self.after_call: Callable[[], None] = lambda: None
        self.calls = 0

    def carry(self, ask: Ask) -> Reply:
        """Return the response to a request of the running actor, or raise as urllib3 does."""
        self._scheduler.running()
        self._hazard()
        journey = self._journey()
        try:
            reply = self._travel(ask, journey)
            journey.status, journey.received = reply.status, reply.body
            journey.retry_after = float(reply.headers.get("Retry-After", 0))
            return reply
        finally:
            self._write_down(ask, journey)

    def _journey(self) -> Journey:
        # The draws are the same for each request, whatever becomes of it.
        there, back, outlives = self._latency(), self._latency(), self._chance.random() < _OUTLIVES
        return Journey(self._log.place(), self._scheduler.clock.now, there, back, outlives)

    def _hazard(self) -> None:
        """Count the call and trigger what the seed has scheduled for it."""
        self.calls += 1
        self.after_call()

    def _travel(self, ask: Ask, journey: Journey) -> Reply:
        kind = self._fault(ask)
        if kind is None:
            self._there(ask, journey)
            reply = self._serve(ask, journey)
            self._scheduler.sleep(journey.back)
            return reply
        journey.fault = kind.value
        return _CARRIED[kind](self, ask, journey)

    def _there(self, ask: Ask, journey: Journey) -> None:
        """Travel to the service; what has left may arrive although its sender has died."""
        try:
            self._scheduler.sleep(journey.there)
        except GreenletExit:
            if journey.outlives:
                self._arrive_late(ask, journey, journey.there)
            raise

    def _fault(self, ask: Ask) -> Kind | None:
        away = self.outages.of(ask.service)
        if away is not None:
            return away
        return self._faults.first(_LOST[ask.service])

    def _latency(self) -> float:
        seconds = self._chance.uniform(*_QUICK)
        return seconds * 30 if self._chance.random() < _DRAGGING else seconds

    def _serve(self, ask: Ask, journey: Journey) -> Reply:
        clock = self._scheduler.clock
        skew = clock.skew
        clock.look(0.0)
        reply = self._respond(ask)
        journey.served, journey.served_at = self._log.place(), clock.now
        journey.served_status, journey.served_body = reply.status, reply.body
        clock.look(skew)
        return reply

    def _write_down(self, ask: Ask, journey: Journey, *, late: bool = False) -> None:
        actor = self._scheduler.actor
        self._log.entries.append(
            Call(
                left=journey.left,
                served=journey.served,
                returned=0 if late or (actor and actor.killed) else self._log.place(),
                left_at=journey.left_at,
                served_at=journey.served_at,
                returned_at=self._scheduler.clock.now,
                process=actor.process.name if actor else "",
                run=actor.name if actor else "",
                service=ask.service,
                method=ask.method,
                path=ask.path,
                sent=ask.body,
                status=journey.status,
                served_status=journey.served_status,
                received=journey.received,
                served_body=journey.served_body,
                retry_after=journey.retry_after,
                fault=journey.fault,
            )
        )

    def _request_lost(self, ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        raise self._loss(ask)

    def _response_lost(self, ask: Ask, journey: Journey) -> Reply:
        self._there(ask, journey)
        self._serve(ask, journey)
        if self._faults.details[Kind.RESPONSE_LOST].random() < 0.5:
            self._scheduler.sleep(ask.read_timeout)
            raise ReadTimeoutError(ask.pool, ask.path, "Read timed out.")
        self._scheduler.sleep(journey.back)
        raise ConnectionResetError("Connection reset by peer")

    def _loss(self, ask: Ask) -> Exception:
        choice = self._faults.details[Kind.REQUEST_LOST].random()
        if choice < 0.4:
            return ConnectionResetError("Connection reset by peer")
        if choice < 0.7:
            self._scheduler.sleep(ask.connect_timeout)
            return ConnectTimeoutError("Connection timed out.")
        self._scheduler.sleep(ask.read_timeout)
        return ReadTimeoutError(ask.pool, ask.path, "Read timed out.")

    def _late_request(self, ask: Ask, journey: Journey) -> Reply:
        """Let the sender give up before the request takes effect."""
        stream = self._faults.details[Kind.LATE_REQUEST]
        self._arrive_late(ask, journey, ask.read_timeout + stream.expovariate(1 / 20))
        self._scheduler.sleep(ask.read_timeout)
        raise ReadTimeoutError(ask.pool, ask.path, "Read timed out.")

    def _arrive_late(self, ask: Ask, journey: Journey, seconds: float) -> None:
        """Let a request take effect without its sender."""
        late = replace(journey)
        actor = self._scheduler.actor

        def arrive() -> None:
            self._serve(ask, late)
            self._write_down(ask, late, late=True)

        self._scheduler.after(seconds, lambda: self._as(actor, arrive))

    def _as(self, actor: Any, act: Callable[[], None]) -> None:
        before, self._scheduler.actor = self._scheduler.actor, actor
        act()
        self._scheduler.actor = before

    def _slow(self, ask: Ask, journey: Journey) -> Reply:
        stream = self._faults.details[Kind.SLOW]
        journey.there, journey.back = stream.expovariate(1 / 12), stream.expovariate(1 / 12)
        if journey.there >= ask.read_timeout:
            self._scheduler.sleep(ask.read_timeout)
            raise ReadTimeoutError(ask.pool, ask.path, "Read timed out.")
        self._there(ask, journey)
        reply = self._serve(ask, journey)
        self._scheduler.sleep(min(journey.back, ask.read_timeout))
        if journey.back >= ask.read_timeout:
            raise ReadTimeoutError(ask.pool, ask.path, "Read timed out.")
        return reply

    def _throttled(self, _ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        stream = self._faults.details[Kind.THROTTLED]
        seconds = stream.choice((1, 5, 20, 60, 300)) if stream.random() < 0.7 else None
        return self._too_many(seconds)

    def _too_many(self, seconds: int | None) -> Reply:
        headers = {"Content-Type": "application/json"}
        if seconds is not None:
            headers["Retry-After"] = str(seconds)
        body = {"statusCode": 429, "message": "Rate limit is exceeded."}
        return Reply(429, headers, json.dumps(body).encode())

    def _server_error(self, _ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        return self._failure(Kind.SERVER_ERROR)

    def _error_after_effect(self, ask: Ask, journey: Journey) -> Reply:
        self._there(ask, journey)
        self._serve(ask, journey)
        self._scheduler.sleep(journey.back)
        return self._failure(Kind.ERROR_AFTER_EFFECT)

    def _failure(self, kind: Kind) -> Reply:
        stream = self._faults.details[kind]
        status = stream.choice((500, 502, 503, 504))
        body = stream.choice((_HTML, b"", b'{"code":"2000","description":"Unknown error"}'))
        return Reply(status, {"Content-Type": "text/html"}, body)

    def _odd_body(self, ask: Ask, journey: Journey) -> Reply:
        self._there(ask, journey)
        status, body = self._faults.details[Kind.ODD_BODY].choice(
            ((200, _HTML), (200, b""), (404, b'{"statusCode": 404, "message": "Not Found"}'))
        )
        if status == 200:
            if ask.method == "DELETE":
                return self._failure(Kind.ODD_BODY)
            self._serve(ask, journey)
        return Reply(status, {"Content-Type": "text/html"}, body)

    def _storage_error(self, ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        status, code = self._faults.details[Kind.STORAGE_ERROR].choice(
            ((500, "InternalError"), (503, "ServerBusy"))
        )
        headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"
        if ask.service is Service.TABLE:
            headers["Content-Type"] = "application/json"
            body = json.dumps({"odata.error": {"code": code, "message": {"value": "m"}}})
        return Reply(status, headers, body.encode())

    def _sign_in_error(self, _ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        return self._failure(Kind.SIGN_IN_ERROR)

    def _away(self, ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        stream = self._faults.details[Kind(journey.fault)]
        if ask.service is Service.PARTNER_CENTER and stream.random() < 0.7:
            return Reply(503, {"Content-Type": "text/html"}, _HTML)
        if stream.random() < 0.3:
            self._scheduler.sleep(ask.connect_timeout)
            raise ConnectTimeoutError("Connection timed out.")
        connection: Any = None
        raise NewConnectionError(connection, "Connection refused")

    def _throttling(self, _ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        return self._too_many(self.outages.retry_after)

    def _sign_in_refused(self, _ask: Ask, journey: Journey) -> Reply:
        self._scheduler.sleep(journey.there)
        body = {
            "error": "invalid_client",
            "error_description": "AADSTS7000222: The provided client secret keys are expired.",
            "error_codes": [7000222],
        }
        return Reply(401, {"Content-Type": "application/json"}, json.dumps(body).encode())


_CARRIED: Final[Mapping[Kind, Callable[[Wire, Ask, Journey], Reply]]] = {
    Kind.REQUEST_LOST: Wire._request_lost,
    Kind.RESPONSE_LOST: Wire._response_lost,
    Kind.LATE_REQUEST: Wire._late_request,
    Kind.SLOW: Wire._slow,
    Kind.THROTTLED: Wire._throttled,
    Kind.SERVER_ERROR: Wire._server_error,
    Kind.ERROR_AFTER_EFFECT: Wire._error_after_effect,
    Kind.ODD_BODY: Wire._odd_body,
    Kind.STORAGE_ERROR: Wire._storage_error,
    Kind.SIGN_IN_ERROR: Wire._sign_in_error,
    Kind.STORAGE_AWAY: Wire._away,
    Kind.PARTNER_CENTER_AWAY: Wire._away,
    Kind.SIGN_IN_REFUSED: Wire._sign_in_refused,
    Kind.THROTTLING: Wire._throttling,
}


class Socket:
    """Replaces the connections of urllib3: passes everything to the wire of the current run."""

    def __init__(self) -> None:
        self.wire: Wire | None = None

    def install(self) -> None:
        """Replace the network for the rest of the process."""
        socket = self

        def make_request(
            pool: HTTPConnectionPool, _connection: object, method: str, url: str, **more: Any
        ) -> urllib3.HTTPResponse:
            return socket.exchange(pool, method, url, more)

        HTTPConnectionPool._make_request = make_request  # type: ignore[assignment]

    def exchange(
        self, pool: HTTPConnectionPool, method: str, url: str, more: Mapping[str, Any]
    ) -> urllib3.HTTPResponse:
        """Send a request for urllib3, and return or raise what urllib3 expects."""
        if self.wire is None:
            raise RuntimeError(f"{method} {pool.host}{url}: no simulation is running")
        timeout = more["timeout"]
        ask = Ask(
            pool=pool,
            service=_service(pool),
            method=method,
            path=url,
            headers=dict(more["headers"] or {}),
            body=_content(more["body"]),
            connect_timeout=timeout.connect_timeout or _PATIENCE,
            read_timeout=timeout.read_timeout or _PATIENCE,
        )
        reply = self.wire.carry(ask)
        return urllib3.HTTPResponse(
            body=io.BytesIO(reply.body),
            headers=reply.headers,
            status=reply.status,
            version=11,
            reason="",
            preload_content=False,
            decode_content=more["decode_content"],
            request_method=method,
        )


def _service(pool: HTTPConnectionPool) -> Service:
    host = pool.host if pool.scheme == "https" else f"{pool.host}:{pool.port}"
    if host == PARTNER_CENTER_HOST:
        return Service.PARTNER_CENTER
    if host == SIGN_IN_HOST:
        return Service.SIGN_IN
    if host == QUEUES_HOST:
        return Service.QUEUE
    if host == TABLES_HOST:
        return Service.TABLE
    raise RuntimeError(f"no model for the host {host}")


def _content(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    raise TypeError(f"the body is a {type(body).__name__}: expected str or bytes")
