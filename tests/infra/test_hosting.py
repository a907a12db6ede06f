"""The two ways to host the app: the same outputs, each with what its plan needs and no more."""

import re
from pathlib import Path

import pytest

from tests.infra.bicep import INFRA, outputs, parameters, properties, resources, text, variables

MAIN = INFRA / "main.bicep"
FLEX = INFRA / "modules/flex.bicep"
DEDICATED = INFRA / "modules/dedicated.bicep"
# https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#deprecated-properties-and-settings
REJECTED_BY_FLEX = (
    *("linuxFxVersion", "ftpsState", "alwaysOn", "healthCheckPath", "http20Enabled"),
    *("FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "ENABLE_ORYX_BUILD"),
    *("SCM_DO_BUILD_DURING_DEPLOYMENT", "vnetRouteAllEnabled"),
)


def site(path: Path) -> str:
    return next(r.text for r in resources(path) if r.type == "Microsoft.Web/sites")


def versions(path: Path) -> set[str]:
    return set(re.findall(r"'Microsoft\.Web/[\w/]+@([\d-]+)'", path.read_text()))


def test_both_say_the_same_of_the_app() -> None:
    assert outputs(FLEX).keys() == outputs(DEDICATED).keys()


@pytest.mark.parametrize("word", REJECTED_BY_FLEX)
def test_flex_gets_nothing_that_it_rejects(word: str) -> None:
    assert word not in FLEX.read_text()
    assert word in DEDICATED.read_text()


def test_the_clouds_without_flex_get_a_version_that_they_know() -> None:
    """US Government knew no newer one than 2024-04-01 in August 2025."""
    assert versions(FLEX) == {"2024-11-01"}
    assert versions(DEDICATED) == versions(INFRA / "modules/easyauth.bicep") == {"2024-04-01"}


def test_an_instance_on_flex_runs_more_than_one_request() -> None:
    """The platform's default for Python is one: a long request would hold up the switch."""
    scale = properties(properties(variables(FLEX)["flexConfig"])["scaleAndConcurrency"])
    http = properties(properties(scale["triggers"])["http"])

    assert text(http["perInstanceConcurrency"]) == "16"


def test_a_dedicated_app_reaches_a_vault_through_its_private_endpoint() -> None:
    assert re.search(r"vnetRouteAllEnabled: !empty\(subnetId\)", site(DEDICATED))


def test_updates_roll_only_where_somebody_says_so() -> None:
    """A region without the property would refuse it."""
    default = parameters(MAIN)["rollingUpdates"].default

    assert default is not None
    assert text(default) == "false"
    assert "rollingUpdates ? union(flexConfig, rollingUpdate) : flexConfig" in site(FLEX)
    assert "siteUpdateStrategy" not in text(variables(FLEX)["flexConfig"])


@pytest.mark.parametrize("path", [FLEX, DEDICATED], ids=["flex", "dedicated"])
def test_an_app_with_private_inbound_has_no_public_endpoint(path: Path) -> None:
    assert "publicNetworkAccess: privateInbound ? 'Disabled' : 'Enabled'" in site(path)


def test_private_inbound_is_refused_where_it_cannot_work() -> None:
    declared = variables(MAIN)

    assert text(declared["inboundConflict"]) == "!privateNetworking || deployLogicApps"
    assert text(declared["closesApp"]) == (
        "privateInbound && inboundConflict ? fail(inboundAdvice) : privateInbound"
    )
    used = [line for line in MAIN.read_text().splitlines() if "privateInbound" in line]
    assert len(used) == len(("parameter", "advice", "closesApp", "to flex", "to dedicated"))


@pytest.mark.parametrize("name", ["privateInbound", "deleteLocks", "diagnosticLogs"])
def test_what_costs_or_hinders_is_off_by_default(name: str) -> None:
    default = parameters(MAIN)[name].default

    assert default is not None
    assert text(default) == "false"
