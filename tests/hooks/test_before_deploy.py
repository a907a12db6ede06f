"""Before the first deployment: it is repeated until the roles are effective."""

from pathlib import Path

import pytest

from hooks.before_deploy import before_deploy
from hooks.console import Clock, Stop
from tests.hooks.conftest import APP, Azure

FUNCTIONS = f"GET {APP}/functions"
FORBIDDEN = "ERROR: deploying service api: 403 Forbidden"


@pytest.fixture
def without_code(azure: Azure) -> Azure:
    azure.on(FUNCTIONS, (200, {"value": []}))
    return azure


def azd_will_print(environment: dict[str, str], *lines: str) -> None:
    Path(environment["AZD_OUTPUT"]).write_text("\n".join(lines) + "\n")


def deployments(environment: dict[str, str]) -> list[str]:
    calls = Path(environment["AZD_CALLS"])
    return calls.read_text().splitlines() if calls.exists() else []


def test_an_app_that_has_code_is_deployed_by_azd_alone(
    azure: Azure, environment: dict[str, str], clock: Clock
) -> None:
    azure.on(FUNCTIONS, (200, {"value": [{"name": "func/redrive"}]}))

    before_deploy(environment, clock)

    assert deployments(environment) == []


@pytest.mark.usefixtures("without_code")
def test_a_403_is_waited_out(environment: dict[str, str], clock: Clock) -> None:
    azd_will_print(environment, FORBIDDEN, "AuthorizationPermissionMismatch", "SUCCESS")

    before_deploy(environment, clock)

    assert deployments(environment) == ["deploy api --no-prompt --environment dev"] * 3
    assert clock.now() == 120


@pytest.mark.usefixtures("without_code")
def test_a_deployment_that_succeeds_is_not_repeated(
    environment: dict[str, str], clock: Clock
) -> None:
    azd_will_print(environment, "SUCCESS: rg-tipsweep-403")

    before_deploy(environment, clock)

    assert len(deployments(environment)) == 1


@pytest.mark.usefixtures("without_code")
def test_another_error_is_left_to_azd(environment: dict[str, str], clock: Clock) -> None:
    azd_will_print(environment, "ERROR: packaging service api")

    before_deploy(environment, clock)

    assert len(deployments(environment)) == 1


@pytest.mark.usefixtures("without_code")
def test_a_403_that_stays_is_an_error(environment: dict[str, str], clock: Clock) -> None:
    azd_will_print(environment, *[FORBIDDEN] * 40)

    with pytest.raises(Stop, match="still forbidden after half an hour"):
        before_deploy(environment, clock)


def test_an_app_that_cannot_be_read_is_left_to_azd(
    azure: Azure, environment: dict[str, str], clock: Clock
) -> None:
    azure.on(FUNCTIONS, (404, {}))

    before_deploy(environment, clock)

    assert deployments(environment) == []
