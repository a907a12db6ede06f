"""Copies of the app, each with its own module objects, as in separate processes.

Everything that the simulation knows about the app's internals is in this module.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable, ItemsView, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import azure.functions as func
from azure.functions.decorators.http import HttpTrigger
from azure.functions.decorators.queue import QueueTrigger
from azure.functions.decorators.timer import TimerTrigger
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from shared.storage.names import POISON_QUEUES, QUEUES, TABLES
from shared.storage.records import State

ROOTS: Final = ("function_app", "functions", "shared")
_CONTAINERS: Final = (list, dict, set)
SYSTEM_ENVIRONMENT: Final[Mapping[str, str]] = {"HOME": "/nonexistent", "NETRC": "/nonexistent"}

Replacement = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the app registers it."""

    name: str
    call: Callable[..., Any]
    parameter: str


@dataclass
class AppCopy:
    """One import of the app."""

    modules: dict[str, ModuleType]
    queues: dict[str, Function] = field(default_factory=dict)
    timers: dict[str, Function] = field(default_factory=dict)
    routes: dict[tuple[str, str], Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._register()
        self._first = [
            (value, value.copy())
            for module in self.modules.values()
            for value in vars(module).values()
            if type(value) in _CONTAINERS
        ]
        self._caches = [
            value
            for module in self.modules.values()
            for value in vars(module).values()
            if isinstance(value, functools._lru_cache_wrapper)
        ]

    def forget(self) -> None:
        """Reset the copy to its state after the import, as a restart does."""
        for value, first in self._first:
            if value != first:
                value.clear()
                value.extend(first) if isinstance(value, list) else value.update(first)
        for cache in self._caches:
            cache.cache_clear()

    def _register(self) -> None:
        for each in self.modules["function_app"].app.get_functions():
            trigger = each.get_trigger()
            function = Function(each.get_function_name(), each.get_user_function(), trigger.name)
            match trigger:
                case QueueTrigger():
                    self.queues[trigger.queue_name] = function
                case TimerTrigger():
                    self.timers[function.name] = function
                case HttpTrigger():
                    for method in trigger.methods or ():
                        self.routes[str(method), trigger.route or function.name] = function


def import_copy(planted: Mapping[str, Replacement]) -> AppCopy:
    """Import the app once more, beside the earlier copies.

    `planted` maps modules to pieces of their source and the text that replaces each.
    """
    before = _app_modules()
    for name in before:
        del sys.modules[name]
    finder = _Planting(planted)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("function_app")
        copied = _app_modules()
    finally:
        sys.meta_path.remove(finder)
        for name in _app_modules():
            del sys.modules[name]
        sys.modules.update(before)
    if left := set(planted) - finder.done:
        raise LookupError(
            f"the planted mistake needs a module that was not imported: {', '.join(sorted(left))}"
        )
    return AppCopy(copied)


class _Planting(MetaPathFinder):
    """Finds the modules of the app in which a mistake is planted."""

    def __init__(self, planted: Mapping[str, Replacement]) -> None:
        self._planted = planted
        self.done: set[str] = set()

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._planted:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        spec.loader = _PlantedLoader(fullname, spec.loader.path, self._planted[fullname])
        self.done.add(fullname)
        return spec


class _PlantedLoader(SourceFileLoader):
    """Loads a module with pieces of its source replaced."""

    def __init__(self, fullname: str, path: str, replacement: Replacement) -> None:
        super().__init__(fullname, path)
        self._replacement = replacement

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        for old, new in self._replacement:
            if (times := source.count(old)) != 1:
                raise LookupError(f"{fullname} holds this {times} times, not once: {old}")
            source = source.replace(old, new)
        return compile(source, self.path, "exec", dont_inherit=True)


def _app_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ROOTS}


class Environment(MutableMapping[str, str]):
    """The environment variables of the running process."""

    def __init__(self) -> None:
        self.present: dict[str, str] = dict(SYSTEM_ENVIRONMENT)

    def __getitem__(self, name: str) -> str:
        return self.present[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.present[name] = value

    def __delitem__(self, name: str) -> None:
        del self.present[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.present)

    def __len__(self) -> int:
        return len(self.present)

    def items(self) -> ItemsView[str, str]:
        """Return the variables; requests reads all of them for each call."""
        return self.present.items()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable or the default."""
        return self.present.get(name, default)

    def install(self) -> None:
        """Replace `os.environ` for the rest of the process."""
        setattr(os, "environ", self)  # noqa: B010 - the whole mapping is replaced


def message_of(body: bytes, facts: Mapping[str, Any]) -> func.QueueMessage:
    """Return a message as the worker passes it to a function."""
    return QueueMessage(body=body, **facts)


def timer_request() -> func.TimerRequest:
    """Return what a timer passes to its function."""
    return TimerRequest(past_due=False)


def queue_names() -> tuple[str, ...]:
    """Return the queues that the infrastructure creates."""
    return (*QUEUES, *POISON_QUEUES)


def table_names() -> tuple[str, ...]:
    """Return the tables that the infrastructure creates."""
    return TABLES


def state_names() -> tuple[str, ...]:
    """Return the states that a deletion can have."""
    return tuple(each.value for each in State)
