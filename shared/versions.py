"""What runs: the versions of tipsweep, Python and the packages that tipsweep uses."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from shared.events import Event, emit

TIPSWEEP: Final = "0.1.0"
PACKAGES: Final = (
    "azure-data-tables",
    "azure-functions",
    "azure-identity",
    "azure-keyvault-secrets",
    "azure-storage-queue",
    "cryptography",
    "idna",
    "msal",
    "requests",
)
_MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions in a process."""

    tipsweep: str
    python: str
    packages: Mapping[str, str]


def versions() -> Versions:
    """Return the versions of what is installed, whatever was asked for when it was built."""
    packages = {name: _version(name) for name in PACKAGES}
    return Versions(TIPSWEEP, platform.python_version(), packages)


def log_start() -> None:
    """Log the versions, once for each process."""
    found = versions()
    packages = ", ".join(f"{name} {number}" for name, number in found.packages.items())
    emit(Event.APP_STARTED, tipsweep=found.tipsweep, python=found.python, packages=packages)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return _MISSING
