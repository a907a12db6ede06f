"""The rooms of the house: imports run one way, and never in a circle."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

# Each room may import the rooms of its own line and of those below. The longest prefix counts.
FLOORS: Final = (
    ("local.demo", "local.simulator.__main__", "local.host.__main__"),
    ("local.provision", "local.consent"),
    ("local.azurite", "local.child", "local.host", "local.simulator", "local.simulator.simulator"),
    ("local.simulator.app_settings",),
    ("local.simulator.cloud",),
    ("local.simulator.control", "local.simulator.partner_center"),
    ("local.simulator.exchange", "local.simulator.views", "local.simulator.seeds"),
    ("local.simulator.identity",),
    ("local.simulator.state", "local.simulator.server"),
    ("local.simulator.calls", "local.simulator.faults", "local.simulator.certificates"),
    ("function_app",),
    ("functions", "functions.pages"),
    ("functions.api",),
    ("shared.sweep",),
    ("shared.deletion",),
    ("shared.services",),
    ("shared.storage",),
    ("shared.safety", "shared.purchases"),
    ("shared.partner_center",),
    ("shared.settings",),
    ("shared.environment",),
    ("shared.versions",),
    ("shared.tenants", "shared.domains", "shared.schedules", "shared.events", "shared.inputs"),
    ("shared.errors", "shared.limits"),
)
# Rooms on one floor that must not know each other.
APART: Final = (
    ("local.host", "local.simulator"),
    ("local.simulator", "local.azurite"),
    ("shared.safety", "shared.purchases"),
)


def modules() -> dict[str, Path]:
    """Return every module of the house by its dotted name."""
    files = [ROOT / "function_app.py"]
    for room in ("functions", "shared", "local"):
        files += (ROOT / room).rglob("*.py")
    return {name_of(path): path for path in files}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source: str, known: Mapping[str, object]) -> Iterator[str]:
    """Yield the modules of the house that a source imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise SyntaxError(f"line {node.lineno}: relative imports are not used here")
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                target = submodule if submodule in known else node.module
                if target in known:
                    yield target


def arrows() -> dict[str, set[str]]:
    known = modules()
    return {
        name: set(imports(path.read_text(encoding="utf-8"), known)) - {name}
        for name, path in known.items()
    }


def room_of(module: str) -> str:
    """Return the room that a module belongs to."""
    rooms = [room for floor in FLOORS for room in floor if is_in(module, room)]
    return max(rooms, key=len, default="")


def is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def floor_of(module: str) -> int:
    room = room_of(module)
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def wrong_arrows(found: Mapping[str, set[str]]) -> list[str]:
    """Return the imports that run up, or between rooms that must not know each other."""
    return [
        f"{module} imports {target}"
        for module, targets in found.items()
        for target in targets
        if is_package_face(module, target)
        or floor_of(target) < floor_of(module)
        or any(is_between(module, target, *pair) for pair in APART)
    ]


def is_package_face(module: str, target: str) -> bool:
    """Whether a module imports its own package, which may not be loaded yet."""
    return module.startswith(target + ".")


def is_between(module: str, target: str, one: str, other: str) -> bool:
    return (is_in(module, one) and is_in(target, other)) or (
        is_in(module, other) and is_in(target, one)
    )


def test_every_module_has_a_room() -> None:
    packages = {"functions", "shared", "local"}
    assert [each for each in modules() if not room_of(each) and each not in packages] == []


def test_no_import_runs_against_the_order_of_the_rooms() -> None:
    found = {name: targets for name, targets in arrows().items() if room_of(name)}
    assert wrong_arrows(found) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(arrows()).prepare()


def test_what_people_deploy_knows_nothing_of_one_machine_and_of_tests() -> None:
    sources = {name: path for name, path in modules().items() if not name.startswith("local")}
    everything = {"local": None, "tests": None, **modules()}
    assert {
        name
        for name, path in sources.items()
        for target in imports(path.read_text(encoding="utf-8"), everything)
        if is_in(target, "local") or is_in(target, "tests")
    } == set()


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("shared.partner_center.client", "shared.safety.rules"),
        ("shared.storage.records", "shared.services"),
        ("shared.safety.switch", "shared.purchases.plan"),
        ("shared.deletion.steps", "functions.delivery"),
        ("local.host.web", "local.simulator.cloud"),
    ],
)
def test_an_import_that_runs_up_is_found(module: str, target: str) -> None:
    assert wrong_arrows({module: {target}}) == [f"{module} imports {target}"]


def test_a_relative_import_is_not_overlooked() -> None:
    with pytest.raises(SyntaxError, match="line 1"):
        list(imports("from ..services import Services", {}))


def test_a_circle_is_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
