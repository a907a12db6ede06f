"""Before provisioning: what Azure would refuse half way is refused with a sentence."""

import pytest

from hooks.before_provision import before_provision
from hooks.console import Clock, Stop
from tests.hooks.conftest import Azure

REGIONS = "GET /subscriptions/s/providers/Microsoft.Web/geoRegions"


@pytest.fixture
def ready(azure: Azure) -> Azure:
    azure.on(REGIONS, (200, {"value": [{"name": "West Europe"}, {"name": "East US 2"}]}))
    return azure


def test_a_region_with_flex_passes(ready: Azure, environment: dict[str, str], clock: Clock) -> None:
    before_provision(environment, clock)

    assert ready.calls == [REGIONS]


@pytest.mark.usefixtures("ready")
def test_a_region_without_flex_is_refused_with_those_that_have_it(
    environment: dict[str, str], clock: Clock
) -> None:
    with pytest.raises(Stop, match=r"qatarcentral has no Flex .* eastus2, westeurope"):
        before_provision(environment | {"AZURE_LOCATION": "qatarcentral"}, clock)


def test_a_dedicated_app_may_be_in_any_region(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    dedicated = {"HOSTING_MODEL": "dedicated", "SERVICE_API_HOSTING_MODEL": "dedicated"}

    before_provision(environment | dedicated | {"AZURE_LOCATION": "qatarcentral"}, clock)

    assert ready.calls == []


def test_a_list_of_regions_that_cannot_be_read_hinders_nobody(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ready.on(REGIONS, (403, {}))

    before_provision(environment, clock)

    assert "not checked: 403" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["AZURE_LOCATION", "AZURE_SUBSCRIPTION_ID"])
def test_a_region_that_azd_would_ask_for_later_is_asked_for_now(
    ready: Azure, environment: dict[str, str], clock: Clock, name: str
) -> None:
    with pytest.raises(Stop, match="azd env set AZURE_LOCATION"):
        before_provision(environment | {name: ""}, clock)

    assert ready.calls == []


@pytest.mark.parametrize(("before", "now"), [("flex", "dedicated"), ("dedicated", "flex")])
@pytest.mark.usefixtures("ready")
def test_the_hosting_model_cannot_be_changed(
    environment: dict[str, str], clock: Clock, before: str, now: str
) -> None:
    models = {"SERVICE_API_HOSTING_MODEL": before, "HOSTING_MODEL": now}

    with pytest.raises(Stop, match=f"is {now}, but this environment is deployed as {before}"):
        before_provision(environment | models, clock)


def test_the_first_deployment_may_choose_a_hosting_model(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    models = {"SERVICE_API_HOSTING_MODEL": "", "HOSTING_MODEL": "dedicated"}

    before_provision(environment | models, clock)

    assert ready.calls == []


@pytest.mark.parametrize(
    "settings",
    [
        {"PRIVATE_INBOUND": "true"},
        {"PRIVATE_INBOUND": "true", "PRIVATE_NETWORKING": "true", "DEPLOY_LOGIC_APPS": "true"},
    ],
)
@pytest.mark.usefixtures("ready")
def test_private_inbound_that_cannot_work_is_refused(
    environment: dict[str, str], clock: Clock, settings: dict[str, str]
) -> None:
    with pytest.raises(Stop, match="PRIVATE_INBOUND needs PRIVATE_NETWORKING"):
        before_provision(environment | settings, clock)
