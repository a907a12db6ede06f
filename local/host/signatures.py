"""Checks function signatures by the rules of the Python worker.

The rules are those of azure-functions-runtime 1.3 (`Registry.add_indexed_function`), for the
bindings that this host supports.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import azure.functions as func
from azure.functions.decorators.core import Binding, BindingDirection

from local.host.errors import StartupError

RETURN: Final = "$return"
CONTEXT: Final = "context"


def check_signature(
    name: str, function: Callable[..., object], bindings: Sequence[Binding]
) -> bool:
    """Return whether the function takes a context; raises StartupError as the worker would."""
    parameters = set(inspect.signature(function).parameters)
    annotations = _annotations(name, function)
    bound = {binding.name: binding for binding in bindings if binding.name != RETURN}
    takes_context = CONTEXT in parameters - set(bound)
    if takes_context:
        parameters.remove(CONTEXT)
        _check_context(name, annotations)
    _check_parameters(name, parameters, set(bound))
    for binding in bindings:
        _check_annotation(name, binding, annotations)
    return takes_context


def _annotations(name: str, function: Callable[..., object]) -> dict[str, object]:
    try:
        return typing.get_type_hints(function)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise StartupError(
            f"{name}: its annotations cannot be resolved at run time: {error}; "
            "import the types outside TYPE_CHECKING"
        ) from error


def _check_context(name: str, annotations: Mapping[str, object]) -> None:
    annotation = annotations.get(CONTEXT, func.Context)
    if getattr(annotation, "__name__", None) != "Context":
        raise StartupError(
            f"{name}: the parameter context must be annotated azure.functions.Context "
            f"or not at all, not {annotation!r}"
        )


def _check_parameters(name: str, parameters: set[str], bound: set[str]) -> None:
    if unbound := sorted(parameters - bound):
        raise StartupError(
            f"{name}: {', '.join(unbound)} is a parameter without a binding; every parameter needs "
            "one, even if it has a default"
        )
    if missing := sorted(bound - parameters):
        raise StartupError(
            f"{name}: {', '.join(missing)} is bound but is not a parameter; "
            "a custom decorator needs functools.wraps"
        )


def _check_annotation(name: str, binding: Binding, annotations: Mapping[str, object]) -> None:
    if binding.name == RETURN:
        if "return" in annotations:
            _check_return(name, binding, annotations["return"])
    elif binding.name in annotations:
        if binding.direction == BindingDirection.OUT.value:
            _check_output(name, binding, annotations[binding.name])
        else:
            _check_input(name, binding, annotations[binding.name])


def _check_input(name: str, binding: Binding, annotation: object) -> None:
    if not isinstance(annotation, type):
        raise _not_a_class(name, binding.name, annotation)
    if annotation in (str, bytes):
        raise StartupError(
            f"{name}: {binding.name} is annotated {annotation!r}; this host passes the object "
            f"of the {binding.type}, not only its content"
        )
    if not _accepts(binding, "check_input_type_annotation", annotation):
        raise StartupError(
            f"{name}: {binding.name} is a {binding.type}, which cannot be {annotation!r}"
        )


def _check_output(name: str, binding: Binding, annotation: object) -> None:
    if typing.get_origin(annotation) is not func.Out:
        raise StartupError(
            f"{name}: {binding.name} is an output and must be annotated azure.functions.Out, "
            f"not {annotation!r}"
        )
    if isinstance(typing.get_args(annotation)[0], types.GenericAlias | types.UnionType):
        raise _not_a_class(name, binding.name, annotation)


def _check_return(name: str, binding: Binding, annotation: object) -> None:
    if not isinstance(annotation, type):
        raise _not_a_class(name, "the return value", annotation)
    if not _accepts(binding, "check_output_type_annotation", annotation):
        raise StartupError(
            f"{name}: the return value is annotated {annotation!r}; "
            "expected azure.functions.HttpResponse or str"
        )


def _accepts(binding: Binding, check: str, annotation: type) -> bool:
    registry = func.get_binding_registry()
    converter = registry.get(binding.type)
    return converter is None or bool(getattr(converter, check)(annotation))


def _not_a_class(name: str, what: str, annotation: object) -> StartupError:
    return StartupError(
        f"{name}: {what} is annotated {annotation!r}, which the worker cannot load; "
        "name one class, or typing.List of one in azure.functions.Out"
    )
