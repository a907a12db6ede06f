"""What the code asks for: its functions, its version, and its packages."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_TRIGGERS: Final = frozenset({"queue_trigger", "timer_trigger", "route"})
_PIN: Final = re.compile(r"([\w.-]+)==([\w.]+)(?: ; (.*))?")
_PYTHON_MARKER: Final = re.compile(r"python_full_version (<|>=) '(\d+)\.(\d+)'")


def function_names() -> set[str]:
    """Return the names of all functions, without importing them."""
    files = (ROOT / "functions").rglob("*.py")
    return {name for file in files for name in _functions_in(ast.parse(file.read_text("utf-8")))}


def _functions_in(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
            named = {each.func.attr for each in calls if isinstance(each.func, ast.Attribute)}
            if named & _TRIGGERS:
                yield node.name


def own_version() -> str:
    """Return the version of tipsweep."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def package_versions(python: str) -> dict[str, str]:
    """Return the version of each package that is wanted on a Python such as 3.12."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    pins = (_PIN.fullmatch(line) for line in lines)
    return {pin[1]: pin[2] for pin in pins if pin and _holds(pin[3] or "", python)}


def _holds(marker: str, python: str) -> bool:
    """Whether a marker may hold: one that does not speak of Python says nothing here."""
    found = _PYTHON_MARKER.search(marker)
    if found is None:
        return True
    mine = tuple(map(int, python.split(".")[:2]))
    limit = (int(found[2]), int(found[3]))
    return mine < limit if found[1] == "<" else mine >= limit
