"""HTTP triggers and the admin endpoints, on Starlette.

No keys are required, as with Core Tools on a developer's machine.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Final

from azure.functions import HttpMethod
from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as WebRoute

from local.host.loading import Function, OnMessage, OnRequest, OnSchedule
from local.host.worker import Worker

# The default limit of the real host (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT).
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
TIME_TO_LIVE: Final = timedelta(days=7)

log = logging.getLogger(__name__)


def web_app(functions: Sequence[Function], *, route_prefix: str, worker: Worker) -> Starlette:
    """Serve the HTTP functions below the prefix and the admin endpoints below /admin."""
    admin = Admin(functions, worker)
    triggered = [
        (function, function.trigger)
        for function in functions
        if isinstance(function.trigger, OnRequest)
    ]
    # Starlette takes the first route that matches; the real host prefers words to parameters.
    triggered.sort(key=lambda pair: pair[1].route.precedence)
    routes = [
        WebRoute("/admin/functions", admin.show, methods=["GET"]),
        WebRoute("/admin/functions/{name}", admin.run, methods=["POST"]),
        *(_route(function, trigger, route_prefix, worker) for function, trigger in triggered),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _without_body})


def _route(function: Function, trigger: OnRequest, route_prefix: str, worker: Worker) -> WebRoute:
    methods = trigger.methods or {str(method) for method in HttpMethod}
    route = WebRoute(
        trigger.route.path(route_prefix),
        _endpoint(function, worker),
        methods=methods,
        max_body_size=MAX_BODY_BYTES,
    )
    route.methods = set(methods)  # Starlette adds HEAD to GET; the real host does not
    return route


def _endpoint(function: Function, worker: Worker) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        call = worker.submit(function, await _as_seen_by_function(request))
        try:
            result = await asyncio.wrap_future(call)
        except Exception:  # noqa: BLE001 - already logged by the worker
            return Response(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            return _as_sent(result)
        except NotImplementedError:
            log.error("%s returned %r; expected HttpResponse or str", function.name, result)  # noqa: TRY400 - a traceback would add nothing
            return Response(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)

    return respond


async def _as_seen_by_function(request: Request) -> HttpRequest:
    # Repeated headers and parameters are joined by commas, as in the real host.
    return HttpRequest(
        request.method,
        str(request.url),
        headers={name: ",".join(request.headers.getlist(name)) for name in request.headers},
        params={
            name: ",".join(request.query_params.getlist(name)) for name in request.query_params
        },
        route_params={name: str(value) for name, value in request.path_params.items()},
        body_type="bytes",
        body=await request.body(),
    )


def _as_sent(result: object) -> Response:
    """Convert what a function returned; raises NotImplementedError for a wrong type."""
    datum = HttpResponseConverter.encode(result, expected_type=None)
    if isinstance(datum.value, str):
        return PlainTextResponse(datum.value)
    response = Response(
        datum.value["body"].value,
        int(datum.value["status_code"].value),
        {name: header.value for name, header in datum.value["headers"].items()},
    )
    cookies: list[SimpleCookie] = datum.value["cookies"] or []
    for morsel in (morsel for cookie in cookies for morsel in cookie.values()):
        response.headers.append("Set-Cookie", morsel.OutputString())
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

    def __init__(self, functions: Sequence[Function], worker: Worker) -> None:
        self._functions = {function.name: function for function in functions}
        self._worker = worker

    async def show(self, _: Request) -> Response:
        """Handle `GET /admin/functions`."""
        return JSONResponse([_description(function) for function in self._functions.values()])

    async def run(self, request: Request) -> Response:
        """Handle `POST /admin/functions/<name>` with a body `{"input": "…"}`; do not wait."""
        function = self._functions.get(request.path_params["name"])
        if function is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        text = await _input(request)
        match function.trigger:
            case OnMessage():
                self._worker.submit(function, _message(text))
            case OnSchedule():
                self._worker.submit(function, TimerRequest())
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


def _message(text: str) -> QueueMessage:
    now = datetime.now(UTC)
    return QueueMessage(
        id=str(uuid.uuid4()),
        body=text,
        dequeue_count=1,
        expiration_time=now + TIME_TO_LIVE,
        insertion_time=now,
        time_next_visible=now,
        pop_receipt="",
    )


def _description(function: Function) -> Mapping[str, object]:
    match function.trigger:
        case OnMessage(queue):
            return {"name": function.name, "trigger": "queueTrigger", "queue": queue}
        case OnSchedule(schedule):
            expression = schedule.expression
            return {"name": function.name, "trigger": "timerTrigger", "schedule": expression}
        case OnRequest(route, methods):
            return {
                "name": function.name,
                "trigger": "httpTrigger",
                "route": route.template,
                "methods": sorted(methods),
            }
