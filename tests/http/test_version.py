"""`/api/version` and the line in the log at the start."""

import logging
import platform
import re
import tomllib
from importlib.metadata import version

import pytest

from shared import versions
from tests.http.app import ROOT, App, fresh_app


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == versions.TIPSWEEP


def test_every_package_is_one_of_the_requirements() -> None:
    required = re.findall(r"^[a-z0-9-]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

    assert set(versions.PACKAGES) <= set(required)


def test_the_versions_are_those_that_are_installed(api: App) -> None:
    shown = api.get("/api/version").json

    assert (shown["tipsweep"], shown["python"]) == (versions.TIPSWEEP, platform.python_version())
    assert shown["packages"] == {name: version(name) for name in versions.PACKAGES}


def test_a_package_that_is_not_installed_is_shown_as_missing(
    api: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "PACKAGES", ("no-such-package",))

    assert api.get("/api/version").json["packages"] == {"no-such-package": "missing"}


def test_loading_the_app_logs_the_versions(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tipsweep")

    fresh_app()

    [line] = [each for each in caplog.messages if each.startswith("app_started")]
    assert f"tipsweep={versions.TIPSWEEP} python={platform.python_version()} packages=" in line
    assert f"requests {version('requests')}" in line
