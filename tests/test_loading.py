"""The app as it is deployed: what is in the package, and that it loads without anything else."""

import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import certifi
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pathspec import GitIgnoreSpec

from local.host.configuration import read_configuration
from local.host.loading import FUNCTION_NAME
from shared.storage.names import POISON_QUEUES, QUEUES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
IGNORE_FILE = ROOT / ".funcignore"
WORKER = "azure-functions-runtime==1.3.0"
# The worker of older versions is no library.
WORKER_PYTHONS = ("3.13", "3.14")
SECONDS = 60

INDEX = """
import json
import sys

folder, forbidden = sys.argv[1], set(sys.argv[2:])


class Forbidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise ModuleNotFoundError(f"{name} is no requirement of the app", name=name)


def refuse_network(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.bind"}:
        raise RuntimeError(f"{event} {arguments}")


sys.path.insert(0, folder)
sys.meta_path.insert(0, Forbidden)
sys.addaudithook(refuse_network)

from function_app import app

functions = {each.get_function_name(): each.get_raw_bindings() for each in app.get_functions()}
print(json.dumps({name: list(map(json.loads, raw)) for name, raw in functions.items()}))
"""

Bindings = dict[str, list[dict[str, Any]]]


def package_files(root: Path = ROOT) -> Iterator[Path]:
    """Give what the deployment tools upload: the files that .funcignore does not name."""
    ignored = GitIgnoreSpec.from_lines(IGNORE_FILE.read_text().splitlines())
    for folder, folders, files in os.walk(root):
        relative = Path(folder).relative_to(root)
        folders[:] = [each for each in folders if not ignored.match_file(f"{relative / each}/")]
        yield from (relative / each for each in files if not ignored.match_file(relative / each))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the deployment package to a folder of its own."""
    folder = tmp_path_factory.mktemp("package")
    for file in package_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    return folder


@pytest.fixture(scope="module")
def indexed(package: Path) -> Bindings:
    """Load the package with no setting, no network and nothing but its requirements."""
    result = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-I", "-c", INDEX, str(package), *sorted(foreign_modules())],
        cwd=package,
        env={},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    bindings: Bindings = json.loads(result.stdout)
    return bindings


def foreign_modules() -> set[str]:
    """Name the installed modules that requirements.txt does not bring."""
    runtime = {
        name
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for name in with_requirements(canonicalize_name(Requirement(line).name))
    }
    return {
        module
        for module, distributions in packages_distributions().items()
        if runtime.isdisjoint(map(canonicalize_name, distributions))
    }


@functools.cache
def with_requirements(distribution: str) -> frozenset[str]:
    names = {distribution}
    try:
        requirements = [Requirement(text) for text in requires(distribution) or ()]
    except PackageNotFoundError:
        return frozenset()
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names |= with_requirements(canonicalize_name(requirement.name))
    return frozenset(names)


def test_the_package_holds_the_app_and_nothing_else() -> None:
    files = set(package_files())

    assert {Path("function_app.py"), Path("host.json"), Path("requirements.txt")} <= files
    code = {file for file in files if file.suffix == ".py"}
    assert {file.parts[0] for file in code} == {"function_app.py", "functions", "shared"}
    assert code >= {
        file.relative_to(ROOT)
        for folder in ("functions", "shared")
        for file in (ROOT / folder).rglob("*.py")
    }
    assert not [file for file in files if file.name.startswith("local.settings")]


def test_no_file_of_an_installed_package_is_left_out(tmp_path: Path) -> None:
    """Packages that were installed on the deploying machine have folders and files of any name."""
    installed = {
        Path(".python_packages/lib/site-packages", name)
        for name in (
            *("certifi/cacert.pem", "azure/core/docs/index.md", "pandas/tests/io.py"),
            *("x/infra/main.py", "x/local/a.py", "x/hooks/a.py", "x/venv/a.py", "x/.libs/a.so"),
            *("x/package.json", "x/pyproject.toml", "x/README.md", "x/LICENSE", "x/secret.txt"),
        )
    }
    for file in installed | {Path("tests/test_a.py"), Path("host.json")}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    assert set(package_files(tmp_path)) == installed | {Path("host.json")}


def test_no_file_of_this_environment_is_left_out(tmp_path: Path) -> None:
    """The environment of the tests stands for a package that was built here."""
    target = tmp_path / ".python_packages/lib/site-packages"
    target.parent.mkdir(parents=True)
    target.symlink_to(Path(certifi.__file__).parents[1])
    inside = (Path(folder, file) for folder, _, files in os.walk(target) for file in files)
    wanted = {file.relative_to(tmp_path) for file in inside if "__pycache__" not in file.parts}
    ignored = GitIgnoreSpec.from_lines(IGNORE_FILE.read_text().splitlines())

    assert len(wanted) > 1000
    assert {file for file in wanted if ignored.match_file(file)} == set()


@pytest.mark.parametrize("name", [".venv", "venv", "env", "my_env", "functions/__pycache__"])
def test_environments_and_compiled_files_stay_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "a.py").touch()

    assert list(package_files(tmp_path)) == []


def test_every_line_of_the_ignore_file_but_one_is_anchored() -> None:
    lines = IGNORE_FILE.read_text().split()

    assert [line for line in lines if not line.removeprefix("!").startswith("/")] == [
        "__pycache__/"
    ]


def test_the_package_loads_without_settings_network_or_development_tools(
    indexed: Bindings,
) -> None:
    assert indexed


def test_development_tools_are_out_of_reach_of_that_check() -> None:
    assert {"starlette", "uvicorn", "pytest", "croniter"} <= foreign_modules()
    assert {"azure", "msal", "requests", "cryptography"}.isdisjoint(foreign_modules())


def test_the_names_are_legal_and_unique(indexed: Bindings) -> None:
    assert all(FUNCTION_NAME.fullmatch(name) for name in indexed)
    assert max(Counter(name.lower() for name in indexed).values()) == 1


def test_each_queue_and_poison_queue_is_read_by_one_function(indexed: Bindings) -> None:
    triggers = [
        binding
        for bindings in indexed.values()
        for binding in bindings
        if binding["type"] == "queueTrigger"
    ]

    assert sorted(trigger["queueName"] for trigger in triggers) == sorted(QUEUES + POISON_QUEUES)
    assert {trigger["connection"] for trigger in triggers} == {"AzureWebJobsStorage"}


@pytest.mark.parametrize("queue", QUEUES + POISON_QUEUES)
def test_members_of_a_body_are_not_taken_for_properties_of_its_message(
    indexed: Bindings, queue: str
) -> None:
    """The host reads `id` and `InsertionTime` from a body that it takes for text."""
    (trigger,) = (
        binding
        for bindings in indexed.values()
        for binding in bindings
        if binding.get("queueName") == queue
    )

    assert trigger["dataType"] == "BINARY"


def test_nothing_is_sent_by_an_output_binding(indexed: Bindings) -> None:
    outputs = {
        (binding["type"], binding["name"])
        for bindings in indexed.values()
        for binding in bindings
        if binding["direction"] == "OUT"
    }

    assert outputs <= {("http", "$return")}


def test_messages_are_taken_as_they_are() -> None:
    assert read_configuration(ROOT, {}).queues.message_encoding == "none"


def worker_python(version: str) -> str | None:
    """Find a Python that really runs: a version manager may leave a name that does not."""
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(
        map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))
    )
    for candidate in filter(None, candidates):
        probe = subprocess.run(  # noqa: S603 - a Python
            [candidate, "-c", "import venv"], capture_output=True, timeout=SECONDS, check=False
        )
        if probe.returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="module", params=WORKER_PYTHONS)
def worker(request: pytest.FixtureRequest) -> Path:
    """Make an environment of the app's requirements and the worker, kept for the next run."""
    version: str = request.param
    python = worker_python(version)
    if python is None:
        pytest.skip(f"no Python {version} is found for the worker library")
    # Two workers of the test run may need it at the same time.
    with (ROOT / "requirements.txt").open() as requirements:
        fcntl.flock(requirements, fcntl.LOCK_EX)
        return worker_environment(ROOT / f".venv-{version}", python, requirements.read() + WORKER)


