"""Reading the project's own Bicep files, by the grammar tree-sitter-bicep."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
PARAMETER_FILES = sorted(INFRA.rglob("*.bicepparam"))
_PARSER = Parser(Language(tree_sitter_bicep.language()))
_ASSIGNMENT = re.compile(r"^param (\w+) = (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """A parameter: its default, None without one, and what its decorators say."""

    name: str
    default: Node | None
    decorators: Mapping[str, Node]

    @property
    def allowed(self) -> set[str]:
        return {string(node) for node in walk(self.decorators["allowed"], "string")}


@dataclass(frozen=True)
class Resource:
    """A resource: its symbol, its type without the version, its properties, its whole text."""

    symbol: str
    type: str
    properties: Mapping[str, Node]
    text: str


def relative(path: Path) -> str:
    return path.relative_to(INFRA).as_posix()


@cache
def tree(path: Path) -> Node:
    return parse(path.read_bytes())


def parse(source: bytes) -> Node:
    return _PARSER.parse(source).root_node


def text(node: Node) -> str:
    return (node.text or b"").decode()


def string(node: Node) -> str:
    """Return what is between the quotes of a string."""
    return text(node)[1:-1]


def walk(node: Node, kind: str) -> Iterator[Node]:
    """Yield every node of one kind, the given one included."""
    if node.type == kind:
        yield node
    for child in node.named_children:
        yield from walk(child, kind)


def properties(node: Node) -> dict[str, Node]:
    """Return the members of an object; raises ValueError if one is there twice."""
    members = [child for child in node.named_children if child.type == "object_property"]
    result = {
        text(member.named_children[0]).strip("'"): member.named_children[1] for member in members
    }
    if len(result) != len(members):
        raise ValueError(f"a member stands twice in {text(node)[:200]}")
    return result


def parameters(path: Path) -> dict[str, Parameter]:
    result = {}
    for node in walk(tree(path), "parameter_declaration"):
        name, _type, *default = node.named_children
        result[text(name)] = Parameter(text(name), next(iter(default), None), _decorators(node))
    return result


def outputs(path: Path) -> dict[str, Node]:
    return {text(n.named_children[0]): n for n in walk(tree(path), "output_declaration")}


def decorated_with(node: Node) -> set[str]:
    return set(_decorators(node))


def variables(path: Path) -> dict[str, Node]:
    nodes = walk(tree(path), "variable_declaration")
    return {text(n.named_children[0]): n.named_children[1] for n in nodes}


def modules(path: Path) -> dict[str, tuple[str, dict[str, Node]]]:
    """Return the file and the parameters of every module, by symbol."""
    result = {}
    for node in walk(tree(path), "module_declaration"):
        body = next(walk(node, "object"))
        given = properties(properties(body)["params"])
        result[text(node.named_children[0])] = (string(node.named_children[1]), given)
    return result


def resources(path: Path) -> Iterator[Resource]:
    """Yield the resources that a file creates; existing ones are left out."""
    for node in walk(tree(path), "resource_declaration"):
        if re.match(r"resource \w+ '[^']+' existing", text(node)):
            continue
        symbol, kind = node.named_children[:2]
        body = next(walk(node, "object"))
        yield Resource(text(symbol), string(kind).split("@")[0], properties(body), text(node))


def assignments(path: Path) -> dict[str, str]:
    """Return what a parameter file sets, as text; the grammar does not read these files."""
    return dict(_ASSIGNMENT.findall(path.read_text()))


def _decorators(node: Node) -> dict[str, Node]:
    before = node.prev_named_sibling
    if before is None or before.type != "decorators":
        return {}
    return {text(next(walk(one, "identifier"))): one for one in before.named_children}
