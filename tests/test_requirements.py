"""What is deployed has exact versions, compiled from the ranges beside it."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.infra.bicep import INFRA, parameters

ROOT = Path(__file__).parents[1]
MAIN = INFRA / "main.bicep"
OTHER_PYTHONS = ROOT / ".ci/other-pythons"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def requirements(file: str) -> Iterator[Requirement]:
    for line in (ROOT / file).read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield Requirement(line)


def installed(file: str, python: str) -> dict[str, Version]:
    """Return what a file installs on one version of Python on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return {
        canonicalize_name(one.name): exact(one)
        for one in requirements(file)
        if one.marker is None or one.marker.evaluate(dict(environment))
    }


def exact(requirement: Requirement) -> Version:
    [only] = requirement.specifier
    assert only.operator == "==", requirement
    assert "*" not in only.version, requirement
    return Version(only.version)


RANGES: dict[str, SpecifierSet] = {
    canonicalize_name(one.name): one.specifier for one in requirements("requirements.in")
}


def test_every_supported_python_is_offered_and_tested() -> None:
    supported = SpecifierSet(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    matrix = re.search(r"python: (\[.*\])", (ROOT / ".github/workflows/ci.yml").read_text())
    others = re.search(r"^for version in (.*); do$", OTHER_PYTHONS.read_text(), re.MULTILINE)

    assert [f"3.{n}" for n in range(8, 20) if f"3.{n}" in supported] == list(PYTHONS)
    assert parameters(MAIN)["pythonVersion"].allowed == set(PYTHONS)
    assert matrix
    assert tuple(json.loads(matrix[1])) == PYTHONS
    assert others
    assert tuple(others[1].split()) == PYTHONS


@pytest.mark.parametrize("python", PYTHONS)
def test_every_range_has_one_exact_version_within_it(python: str) -> None:
    versions = installed("requirements.txt", python)

    assert RANGES.keys() <= versions.keys()
    assert {
        name: str(versions[name]) for name in RANGES if versions[name] not in RANGES[name]
    } == {}


@pytest.mark.parametrize(("python", "major"), [("3.11", 1), ("3.12", 1), ("3.13", 2), ("3.14", 2)])
def test_each_python_gets_the_library_of_its_worker(python: str, major: int) -> None:
    """azure-functions 1.x cannot be installed from Python 3.13 on, and 2.x not before."""
    assert installed("requirements.txt", python)["azure-functions"].major == major


def test_the_lowest_versions_that_are_tested_are_within_the_ranges() -> None:
    lowest = installed("requirements-lowest.txt", "3.11")
    newest = installed("requirements.txt", "3.11")

    assert {name for name in RANGES if lowest[name] not in RANGES[name]} == set()
    assert {name for name in RANGES if lowest[name] > newest[name]} == set()
    assert any(lowest[name] < newest[name] for name in RANGES)


def test_the_lowest_version_of_a_package_is_where_its_range_begins() -> None:
    """But for msal, of which azure-identity wants more than we do."""
    lowest = installed("requirements-lowest.txt", "3.11")
    begins = {
        name: Version(one.version)
        for name, specifier in RANGES.items()
        for one in specifier
        if one.operator == ">="
    }
    higher = {name for name, version in begins.items() if lowest[name] != version}

    assert begins.keys() == RANGES.keys()
    assert higher <= {"msal"}


@pytest.mark.parametrize(
    ("name", "flawed"),
    [
        ("azure-identity", "1.25.2"),
        ("azure-keyvault-secrets", "4.11.1"),
        ("azure-storage-queue", "12.14.1"),
    ],
)
def test_a_version_with_a_known_flaw_is_not_installed(name: str, flawed: str) -> None:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith(name))

    assert not RANGES[name].contains(flawed)
    assert lines[number - 1].startswith("# Before ")
