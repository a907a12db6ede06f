"""The middleware around every call: latency, faults, response IDs and the call log."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.simulator.calls import WRITES, Call, CallLog, Notes
from local.simulator.faults import Fault, FaultQueue
from local.simulator.state.world import World

PREFIX = "/_simulator"


@dataclass
class RecordedResponse:
    """A response of the app, buffered so that a fault can replace or drop it."""

    start: Message
    body: bytes

    @classmethod
    async def of(cls, app: ASGIApp, scope: Scope, receive: Receive) -> "RecordedResponse":
        """Run the app and capture what it sends."""
        recorded = cls({}, b"")

        async def capture(message: Message) -> None:
            if message["type"] == "http.response.start":
                recorded.start = message
            else:
                recorded.body += message.get("body", b"")

        await app(scope, receive, capture)
        return recorded

    async def send(self, send: Send, headers: dict[str, str]) -> None:
        """Send the response with these headers added."""
        added = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({**self.start, "headers": [*self.start["headers"], *added]})
        await send({"type": "http.response.body", "body": self.body})


class Exchange:
    """The middleware; control routes bypass the faults and the call log."""

    def __init__(self, app: ASGIApp, world: World, faults: FaultQueue, log: CallLog) -> None:
        self._app = app
        self._world = world
        self._faults = faults
        self._log = log
        self._chance = Random(0)  # noqa: S311 - spreads latencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        begun = self._log.mark()
        scope["notes"] = Notes()
        # Reading the body consumes it, so the app gets a copy.
        whole_body = _replayed(await request.body())
        fault = self._faults.take(request.method, request.url.path)
        await self._wait(fault)
        recorded = await self._recorded(request, whole_body, fault)
        dropped = fault is not None and fault.drop
        headers = _response_ids(request)
        # Logged before it is sent: a caller that has the response must find its call in the log.
        status = None if dropped else recorded.start["status"]
        self._log_call(request, begun, headers, status, fault)
        if dropped:
            await _drop(scope, receive)
        else:
            await recorded.send(send, headers)

    async def _wait(self, fault: Fault | None) -> None:
        behaviour = self._world.behaviour
        longest = max(behaviour.latency_ms, behaviour.latency_up_to_ms)
        seconds = self._chance.uniform(behaviour.latency_ms, longest) / 1000
        if fault:
            seconds += fault.delay_seconds
        if seconds:
            await asyncio.sleep(seconds)

    async def _recorded(
        self, request: Request, receive: Receive, fault: Fault | None
    ) -> RecordedResponse:
        if fault is None or not fault.replaces:
            return await RecordedResponse.of(self._app, request.scope, receive)
        if fault.performed:
            await RecordedResponse.of(self._app, request.scope, receive)
        return await RecordedResponse.of(fault.response(), request.scope, receive)

    def _log_call(
        self,
        request: Request,
        begun: int,
        ids: dict[str, str],
        status: int | None,
        fault: Fault | None,
    ) -> None:
        path = request.url.path
        is_api_call = path.startswith("/v1")
        if not is_api_call and not path.endswith("/token"):
            return
        notes: Notes = request.scope["notes"]
        self._log.add(
            Call(
                time=self._world.clock.now(),
                method=request.method,
                path=path,
                query=request.url.query,
                status=status,
                code=None if fault and fault.replaces else notes.code,
                request_id=ids.get("MS-RequestId"),
                correlation_id=ids.get("MS-CorrelationId"),
                partner_tenant_id=notes.partner_tenant_id,
                app_only=notes.app_only,
                is_write=is_api_call and request.method in WRITES,
                requested_status=notes.requested_status,
                fault=fault is not None,
            ),
            begun,
        )


def _replayed(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _response_ids(request: Request) -> dict[str, str]:
    if not request.url.path.startswith("/v1"):
        return {}
    return {
        "MS-RequestId": request.headers.get("ms-requestid") or str(uuid.uuid4()),
        "MS-CorrelationId": request.headers.get("ms-correlationid") or str(uuid.uuid4()),
        "MS-CV": f"{uuid.uuid4().hex[:16]}.0",
        "X-Locale": "en-US",
    }


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection, if there is one, and wait until the server has noticed."""
    abort: Callable[[], None] | None = scope.get("abort")
    if abort is None:
        return
    abort()
    # If the app returned before the disconnect, uvicorn would still send a 500.
    while (await receive())["type"] != "http.disconnect":
        pass
