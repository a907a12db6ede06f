"""The functions of an app, refused where the real host or worker would refuse them."""

import asyncio
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import azure.functions as func
from azure.functions.decorators.core import Trigger
from azure.functions.decorators.http import HttpTrigger
from azure.functions.decorators.queue import QueueTrigger
from azure.functions.decorators.timer import TimerTrigger

from local.host.app_settings import connection_string, expand
from local.host.errors import StartupError
from local.host.route import Route
from local.host.schedule import Schedule
from local.host.signatures import RETURN, check_signature

MODULE: Final = "function_app"
FUNCTION_NAME: Final = re.compile("[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
RESERVED_NAME: Final = "host"
QUEUE_NAME: Final = re.compile("(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
LONGEST_QUEUE_NAME: Final = 63
POISON_SUFFIX: Final = "-poison"


@dataclass(frozen=True)
class OnMessage:
    """The trigger is a message on a queue."""

    queue: str
    connection_string: str

    @property
    def poison_queue(self) -> str | None:
        """Where failed messages go; a poison queue has none of its own."""
        return None if self.queue.endswith(POISON_SUFFIX) else self.queue + POISON_SUFFIX


@dataclass(frozen=True)
class OnSchedule:
    """The trigger is the clock."""

    schedule: Schedule
    run_on_startup: bool


@dataclass(frozen=True)
class OnRequest:
    """The trigger is a request; no methods stand for all of them."""

    route: Route
    methods: frozenset[str]


@dataclass(frozen=True)
class Function:
    """A function: its name, its Python callable, its parameters and its trigger."""

    name: str
    call: Callable[..., object]
    parameter: str
    takes_context: bool
    trigger: OnMessage | OnSchedule | OnRequest


def find_app(root: Path) -> func.FunctionRegister:
    """Import `function_app` from `root` and return its only app object."""
    if not (root / f"{MODULE}.py").is_file():
        raise StartupError(f"{root / MODULE}.py does not exist; start the host in the app's root")
    if mixed := sorted(str(file.parent.relative_to(root)) for file in root.glob("*/function.json")):
        raise StartupError(
            f"{', '.join(mixed)} holds a function.json; functions of the v1 model cannot be mixed "
            f"with {MODULE}.py"
        )
    return app_of(importlib.import_module(MODULE))


def app_of(module: ModuleType) -> func.FunctionRegister:
    """Return the only app object of a module, as the worker looks for it."""
    apps = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, func.FunctionRegister)
    }
    match list(apps.values()):
        case [app]:
            return app
        case []:
            raise StartupError(f"{module.__name__} has no FunctionApp object at its top level")
    raise StartupError(
        f"{module.__name__} has several app objects, {', '.join(apps)}; one is expected"
    )


def load(app: func.FunctionRegister, settings: Mapping[str, str]) -> list[Function]:
    """Return the functions of an app object, which can be asked once only."""
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise StartupError(f"the app refuses its own functions: {error}") from error
    loaded = [_load_one(function, settings) for function in functions]
    _check_names(function.name for function in loaded)
    return loaded


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not FUNCTION_NAME.fullmatch(name) or name.lower() == RESERVED_NAME:
            raise StartupError(
                f"{name}: a function is named by a letter and up to 127 letters, digits, _ or -, "
                f"and not {RESERVED_NAME}"
            )
        if name.lower() in seen:
            raise StartupError(f"{name}: two functions have this name; case makes no difference")
        seen.add(name.lower())


def _load_one(function: func.Function, settings: Mapping[str, str]) -> Function:
    name = str(function.get_function_name())
    call = function.get_user_function()
    bindings = function.get_bindings()
    takes_context = check_signature(name, call, bindings)
    trigger = function.get_trigger()
    unserved = [each.type for each in bindings if each is not trigger and each.name != RETURN]
    if unserved or trigger is None:
        raise StartupError(f"{name}: this stand-in has no binding {', '.join(map(str, unserved))}")
    if asyncio.iscoroutinefunction(call):
        raise StartupError(f"{name}: this stand-in runs def functions only, and it is async def")
    return Function(name, call, trigger.name, takes_context, _trigger(name, trigger, settings))


def _trigger(
    name: str, trigger: Trigger, settings: Mapping[str, str]
) -> OnMessage | OnSchedule | OnRequest:
    match trigger:
        case QueueTrigger():
            queue = expand(trigger.queue_name, settings, where=name)
            _check_queue(name, queue)
            return OnMessage(queue, connection_string(trigger.connection, settings, where=name))
        case TimerTrigger():
            schedule = Schedule.parse(expand(trigger.schedule, settings, where=name), where=name)
            return OnSchedule(schedule, run_on_startup=bool(trigger.run_on_startup))
        case HttpTrigger():
            methods = frozenset(str(method) for method in trigger.methods or ())
            return OnRequest(Route.parse(trigger.route or name, where=name), methods)
    raise StartupError(f"{name}: this stand-in has no {trigger.type}")


def _check_queue(name: str, queue: str) -> None:
    if not QUEUE_NAME.fullmatch(queue):
        raise StartupError(
            f"{name}: the queue {queue!r} is misnamed; 3 to 63 lower-case letters, digits and "
            "single hyphens are expected"
        )
    if not queue.endswith(POISON_SUFFIX) and len(queue + POISON_SUFFIX) > LONGEST_QUEUE_NAME:
        raise StartupError(
            f"{name}: the name of the queue {queue} leaves no room for {POISON_SUFFIX}; "
            f"{LONGEST_QUEUE_NAME - len(POISON_SUFFIX)} characters are the most"
        )
