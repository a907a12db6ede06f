"""HTTP triggers and the admin endpoints, on Starlette.

No keys are required, as with Core Tools on a developer's machine.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPMethod, HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as WebRoute

from local.host import calls
from local.host.calls import Worker
from local.host.triggers import OnMessage, OnRequest, OnSchedule, Trigger

# The default limit of the real host (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT).
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
TIME_TO_LIVE: Final = timedelta(days=7)
# Those that the real host serves where a trigger names none.
METHODS: Final[frozenset[str]] = frozenset(HTTPMethod) - {HTTPMethod.CONNECT, HTTPMethod.TRACE}


def web_app(worker: Worker, *, route_prefix: str) -> Starlette:
    """Serve the HTTP functions below the prefix and the admin endpoints below /admin."""
    admin = Admin(worker)
    triggered = [
        (function, trigger)
        for function, trigger in worker.triggers.items()
        if isinstance(trigger, OnRequest)
    ]
    # Starlette takes the first route that matches; the real host prefers words to parameters.
    triggered.sort(key=lambda pair: pair[1].route.precedence)
    routes = [
        WebRoute("/admin/functions", admin.show, methods=["GET"]),
        WebRoute("/admin/functions/{name}", admin.run, methods=["POST"]),
        *(_route(function, trigger, route_prefix, worker) for function, trigger in triggered),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _without_body})


def _route(function: str, trigger: OnRequest, route_prefix: str, worker: Worker) -> WebRoute:
    methods = trigger.methods or METHODS
    route = WebRoute(
        trigger.route.path(route_prefix),
        _endpoint(function, worker),
        methods=methods,
        max_body_size=MAX_BODY_BYTES,
    )
    route.methods = set(methods)  # Starlette adds HEAD to GET; the real host does not
    return route


def _endpoint(function: str, worker: Worker) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        call = worker.submit(function, await _event(request))
        try:
            result = await asyncio.wrap_future(call)
        except Exception:  # noqa: BLE001 - already logged by the worker
            result = None
        if result is None:
            return Response(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)
        return _as_sent(result)

    return respond


async def _event(request: Request) -> calls.Request:
    # Repeated headers and parameters are joined by commas, as in the real host.
    return calls.Request(
        request.method,
        str(request.url),
        headers={name: ",".join(request.headers.getlist(name)) for name in request.headers},
        params={
            name: ",".join(request.query_params.getlist(name)) for name in request.query_params
        },
        route_params={name: str(value) for name, value in request.path_params.items()},
        body=await request.body(),
    )


def _as_sent(result: calls.Response) -> Response:
    response = Response(result.body, result.status, result.headers)
    for cookie in result.cookies:
        response.headers.append("Set-Cookie", cookie)
    return response


async def _without_body(_: Request, error: Exception) -> Response:
    """Respond like the real host: 404, not 405, for a method that no function serves."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response(
        status_code=HTTPStatus.NOT_FOUND if status == HTTPStatus.METHOD_NOT_ALLOWED else status
    )


class Admin:
    """Lists the functions and runs those that have no HTTP trigger.

    https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
    """

    def __init__(self, worker: Worker) -> None:
        self._triggers = worker.triggers
        self._worker = worker

    async def show(self, _: Request) -> Response:
        """Handle `GET /admin/functions`."""
        return JSONResponse([_description(*each) for each in self._triggers.items()])

    async def run(self, request: Request) -> Response:
        """Handle `POST /admin/functions/<name>` with a body `{"input": "…"}`; do not wait."""
        name = request.path_params["name"]
        if name not in self._triggers:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        text = await _input(request)
        match self._triggers[name]:
            case OnMessage():
                self._worker.submit(name, _message(text))
            case OnSchedule():
                self._worker.submit(name, calls.Tick())
            case OnRequest(route):
                raise HTTPException(HTTPStatus.BAD_REQUEST, f"call {route.template} instead")
        return Response(status_code=HTTPStatus.ACCEPTED)


async def _input(request: Request) -> str:
    try:
        text = (await request.json())["input"]
    except (ValueError, TypeError, KeyError):
        text = None
    if not isinstance(text, str):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return text


def _message(text: str) -> calls.Message:
    now = datetime.now(UTC)
    return calls.Message(
        id=str(uuid.uuid4()),
        body=text.encode(),
        dequeue_count=1,
        expiration_time=now + TIME_TO_LIVE,
        insertion_time=now,
        time_next_visible=now,
        pop_receipt="",
    )


def _description(name: str, trigger: Trigger) -> Mapping[str, object]:
    match trigger:
        case OnMessage(queue=queue):
            return {"name": name, "trigger": "queueTrigger", "queue": queue}
        case OnSchedule(schedule):
            return {"name": name, "trigger": "timerTrigger", "schedule": schedule.expression}
        case OnRequest(route, methods):
            return {
                "name": name,
                "trigger": "httpTrigger",
                "route": route.template,
                "methods": sorted(methods),
            }
