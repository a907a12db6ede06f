"""Before the first deployment of code: repeat it until the roles are effective.

https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
"""

import re
import sys
from collections.abc import Mapping
from typing import Final

from hooks.console import NESTED, Clock, Stop, azd, run, wanted
from hooks.resource_manager import VERSION, Failed, ResourceManager

PATIENCE_SECONDS: Final = 30 * 60
PAUSE_SECONDS: Final = 60
_FORBIDDEN: Final = re.compile(r"\b403\b|forbidden|AuthorizationPermissionMismatch", re.IGNORECASE)


def before_deploy(environment: Mapping[str, str], clock: Clock) -> None:
    """Repeat the deployment while it is forbidden, if the app has no code yet; raises Stop.

    azd deploys once more afterwards, which does no harm.
    """
    if _has_code(environment):
        return
    end = clock.now() + PATIENCE_SECONDS
    while _is_forbidden(environment):
        if clock.now() >= end:
            raise Stop(
                "The deployment is still forbidden after half an hour. Look whether the roles of "
                "docs/deploy.md are assigned, and run 'azd deploy' again."
            )
        print("tipsweep: 403. Roles are not effective yet; the deployment is tried again.")
        clock.sleep(PAUSE_SECONDS)


def _has_code(environment: Mapping[str, str]) -> bool:
    app = wanted(environment, "SERVICE_API_RESOURCE_ID")
    try:
        return any(True for _ in ResourceManager(environment).values(f"{app}/functions?{VERSION}"))
    except Failed:
        # azd describes better what is wrong with this call.
        return True


def _is_forbidden(environment: Mapping[str, str]) -> bool:
    """Whether a deployment ends with 403; another error is left to azd, which shows it."""
    name = wanted(environment, "AZURE_ENV_NAME")
    done = azd(
        *("deploy", "api", "--no-prompt", "--environment", name),
        environment={**environment, NESTED: "1"},
    )
    return done.returncode != 0 and _FORBIDDEN.search(done.stdout + done.stderr) is not None


if __name__ == "__main__":
    sys.exit(run(before_deploy))
