"""Indexes the app in the current folder with Microsoft's worker library, and prints the result.

Runs on Python 3.13 or 3.14 in its own environment. The library has no public interface: these are
the steps of its `load_function_metadata`, with plain classes instead of protobuf messages.
"""

import json
import sys
from types import SimpleNamespace
from typing import ClassVar

# The library is installed only from Python 3.13 on, which the type checker does not use.
# mypy: disable-error-code="import-not-found"
from azure_functions_runtime.bindings.meta import load_binding_registry
from azure_functions_runtime.functions import Registry
from azure_functions_runtime.loader import index_function_app, process_indexed_function


class BindingInfo(SimpleNamespace):
    """The protobuf message of this name, with its direction numbers."""

    out: ClassVar = 1
    inout: ClassVar = 2
    undefined: ClassVar = None


MESSAGES = SimpleNamespace(
    BindingInfo=BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace
)


def main() -> None:
    """Print a JSON object of binding lists by function name; an invalid app raises."""
    sys.path.insert(0, ".")
    load_binding_registry()
    functions = index_function_app("function_app.py")
    indexed, _ = process_indexed_function(MESSAGES, Registry(), functions, ".")
    print(json.dumps({each.name: list(map(json.loads, each.raw_bindings)) for each in indexed}))


if __name__ == "__main__":
    main()
