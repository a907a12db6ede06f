"""The floors of the libraries that sign in and store, each with its reason in the file."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

LINES = (Path(__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("name", "flawed"),
    [
        ("azure-identity", "1.25.2"),
        ("azure-keyvault-secrets", "4.11.1"),
        ("azure-storage-queue", "12.14.1"),
    ],
)
def test_a_version_with_a_known_flaw_is_not_installed(name: str, flawed: str) -> None:
    number = next(number for number, line in enumerate(LINES) if line.startswith(name))

    assert not Requirement(LINES[number]).specifier.contains(flawed)
    assert LINES[number - 1].startswith("# Before ")
