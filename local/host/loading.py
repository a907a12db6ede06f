"""Loads the functions of an app, and rejects what the real host or worker rejects."""

import asyncio
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import azure.functions as func
from azure.functions.decorators.core import DataType
from azure.functions.decorators.core import Trigger as Declared
from azure.functions.decorators.http import HttpTrigger
from azure.functions.decorators.queue import QueueTrigger
from azure.functions.decorators.timer import TimerTrigger

from local.host.app_settings import connection_string, expand
from local.host.errors import StartupError
from local.host.route import Route
from local.host.schedule import Schedule
from local.host.signatures import RETURN, check_signature
from local.host.triggers import POISON_SUFFIX, OnMessage, OnRequest, OnSchedule, Trigger

MODULE: Final = "function_app"
FUNCTION_NAME: Final = re.compile("[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
RESERVED_NAME: Final = "host"
QUEUE_NAME: Final = re.compile("(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
LONGEST_QUEUE_NAME: Final = 63


@dataclass(frozen=True)
class Function:
    """A function: its name, its Python callable, its parameters and its trigger."""

    name: str
    call: Callable[..., object]
    parameter: str
    takes_context: bool
    trigger: Trigger


def find_app(root: Path) -> func.FunctionRegister:
    """Import `function_app` from `root` and return its only app object."""
    if not (root / f"{MODULE}.py").is_file():
        raise StartupError(
            f"{root / MODULE}.py does not exist; start the host in the root folder of the app"
        )
    if mixed := sorted(str(file.parent.relative_to(root)) for file in root.glob("*/function.json")):
        raise StartupError(
            f"{', '.join(mixed)} contains a function.json; functions of the v1 model cannot be "
            f"combined with {MODULE}.py"
        )
    return app_of(importlib.import_module(MODULE))


def app_of(module: ModuleType) -> func.FunctionRegister:
    """Return the only app object of a module, which the worker looks up the same way."""
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
        f"{module.__name__} has several app objects, {', '.join(apps)}; expected one"
    )


def load(app: func.FunctionRegister, settings: Mapping[str, str]) -> list[Function]:
    """Return the functions of an app object, which can be read only once."""
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise StartupError(f"the app cannot list its functions: {error}") from error
    loaded = [_load_one(each, settings) for each in functions if not _disabled(each, settings)]
    _check_names(function.name for function in loaded)
    return loaded


def _disabled(function: func.Function, settings: Mapping[str, str]) -> bool:
    """Whether an app setting keeps the host from calling a function."""
    return settings.get(f"AzureWebJobs.{function.get_function_name()}.Disabled", "") == "true"


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not FUNCTION_NAME.fullmatch(name) or name.lower() == RESERVED_NAME:
            raise StartupError(
                f"{name}: a function name is a letter and up to 127 letters, digits, _ or -, "
                f"and is not {RESERVED_NAME}"
            )
        if name.lower() in seen:
            raise StartupError(f"{name}: two functions have this name; case is ignored")
        seen.add(name.lower())


def _load_one(function: func.Function, settings: Mapping[str, str]) -> Function:
    name = str(function.get_function_name())
    call = function.get_user_function()
    bindings = function.get_bindings()
    takes_context = check_signature(name, call, bindings)
    trigger = function.get_trigger()
    unserved = [each.type for each in bindings if each is not trigger and each.name != RETURN]
    if unserved or trigger is None:
        raise StartupError(
            f"{name}: this host does not support the binding {', '.join(map(str, unserved))}"
        )
    if asyncio.iscoroutinefunction(call):
        raise StartupError(f"{name}: this host does not support async def")
    return Function(name, call, trigger.name, takes_context, _trigger(name, trigger, settings))


def _trigger(name: str, trigger: Declared, settings: Mapping[str, str]) -> Trigger:
    match trigger:
        case QueueTrigger():
            queue = expand(trigger.queue_name, settings, where=name)
            _check_queue(name, queue)
            return OnMessage(
                queue,
                connection_string(trigger.connection, settings, where=name),
                binary=trigger.data_type == DataType.BINARY.value,
            )
        case TimerTrigger():
            schedule = Schedule.parse(expand(trigger.schedule, settings, where=name), where=name)
            return OnSchedule(schedule, run_on_startup=bool(trigger.run_on_startup))
        case HttpTrigger():
            methods = frozenset(str(method) for method in trigger.methods or ())
            return OnRequest(Route.parse(trigger.route or name, where=name), methods)
    raise StartupError(f"{name}: this host does not support {trigger.type}")


def _check_queue(name: str, queue: str) -> None:
    if not QUEUE_NAME.fullmatch(queue):
        raise StartupError(
            f"{name}: {queue!r} is not a valid queue name; expected 3 to 63 lower-case letters, "
            "digits and single hyphens"
        )
    if not queue.endswith(POISON_SUFFIX) and len(queue + POISON_SUFFIX) > LONGEST_QUEUE_NAME:
        raise StartupError(
            f"{name}: the queue name {queue} is too long for {POISON_SUFFIX} to be appended; "
            f"at most {LONGEST_QUEUE_NAME - len(POISON_SUFFIX)} characters are allowed"
        )
