"""infra/check.sh passes every file to the compiler, and says so if there is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.bicep import FILES, INFRA, PARAMETER_FILES, relative

# A fake compiler: records how it was called, and fails if told to.
COMPILER = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in "$FAIL_ON") exit 1 ;; esac
case "$1" in format) shift; cat "$2" ;; esac
case "$*" in "$WARN_ON") echo "main.bicep(1,7) : Warning no-unused-params: never used" >&2 ;; esac
"""


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """Copy the folder: the compiler writes snapshots into it."""
    return shutil.copytree(INFRA, tmp_path / "infra")


def check(
    infra: Path, fail_on: str = "none", warn_on: str = "none"
) -> subprocess.CompletedProcess[str]:
    home = infra.parent
    environment = {
        "PATH": f"{home / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(home),
        "CALLS": str(home / "calls"),
        "FAIL_ON": fail_on,
        "WARN_ON": warn_on,
    }
    return subprocess.run(  # noqa: S603 - a script of this project
        [infra / "check.sh"], env=environment, capture_output=True, text=True, check=False
    )


def install(folder: Path) -> None:
    folder.mkdir(parents=True)
    compiler = folder / "bicep"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)


def test_without_a_compiler_it_says_that_nothing_was_compiled(infra: Path) -> None:
    done = check(infra)

    assert done.returncode == 0
    assert "NOT compiled" in done.stderr


def test_every_file_is_built_linted_and_compared_in_format(infra: Path) -> None:
    install(infra.parent / "bin")

    done = check(infra)

    calls = (infra.parent / "calls").read_text().splitlines()
    assert done.returncode == 0, done.stderr
    for file in map(relative, FILES):
        assert {f"build --stdout {file}", f"lint {file}", f"format --stdout {file}"} <= set(calls)
    for file in map(relative, PARAMETER_FILES):
        assert {f"build-params --stdout {file}", f"format --stdout {file}"} <= set(calls)


def test_a_snapshot_is_made_once_and_compared_from_then_on(infra: Path) -> None:
    install(infra.parent / "bin")
    (infra / "params/prod.snapshot.json").write_text("{}")

    check(infra)

    calls = (infra.parent / "calls").read_text().splitlines()
    assert "snapshot params/prod.bicepparam --mode validate" in calls
    assert "snapshot params/dev.bicepparam --mode overwrite" in calls


def test_the_compiler_of_the_azure_cli_is_used_when_there_is_no_other(infra: Path) -> None:
    install(infra.parent / ".azure/bin")

    done = check(infra)

    assert done.returncode == 0
    assert "build --stdout main.bicep" in (infra.parent / "calls").read_text()


@pytest.mark.parametrize(
    "call",
    [
        "build --stdout main.bicep",
        "lint modules/storage.bicep",
        "build-params --stdout params/china.bicepparam",
        "format --stdout main.bicepparam",
        "snapshot params/dev.bicepparam --mode overwrite",
    ],
)
def test_one_failure_fails_the_check(infra: Path, call: str) -> None:
    install(infra.parent / "bin")

    assert check(infra, fail_on=call).returncode == 1


def test_a_warning_fails_the_check_too(infra: Path) -> None:
    install(infra.parent / "bin")

    done = check(infra, warn_on="lint modules/storage.bicep")

    assert done.returncode == 1
    assert "never used" in done.stderr
