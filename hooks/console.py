"""What every hook does alike: read azd's environment, wait, and end with a sentence."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

# Set while a hook runs azd itself, so that the hooks of that run do nothing.
NESTED: Final = "TIPSWEEP_NESTED_DEPLOYMENT"


class Stop(Exception):
    """The command must not go on, or has not done what it says; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds that only grow, and a way to let them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wanted(environment: Mapping[str, str], name: str) -> str:
    """Return a value that provisioning leaves in azd's environment; raises Stop without it."""
    value = environment.get(name, "")
    if not value:
        raise Stop(f"azd's environment has no {name}: run 'azd provision' first.")
    return value


def azd(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run azd and keep what it prints; warnings come in `stderr`, beside any result."""
    return subprocess.run(  # noqa: S603 - azd is what runs this hook
        ["azd", *arguments],  # noqa: S607 - wherever it is installed
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def run(hook: Callable[[Mapping[str, str], Clock], None]) -> int:
    """Run a hook; return the exit code that azd looks at."""
    if NESTED in os.environ:
        return 0
    try:
        hook(os.environ, Clock())
    except Stop as stop:
        print(f"tipsweep: {stop}", file=sys.stderr)
        return 1
    return 0
