"""azd starts each hook on every system, and the hook runs on nothing but Python."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hooks.console import NESTED
from hooks.expected import function_names, package_versions
from tests.hooks.conftest import Azure
from tests.test_loading import ROOT

HOOKS = {
    "preprovision": "before_provision",
    "predeploy": "before_deploy",
    "postdeploy": "after_deploy",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_azd_knows_a_hook_for_each_system(hook: str) -> None:
    told = (ROOT / "azure.yaml").read_text()

    assert (
        f"  {hook}:\n    posix:\n      shell: sh\n      run: hooks/{hook}.sh\n"
        f"    windows:\n      shell: pwsh\n      run: hooks/{hook}.ps1\n"
    ) in told


@pytest.mark.parametrize(("hook", "module"), HOOKS.items())
def test_both_scripts_of_a_hook_start_the_same_module(hook: str, module: str) -> None:
    for kind in ("sh", "ps1"):
        started = re.findall(r"-m (hooks\.\w+)", (ROOT / f"hooks/{hook}.{kind}").read_text())
        assert started == [f"hooks.{module}"]


def start(hook: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a script of this project
        ["/bin/sh", str(ROOT / f"hooks/{hook}.sh")],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def with_python(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Put this Python on the path, under the name that systems give it."""
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    return environment | {"SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}


def test_a_script_ends_with_the_sentence_of_its_hook(with_python: dict[str, str]) -> None:
    done = start("preprovision", with_python | {"HOSTING_MODEL": "dedicated"})

    assert done.returncode == 1
    assert done.stderr.startswith("tipsweep: HOSTING_MODEL is dedicated, but")


def test_a_script_succeeds_with_its_hook(azure: Azure, with_python: dict[str, str]) -> None:
    regions = "GET /subscriptions/s/providers/Microsoft.Web/geoRegions"
    azure.on(regions, (200, {"value": [{"name": "West Europe"}]}))

    done = start("preprovision", with_python)

    assert (done.returncode, done.stderr) == (0, "")
    assert azure.calls == [regions]


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_of_a_deployment_that_a_hook_started_do_nothing(
    azure: Azure, with_python: dict[str, str], hook: str
) -> None:
    done = start(hook, with_python | {NESTED: "1"})

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert azure.calls == []


def test_without_a_python_that_is_young_enough_a_script_says_so(tmp_path: Path) -> None:
    for name in ("python3", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)

    done = start("postdeploy", {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    assert done.returncode == 1
    assert "need Python 3.11" in done.stderr


def test_the_hooks_import_the_standard_library_and_each_other_only() -> None:
    for file in (ROOT / "hooks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            roots = {name.partition(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "hooks"}, file


def test_the_functions_that_are_waited_for_are_those_of_the_app() -> None:
    index = (
        "from function_app import app; print(*[f.get_function_name() for f in app.get_functions()])"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", index], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert function_names() == set(done.stdout.split())


@pytest.mark.parametrize(("python", "major"), [("3.12", "1"), ("3.13", "2"), ("3.14", "2")])
def test_the_packages_are_those_of_the_python(python: str, major: str) -> None:
    versions = package_versions(python)

    assert versions["azure-functions"].startswith(f"{major}.")
    assert {"msal", "requests", "cryptography"} <= versions.keys()
