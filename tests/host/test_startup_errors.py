"""What the real host or worker rejects when it loads an app is rejected here too.

Most of it passes a syntax check and any test that calls the function.
"""

import functools
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import azure.functions as func
import pytest

from local.host.errors import StartupError
from local.host.loading import find_app, load
from tests.host.sample import STORAGE

SETTINGS = {STORAGE: "UseDevelopmentStorage=true", "QUEUE": "work", "SCHEDULE": "0 0 3 * * *"}

# The functions below are never called; their parameters only name the bindings.
# ruff: noqa: ARG001


def queue_app(
    function: Callable[..., object],
    *,
    name: str = "handle",
    queue: str = "work",
    connection: str = STORAGE,
) -> func.FunctionApp:
    app = func.FunctionApp()
    trigger = app.queue_trigger(arg_name="msg", queue_name=queue, connection=connection)
    app.function_name(name)(trigger(function))
    return app


def http_app(function: Callable[..., object], *, route: str = "things") -> func.FunctionApp:
    app = func.FunctionApp()
    app.function_name("respond")(app.route(route=route)(function))
    return app


def handle(msg: func.QueueMessage) -> None: ...


def with_context(msg: func.QueueMessage, context: func.Context) -> None: ...


def bare(msg, context):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - annotations are optional
    ...


def resolvable(msg: "func.QueueMessage") -> "int | None": ...


def texts(req: func.HttpRequest) -> str:
    return ""


@pytest.mark.parametrize("function", [handle, with_context, bare, resolvable])
def test_a_queue_function_loads(function: Callable[..., object]) -> None:
    (loaded,) = load(queue_app(function), SETTINGS)

    assert loaded.name == "handle"
    assert loaded.parameter == "msg"
    assert loaded.takes_context is (function in (with_context, bare))


def test_a_function_that_returns_text_loads() -> None:
    assert load(http_app(texts), SETTINGS)


def test_settings_between_percent_signs_are_filled_in() -> None:
    app = queue_app(handle, queue="%QUEUE%-today")

    @app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
    def tick(timer: func.TimerRequest) -> None: ...

    queue, timer = load(app, SETTINGS)

    assert getattr(queue.trigger, "queue", None) == "work-today"
    assert getattr(timer.trigger, "schedule", None) is not None


@pytest.mark.parametrize("name", ["9lives", "with space", "a" * 129, "host", "Host", "naïve"])
def test_a_wrong_name_is_rejected(name: str) -> None:
    with pytest.raises(StartupError, match="a function name is"):
        load(queue_app(handle, name=name), SETTINGS)


@pytest.mark.parametrize("second", ["handle", "HANDLE"])
def test_a_name_given_twice_is_rejected(second: str) -> None:
    app = queue_app(handle)
    app.register_functions(_blueprint(second))

    with pytest.raises(StartupError, match=r"unique|two functions"):
        load(app, SETTINGS)


def _blueprint(name: str) -> func.Blueprint:
    blueprint = func.Blueprint()

    @blueprint.function_name(name)
    @blueprint.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")
    def tick(timer: func.TimerRequest) -> None: ...

    return blueprint


def test_an_app_is_loaded_once_only() -> None:
    app = queue_app(handle)
    load(app, SETTINGS)

    with pytest.raises(StartupError, match="unique"):
        load(app, SETTINGS)


def test_a_function_without_a_trigger_is_rejected() -> None:
    app = func.FunctionApp()
    app.function_name("idle")(handle)

    with pytest.raises(StartupError, match="idle does not have a trigger"):
        load(app, SETTINGS)


def unbound(msg: func.QueueMessage, attempt: int = 1) -> None: ...


def nothing() -> None: ...


def wrong_context(msg: func.QueueMessage, context: str) -> None: ...


def optional(msg: func.QueueMessage | None) -> None: ...


def wrong_class(msg: func.TimerRequest) -> None: ...


def anything(msg: typing.Any) -> None: ...


def text(msg: str) -> None: ...


def out(msg: func.Out[str]) -> None: ...


def unresolvable(msg: "NoSuchClass") -> None:  # type: ignore[name-defined] # noqa: F821 - on purpose
    ...


def _without_wraps(function: Callable[..., object]) -> Callable[..., object]:
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def _with_wraps(function: Callable[..., object]) -> Callable[..., object]:
    return functools.wraps(function)(_without_wraps(function))


async def asynchronous(msg: func.QueueMessage) -> None: ...


def test_a_wrapped_function_loads_with_wraps() -> None:
    assert load(queue_app(_with_wraps(handle)), SETTINGS)


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (unbound, "attempt is a parameter without a binding"),
        (nothing, "msg is bound but is not a parameter"),
        (wrong_context, "the parameter context must be annotated"),
        (optional, "worker cannot load"),
        (wrong_class, "msg is a queueTrigger"),
        (anything, "msg is a queueTrigger"),
        (text, "not only its content"),
        (out, "worker cannot load"),
        (unresolvable, "NoSuchClass"),
        (_without_wraps(handle), "parameter without a binding"),
        (asynchronous, "does not support async def"),
    ],
)
def test_a_wrong_signature_is_rejected(function: Callable[..., object], rule: str) -> None:
    with pytest.raises(StartupError, match=f"^handle: .*{rule}"):
        load(queue_app(function), SETTINGS)


