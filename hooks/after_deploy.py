"""After a deployment of code: make sure that the app has it, all of it, in the right versions.

azd reports success even if the host knows no function: Easy Auth blocks its synchronisation.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from hooks import expected
from hooks.console import Clock, Stop, run, wanted
from hooks.resource_manager import VERSION, Failed, NoToken, ResourceManager, call, token_for

PATIENCE_SECONDS: Final = 10 * 60
PAUSE_SECONDS: Final = 10
_NOT_OURS_TO_ASK: Final = frozenset({401, 403, 404})


def after_deploy(environment: Mapping[str, str], clock: Clock) -> None:
    """Synchronise the triggers, wait for all functions, compare the versions; raises Stop."""
    app = wanted(environment, "SERVICE_API_RESOURCE_ID")
    manager = ResourceManager(environment)
    _synchronise(manager, app, clock)
    _wait_for_functions(manager, app, clock)
    _compare_versions(manager, app, environment, clock)


def _synchronise(manager: ResourceManager, app: str, clock: Clock) -> None:
    end = clock.now() + PATIENCE_SECONDS
    while True:
        try:
            manager.post(f"{app}/host/default/sync?{VERSION}")
        except Failed as failed:
            if clock.now() >= end:
                raise Stop(f"The triggers could not be synchronised: {failed}") from None
            clock.sleep(PAUSE_SECONDS)
        else:
            return


def _wait_for_functions(manager: ResourceManager, app: str, clock: Clock) -> None:
    names = expected.function_names()
    end = clock.now() + PATIENCE_SECONDS
    while missing := names - _listed(manager, app):
        if clock.now() >= end:
            raise Stop(_what_is_missing(missing, names))
        clock.sleep(PAUSE_SECONDS)
    print(f"tipsweep: all {len(names)} functions are there.")


def _listed(manager: ResourceManager, app: str) -> set[str]:
    try:
        functions = manager.values(f"{app}/functions?{VERSION}")
        return {str(each["name"]).rpartition("/")[2] for each in functions}
    except Failed:
        return set()


def _what_is_missing(missing: set[str], names: set[str]) -> str:
    if missing == names:
        return (
            "The app lists none of its functions: function_app.py does not import there. "
            "The log of the app (Log stream, or exceptions in Application Insights) says why."
        )
    return (
        f"The app lacks these functions: {', '.join(sorted(missing))}. "
        "A setting that one of their triggers names cannot be read."
    )


def _compare_versions(
    manager: ResourceManager, app: str, environment: Mapping[str, str], clock: Clock
) -> None:
    """Ask until the deployed code responds; being allowed no call is reported and is no error."""
    python = wanted(environment, "SERVICE_API_PYTHON_VERSION")
    end = clock.now() + PATIENCE_SECONDS
    while True:
        try:
            running = _running(manager, app, environment)
        except NoToken as none:
            print(f"tipsweep: the versions are NOT compared. {none}")
            return
        except Failed as failed:
            found = [f"GET /api/version: {failed}"]
            if failed.status in _NOT_OURS_TO_ASK or clock.now() >= end:
                print(f"tipsweep: the versions are NOT compared. {found[0]}")
                return
        else:
            found = _differences(running, python)
        if not found:
            print("tipsweep: Python and packages are those that were asked for.")
            return
        if clock.now() >= end:
            raise Stop("The app runs other versions than were asked for: " + "; ".join(found))
        clock.sleep(PAUSE_SECONDS)


def _running(manager: ResourceManager, app: str, environment: Mapping[str, str]) -> dict[str, Any]:
    url = f"{wanted(environment, 'SERVICE_API_URI')}/api/version"
    if client := environment.get("SERVICE_API_CLIENT_ID", ""):
        headers = {"Authorization": f"Bearer {token_for(f'api://{client}', environment)}"}
    else:
        keys = manager.post(f"{app}/host/default/listkeys?{VERSION}")
        headers = {"x-functions-key": str(keys["functionKeys"]["default"])}
    running = call("GET", url, headers)
    if not isinstance(running, dict) or not running.keys() >= {"tipsweep", "python", "packages"}:
        raise Failed(200, f"a response without the versions: {running}")
    return running


def _differences(running: Mapping[str, Any], python: str) -> list[str]:
    packages = expected.package_versions(python)
    pairs = [
        ("tipsweep", str(running["tipsweep"]), expected.own_version()),
        ("Python", ".".join(str(running["python"]).split(".")[:2]), python),
        *((name, str(now), packages.get(name, now)) for name, now in running["packages"].items()),
    ]
    return [f"{what} {now} instead of {asked}" for what, now, asked in pairs if now != asked]


if __name__ == "__main__":
    sys.exit(run(after_deploy))
