"""Before provisioning: refuse what Azure would refuse half way, and say what to do."""

import sys
from collections.abc import Mapping

from hooks.console import Clock, Stop, run
from hooks.resource_manager import VERSION, Failed, ResourceManager


def before_provision(environment: Mapping[str, str], _clock: Clock) -> None:
    """Check hosting model, region and private inbound; raises Stop."""
    _require_same_hosting_model(environment)
    _require_private_inbound_to_work(environment)
    if _hosting_model(environment) == "flex":
        _require_flex_in_the_region(environment)


def _hosting_model(environment: Mapping[str, str]) -> str:
    return environment.get("HOSTING_MODEL") or "flex"


def _require_same_hosting_model(environment: Mapping[str, str]) -> None:
    before = environment.get("SERVICE_API_HOSTING_MODEL", "")
    now = _hosting_model(environment)
    if before not in {"", now}:
        raise Stop(
            f"HOSTING_MODEL is {now}, but this environment is deployed as {before}, and Azure "
            "cannot turn one into the other. Set it back, or create a new environment with "
            "'azd env new' (docs/deploy.md, Another hosting model)."
        )


def _require_private_inbound_to_work(environment: Mapping[str, str]) -> None:
    def on(name: str) -> bool:
        return environment.get(name, "").lower() == "true"

    if on("PRIVATE_INBOUND") and (on("DEPLOY_LOGIC_APPS") or not on("PRIVATE_NETWORKING")):
        raise Stop(
            "PRIVATE_INBOUND needs PRIVATE_NETWORKING and excludes DEPLOY_LOGIC_APPS: "
            "Logic Apps (Consumption) call from outside the network."
        )


def _require_flex_in_the_region(environment: Mapping[str, str]) -> None:
    subscription = environment.get("AZURE_SUBSCRIPTION_ID", "")
    location = environment.get("AZURE_LOCATION", "")
    if not subscription or not location:
        raise Stop(
            "The subscription or the region is not known yet. Set both, and run the command again: "
            "azd env set AZURE_SUBSCRIPTION_ID <ID>; azd env set AZURE_LOCATION <region>"
        )
    path = f"/subscriptions/{subscription}/providers/Microsoft.Web/geoRegions"
    try:
        regions = ResourceManager(environment).values(f"{path}?sku=FlexConsumption&{VERSION}")
        names = {_plain(region["name"]) for region in regions}
    except Failed as failed:
        print(f"tipsweep: whether {location} has Flex Consumption is not checked: {failed}")
        return
    if _plain(location) not in names:
        raise Stop(
            f"{location} has no Flex Consumption. Choose one of {', '.join(sorted(names))} with "
            "'azd env set AZURE_LOCATION', or run 'azd env set HOSTING_MODEL dedicated'."
        )


def _plain(region: str) -> str:
    return region.replace(" ", "").lower()


if __name__ == "__main__":
    sys.exit(run(before_provision))