def optional_return(req: func.HttpRequest) -> func.HttpResponse | None: ...


def no_return(req: func.HttpRequest) -> None: ...


def dict_return(req: func.HttpRequest) -> dict[str, str]:
    return {}


def other_return(req: func.HttpRequest) -> int:
    return 0


@pytest.mark.parametrize("function", [optional_return, no_return, dict_return, other_return])
def test_a_wrong_return_type_is_rejected(function: Callable[..., object]) -> None:
    with pytest.raises(StartupError, match=r"^respond: the return value is annotated"):
        load(http_app(function), SETTINGS)


def list_out(msg: func.QueueMessage, sent: func.Out[list[str]]) -> None: ...


def plain_out(msg: func.QueueMessage, sent: str) -> None: ...


def good_out(msg: func.QueueMessage, sent: func.Out[str]) -> None: ...


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (list_out, "worker cannot load"),
        (plain_out, "must be annotated azure.functions.Out"),
        (good_out, "this host does not support the binding queue"),
    ],
)
def test_an_output_binding_is_rejected(function: Callable[..., object], rule: str) -> None:
    app = func.FunctionApp()
    trigger = app.queue_trigger(arg_name="msg", queue_name="work", connection=STORAGE)
    output = app.queue_output(arg_name="sent", queue_name="next", connection=STORAGE)
    app.function_name("handle")(trigger(output(function)))

    with pytest.raises(StartupError, match=f"^handle: .*{rule}"):
        load(app, SETTINGS)


@pytest.mark.parametrize("queue", ["ab", "Work", "a_b", "a--b", "-ab", "a" * 64])
def test_a_wrong_queue_name_is_rejected(queue: str) -> None:
    with pytest.raises(StartupError, match=r"^handle: .* is not a valid queue name"):
        load(queue_app(handle, queue=queue), SETTINGS)


def test_a_queue_name_leaves_room_for_its_poison_queue() -> None:
    with pytest.raises(StartupError, match="too long for -poison"):
        load(queue_app(handle, queue="a" * 57), SETTINGS)


def test_a_setting_that_is_not_there_is_rejected() -> None:
    with pytest.raises(StartupError, match=r"^handle: %OTHER% needs the app setting OTHER"):
        load(queue_app(handle, queue="%OTHER%"), SETTINGS)


def test_a_connection_that_is_not_there_is_rejected() -> None:
    with pytest.raises(StartupError, match=r"^handle: the connection Elsewhere is not set"):
        load(queue_app(handle, connection="Elsewhere"), SETTINGS)


def test_an_identity_based_connection_is_rejected() -> None:
    settings = {f"{STORAGE}__queueServiceUri": "https://account.queue.core.windows.net"}

    with pytest.raises(StartupError, match="identity-based"):
        load(queue_app(handle), settings)


@pytest.mark.parametrize("route", ["/things", "things/", "{id:int}", "{*path}", "{id?}", "a b"])
def test_a_route_that_is_not_served_is_rejected(route: str) -> None:
    with pytest.raises(StartupError, match=r"^respond: the route"):
        load(http_app(texts, route=route), SETTINGS)


def test_another_trigger_is_rejected() -> None:
    app = func.FunctionApp()

    @app.blob_trigger(arg_name="blob", path="container", connection=STORAGE)
    def read(blob: func.InputStream) -> None: ...

    with pytest.raises(StartupError, match=r"^read: this host does not support blobTrigger"):
        load(app, SETTINGS)


@pytest.fixture
def fresh_import_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder from which `function_app` is imported, even if another one was before."""
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ("", "no FunctionApp object"),
        ("one = func.FunctionApp()\ntwo = func.FunctionApp()", "several app objects, one, two"),
    ],
)
def test_one_app_object_is_expected(fresh_import_folder: Path, lines: str, rule: str) -> None:
    (fresh_import_folder / "function_app.py").write_text(
        f"import azure.functions as func\n{lines}\n"
    )

    with pytest.raises(StartupError, match=rule):
        find_app(fresh_import_folder)


def test_the_app_is_found(fresh_import_folder: Path) -> None:
    (fresh_import_folder / "function_app.py").write_text(
        "import azure.functions as func\napp = func.FunctionApp()\n"
    )

    assert isinstance(find_app(fresh_import_folder), func.FunctionApp)


def test_a_folder_without_an_app_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"function_app.py does not exist"):
        find_app(tmp_path)


def test_functions_of_the_v1_model_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/function.json").write_text("{}")

    with pytest.raises(StartupError, match=r"^old contains a function.json"):
        find_app(tmp_path)


def test_a_function_that_an_app_setting_disables_is_not_loaded() -> None:
    disabled = {**SETTINGS, "AzureWebJobs.handle.Disabled": "true"}

    assert load(queue_app(handle), disabled) == []
    assert [each.name for each in load(queue_app(handle), SETTINGS)] == ["handle"]
