"""The documents name only what exists: files, anchors, names, events, settings, make targets."""

import ast
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from shared.events import Event

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
FOR_DEVELOPERS = (ROOT / "CONTRIBUTING.md", ROOT / "docs/architecture.md")
PACKAGES = ("functions", "shared", "local", "tests", "benchmarks")
FOLDERS = (*PACKAGES, "docs", "hooks", "infra", ".ci", ".github")
# A file that people make and git ignores, and a name of Azure.
FOREIGN = {"local.settings.json", "user_impersonation"}

BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
PATH = re.compile(rf"(?:{'|'.join(map(re.escape, FOLDERS))})(?:/[\w.-]+)*/?")
FILE = re.compile(r"[\w.-]+\.(?:py|md|json|toml|txt|in|ya?ml|sh|ps1|css|bicep|bicepparam)")
SETTING = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|AzureWebJobsStorage\w*")
LOG_LINE = re.compile(r"(\w+)((?: \w+=\S*)+)")
SNAKE_CASE = re.compile(r"[a-z]+(?:_[a-z0-9]+)+")
PYTHON_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+|_\w+|[A-Z]\w*[a-z]\w*")


def spans(text: str) -> set[str]:
    """Return the text in backticks, outside of blocks."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


def lines(text: str) -> Iterator[str]:
    """Yield the text in backticks, and every line of every block."""
    yield from spans(text)
    for block in BLOCK.findall(text):
        yield from (line.strip() for line in block.splitlines()[1:-1])


@cache
def modules() -> dict[str, ast.Module]:
    """Return the modules of the repository by their dotted names, without this one."""
    files = {file for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): ast.parse(file.read_text("utf-8"))
        for file in files - {Path(__file__)}
    }


@cache
def infra() -> set[str]:
    """Return every word of the files in infra/."""
    files = (file for file in (ROOT / "infra").rglob("*") if file.is_file())
    return {word for file in files for word in re.findall(r"\w+", file.read_text("utf-8"))}


@cache
def words() -> set[str]:
    """Return what modules are called, define or name in a string, and the words of infra/."""
    found = {part for name in modules() for part in name.split(".")}
    for node in (node for tree in modules().values() for node in ast.walk(tree)):
        match node:
            case (
                ast.FunctionDef(name=str(word))
                | ast.ClassDef(name=str(word))
                | ast.Name(id=str(word), ctx=ast.Store())
                | ast.arg(arg=str(word))
                | ast.keyword(arg=str(word))
                | ast.Constant(value=str(word))
            ):
                found.add(word)
    return found | infra()


def wrong_paths(text: str, _folder: Path) -> set[str]:
    paths = {word for line in lines(text) for word in line.split() if PATH.fullmatch(word)}
    names = {span for span in spans(text) if FILE.fullmatch(span)}
    known = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*")}
    known |= {path.name for path in ROOT.iterdir()}
    return {path for path in paths if not (ROOT / path).exists()} | names - known - FOREIGN


def wrong_links(text: str, folder: Path) -> set[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text))
    return {each for each in targets if ":" not in each and not leads(each, text, folder)}


def leads(target: str, text: str, folder: Path) -> bool:
    """Whether a link leads to a file, and to a heading as GitHub turns it into an anchor."""
    path, _, anchor = target.partition("#")
    if not anchor or not (folder / path).exists():
        return (folder / path).exists()
    page = (folder / path).read_text("utf-8") if path else text
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def wrong_settings(text: str, _folder: Path) -> set[str]:
    read = {
        node.value
        for node in ast.walk(modules()["shared.settings"])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {span for span in spans(text) if SETTING.fullmatch(span)} - read - infra()


def wrong_events(text: str, _folder: Path) -> set[str]:
    """Return first words of log lines that name no known event, and fields that no event has."""
    logged = {match for line in lines(text) if (match := LOG_LINE.fullmatch(line))}
    fields = {field for line in logged for field in re.findall(r"(\w+)=", line[2])}
    return {line[1] for line in logged} - {str(event) for event in Event} | fields - words()


def wrong_words(text: str, _folder: Path) -> set[str]:
    """Return words that look like an event, a field or a function and do not exist."""
    drawn = re.findall(r"[a-z_]+", " ".join(re.findall(r"(?s)```mermaid\n(.*?)```", text)))
    named = {span for span in spans(text) | set(drawn) if SNAKE_CASE.fullmatch(span)}
    return named - words() - FOREIGN


def wrong_targets(text: str, _folder: Path) -> set[str]:
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = (line.split("#")[0].split() for line in lines(text) if line.startswith("make "))
    return {word for command in commands for word in command[1:] if "=" not in word} - set(known)


def wrong_names(text: str, _folder: Path) -> set[str]:
    named = {span for span in spans(text) if PYTHON_NAME.fullmatch(span)}
    return {each for each in named if not FILE.fullmatch(each) and not is_python(each)}


def is_python(name: str) -> bool:
    """Whether a name stands for something: in full, or from its module or class on."""
    first, dot, rest = name.partition(".")
    if not dot:
        return name in words()
    full = [name] if first in PACKAGES else []
    for module, tree in modules().items():
        full += [f"{module}.{rest}"] * (module.rpartition(".")[2] == first)
        full += [f"{module}.{name}" for n in tree.body if getattr(n, "name", "") == first]
    return any(resolves(each) for each in full)


def resolves(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


Check = Callable[[str, Path], set[str]]
CHECKS = (wrong_paths, wrong_links, wrong_settings, wrong_events, wrong_words, wrong_targets)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_what_exists(document: Path, check: Check) -> None:
    assert check(document.read_text("utf-8"), document.parent) == set()


@pytest.mark.parametrize("document", FOR_DEVELOPERS, ids=lambda path: path.name)
def test_the_python_names_for_developers_resolve(document: Path) -> None:
    assert wrong_names(document.read_text("utf-8"), document.parent) == set()


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (wrong_paths, "`shared/events.py`", "`shared/moments.py`"),
        (wrong_paths, "```sh\npytest tests/bench.py\n```", "```sh\npytest tests/stool.py\n```"),
        (wrong_paths, "`host.json`", "`guest.json`"),
        (wrong_links, "[a](docs/http.md)", "[a](docs/telex.md)"),
        (wrong_links, "[a](docs/safety.md#the-switch)", "[a](docs/safety.md#the-lever)"),
        (wrong_links, "# It's here\n[a](#its-here)", "# It's here\n[a](#its-there)"),
        (wrong_settings, "`SWEEP_MODE`", "`SWEEP_MOOD`"),
        (wrong_events, "`sweep_finished mode=`", "`sweep_sandbox mode=`"),
        (wrong_events, "`sweep_finished free_slots=`", "`sweep_finished free_hugs=`"),
        (wrong_words, "`switch_tripped`", "`switch_pulled`"),
        (wrong_words, "```mermaid\nb(check_orders)\n```", "```mermaid\nb(check_ordeals)\n```"),
        (wrong_targets, "`make PYTHON=python3.12 demo`", "`make PYTHON=python3.12 coffee`"),
        (wrong_names, "`shared.events.emit`", "`shared.events.omit`"),
        (wrong_names, "`Safety.require_writable`", "`Safety.require_readable`"),
        (wrong_names, "`steps.cancel_orders`", "`steps.cancel_nothing`"),
        (wrong_names, "`StepMessage`", "`StepMassage`"),
    ],
)
def test_a_wrong_name_is_found(check: Check, right: str, wrong: str) -> None:
    assert check(right, ROOT) == set()
    assert check(wrong, ROOT) != set()