def worker_environment(folder: Path, python: str, wanted: str) -> Path:
    """Return the Python of the kept environment; make it where the requirements are others."""
    made = folder / "requirements.txt"
    inside = folder / "bin/python"
    if not made.is_file() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        run_checked([python, "-m", "venv", str(folder)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run_checked([str(inside), *install, "-r", str(ROOT / "requirements.txt"), WORKER])
        made.write_text(wanted)
    return inside


def run_checked(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert result.returncode == 0, result.stderr


def index_with(worker: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [str(worker), "-I", str(ROOT / "tests/host/worker_index.py")],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.timeout(400)
def test_the_worker_of_microsoft_indexes_the_package(
    worker: Path, package: Path, indexed: Bindings
) -> None:
    result = index_with(worker, package)

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == indexed


WRONG_APP = """
import azure.functions as func

app = func.FunctionApp()


@app.route(route="things")
{}
"""

OPTIONAL_ANSWER = "def respond(req: func.HttpRequest) -> func.HttpResponse | None: ..."
UNBOUND_PARAMETER = "def respond(req: func.HttpRequest, attempt: int = 1) -> str: ..."
BUILT_IN_LIST = """
@app.queue_output(arg_name="out", queue_name="work", connection="Storage")
def respond(req: func.HttpRequest, out: func.Out[list[str]]) -> str: ...
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("function", "refusal"),
    [
        (OPTIONAL_ANSWER, "invalid non-type return annotation"),
        (UNBOUND_PARAMETER, "declared in Python but not in the function definition"),
        (BUILT_IN_LIST, "invalid non-type annotation"),
    ],
)
def test_the_worker_of_microsoft_refuses_a_wrong_app(
    worker: Path, tmp_path: Path, function: str, refusal: str
) -> None:
    (tmp_path / "function_app.py").write_text(WRONG_APP.format(function.strip()))

    result = index_with(worker, tmp_path)

    assert result.returncode != 0
    assert refusal in result.stderr
