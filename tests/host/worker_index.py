"""Indexes the app in the current folder with Microsoft's own worker library, and prints it.

Runs on Python 3.13 in an environment of its own. The library has no public interface: these are
the steps of its `load_function_metadata`, with plain classes in place of the messages it sends.
"""

import json
import sys
from types import SimpleNamespace
from typing import ClassVar

# The library is installed for Python 3.13 only, which the type checker does not run on.
# mypy: disable-error-code="import-not-found"
from azure_functions_runtime.bindings.meta import load_binding_registry
from azure_functions_runtime.functions import Registry
from azure_functions_runtime.loader import index_function_app, process_indexed_function


class BindingInfo(SimpleNamespace):
    """The message of this name, with the numbers of its directions."""

    out: ClassVar = 1
    inout: ClassVar = 2
    undefined: ClassVar = None


MESSAGES = SimpleNamespace(
    BindingInfo=BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace
)


def main() -> None:
    """Print a JSON object of binding lists by function name; refusals are raised."""
    sys.path.insert(0, ".")
    load_binding_registry()
    functions = index_function_app("function_app.py")
    indexed, _ = process_indexed_function(MESSAGES, Registry(), functions, ".")
    print(json.dumps({each.name: list(map(json.loads, each.raw_bindings)) for each in indexed}))


if __name__ == "__main__":
    main()
