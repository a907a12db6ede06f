"""HTTP triggers and the admin endpoints."""

import http.client
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import azure.functions as func
import pytest
import requests

from local.host import Host
from tests.host.sample import STORAGE, eventually, new_queue, run

SECONDS = 10


def http_app(
    handler: Callable[[func.HttpRequest], object],
    *,
    route: str = "things/{id}",
    methods: tuple[str, ...] = ("GET", "POST"),
) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.route(route=route, methods=methods)
    def things(req: func.HttpRequest) -> func.HttpResponse:
        return handler(req)  # type: ignore[return-value] # some tests return nonsense

    return app


def respond_ok(_: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")


@pytest.fixture(scope="module")
def plain() -> Iterator[Host]:
    """Share one host among tests that need neither storage nor their own function."""
    with run(http_app(respond_ok), "no storage") as host:
        yield host


def test_a_function_sees_the_request(storage: str) -> None:
    seen: list[func.HttpRequest] = []

    def keep(request: func.HttpRequest) -> func.HttpResponse:
        seen.append(request)
        return func.HttpResponse()

    with run(http_app(keep), storage) as host:
        url = f"{host.url}/api/things/7?state=done&state=stuck"
        requests.post(url, json={"a": 1}, headers={"X-Colour": "red"}, timeout=SECONDS)

    (request,) = seen
    assert request.method == "POST"
    assert request.url == url
    assert request.route_params == {"id": "7"}
    assert request.params["state"] == "done,stuck"
    assert request.headers["x-colour"] == "red"
    assert request.get_json() == {"a": 1}


def test_a_body_that_is_not_json_raises_in_the_function(storage: str) -> None:
    def parse(request: func.HttpRequest) -> func.HttpResponse:
        with pytest.raises(ValueError, match="JSON"):
            request.get_json()
        return func.HttpResponse("raised")

    with run(http_app(parse), storage) as host:
        response = requests.post(f"{host.url}/api/things/7", data=b"{", timeout=SECONDS)

    assert response.text == "raised"


def test_a_response_is_sent_as_the_function_made_it(storage: str) -> None:
    def respond(_: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(
            '{"title": "gone"}',
            status_code=410,
            mimetype="application/problem+json",
            headers={"Retry-After": "5", "Set-Cookie": "a=b; Path=/"},
        )

    with run(http_app(respond), storage) as host:
        response = requests.get(f"{host.url}/api/things/7", timeout=SECONDS)

    assert response.status_code == 410
    assert response.json() == {"title": "gone"}
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "5"
    assert response.cookies["a"] == "b"


def test_text_is_a_response(storage: str) -> None:
    with run(http_app(lambda _: "plain"), storage) as host:
        response = requests.get(f"{host.url}/api/things/7", timeout=SECONDS)

    assert (response.status_code, response.text) == (200, "plain")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_a_method_that_is_not_listed_is_not_found(plain: Host, method: str) -> None:
    response = requests.request(method, f"{plain.url}/api/things/7", timeout=SECONDS)

    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("path", ["/things/7", "/api/things", "/api/things/7/8", "/"])
def test_a_path_that_no_route_has_is_not_found(plain: Host, path: str) -> None:
    assert requests.get(plain.url + path, timeout=SECONDS).status_code == 404


def test_without_methods_every_method_is_served(storage: str) -> None:
    app = func.FunctionApp()

    @app.route()
    def anything(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.method)

    with run(app, storage) as host:
        response = requests.patch(f"{host.url}/api/anything", timeout=SECONDS)

    assert response.text == "PATCH"


@pytest.mark.parametrize("result", [None, 7, {"a": 1}])
def test_a_response_of_the_wrong_type_is_a_500_without_a_body(storage: str, result: object) -> None:
    with run(http_app(lambda _: result), storage) as host:
        response = requests.get(f"{host.url}/api/things/7", timeout=SECONDS)

    assert (response.status_code, response.content) == (500, b"")


def test_an_exception_is_a_500_without_a_body_and_is_logged(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: func.HttpRequest) -> object:
        raise ValueError("fails on purpose")

    with run(http_app(fail), storage) as host:
        response = requests.get(f"{host.url}/api/things/7", timeout=SECONDS)

    assert (response.status_code, response.content) == (500, b"")
    assert "fails on purpose" in caplog.text


def test_a_word_goes_before_a_parameter(storage: str) -> None:
    app = func.FunctionApp()

    @app.route(route="things/{id}")
    def one(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.route_params["id"])

    @app.route(route="things/all")
    def every(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"every one of {req.url}")

    with run(app, storage) as host:
        response = requests.get(f"{host.url}/api/things/all", timeout=SECONDS)

    assert response.text.startswith("every one")


def test_a_body_past_100_mb_is_rejected(plain: Host) -> None:
    address = urlsplit(plain.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=SECONDS)
    connection.putrequest("POST", "/api/things/7")
    connection.putheader("Content-Length", str(100 * 1024 * 1024 + 1))
    connection.endheaders()

    assert connection.getresponse().status == 413
    connection.close()


def test_the_context_describes_the_call(storage: str) -> None:
    app = func.FunctionApp()
    seen: list[func.Context] = []

    @app.route(route="context")
    def named(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        seen.append(context)
        assert vars(context.thread_local_storage)["invocation_id"] == context.invocation_id
        return func.HttpResponse(req.method)

    with run(app, storage) as host:
        for _ in range(2):
            requests.get(f"{host.url}/api/context", timeout=SECONDS).raise_for_status()

    first, second = seen
    assert first.function_name == "named"
    assert first.function_directory == str(Path(__file__).parent)
    assert first.invocation_id != second.invocation_id


def test_a_request_in_progress_is_completed_while_the_host_stops(storage: str) -> None:
    begun, responses = threading.Event(), []

    def slow(_: func.HttpRequest) -> func.HttpResponse:
        begun.set()
        threading.Event().wait(0.3)
        return func.HttpResponse("ok")

    with run(http_app(slow), storage) as host:
        url = f"{host.url}/api/things/7"
        caller = threading.Thread(
            target=lambda: responses.append(requests.get(url, timeout=SECONDS).text)
        )
        caller.start()
        assert begun.wait(5)
    caller.join()

    assert responses == ["ok"]


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def mixed(storage: str, seen: list[object]) -> Iterator[Host]:
    new_queue(storage, "work")
    app = http_app(respond_ok, methods=("GET",))

    @app.queue_trigger(arg_name="msg", queue_name="work", connection=STORAGE)
    def work(msg: func.QueueMessage) -> None:
        seen.append(msg)

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    def tick(timer: func.TimerRequest) -> None:
        seen.append(timer)

    with run(app, storage) as host:
        yield host


def test_the_functions_are_listed(mixed: Host) -> None:
    listed = requests.get(f"{mixed.url}/admin/functions", timeout=SECONDS).json()

    assert listed == [
        {"name": "things", "trigger": "httpTrigger", "route": "things/{id}", "methods": ["GET"]},
        {"name": "work", "trigger": "queueTrigger", "queue": "work"},
        {"name": "tick", "trigger": "timerTrigger", "schedule": "0 0 0 1 1 *"},
    ]
    assert mixed.functions == ("things", "work", "tick")
    assert mixed.queues == ("work",)


def test_a_queue_function_is_run_by_hand(mixed: Host, seen: list[object]) -> None:
    response = requests.post(
        f"{mixed.url}/admin/functions/work", json={"input": "hello"}, timeout=SECONDS
    )

    assert (response.status_code, response.content) == (202, b"")
    eventually(lambda: len(seen) == 1)
    (message,) = seen
    assert isinstance(message, func.QueueMessage)
    assert message.get_body() == b"hello"
    assert message.dequeue_count == 1


def test_a_timer_is_run_by_hand(mixed: Host, seen: list[object]) -> None:
    response = requests.post(
        f"{mixed.url}/admin/functions/tick", json={"input": ""}, timeout=SECONDS
    )

    assert response.status_code == 202
    eventually(lambda: len(seen) == 1)
    assert isinstance(seen[0], func.TimerRequest)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("other", b'{"input": ""}', 404),
        ("things", b'{"input": ""}', 400),
        ("work", b"", 400),
        ("work", b"[]", 400),
        ("work", b"{}", 400),
        ("work", b'{"input": 7}', 400),
    ],
)
def test_an_invalid_run_by_hand_is_rejected(
    mixed: Host, seen: list[object], name: str, body: bytes, status: int
) -> None:
    response = requests.post(f"{mixed.url}/admin/functions/{name}", data=body, timeout=SECONDS)

    assert response.status_code == status
    assert seen == []


def test_no_key_is_required(plain: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    assert requests.get(f"{plain.url}/api/things/7", timeout=SECONDS).status_code == 200
    assert caplog.text == ""
