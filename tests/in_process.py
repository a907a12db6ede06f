"""Runs an app object in the process of the test, so that its functions share the test's state."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import azure.functions as func

from local.host.configuration import LEASE_SECONDS, HostConfiguration, read_configuration
from local.host.host import GRACE_SECONDS, Host
from local.host.loading import load
from local.host.worker import ThreadPoolWorker

ROOT = Path(__file__).parents[1]


@contextmanager
def run_in_process(
    app: func.FunctionRegister,
    settings: Mapping[str, str],
    *,
    configuration: HostConfiguration | None = None,
    lease_seconds: int = LEASE_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[Host]:
    """Run an app without a limit of time; the default configuration is that of the project."""
    configuration = configuration or read_configuration(ROOT, settings)
    with (
        closing(ThreadPoolWorker.from_settings(load(app, settings), settings)) as worker,
        Host.start(
            worker, configuration, lease_seconds=lease_seconds, grace_seconds=grace_seconds
        ) as host,
    ):
        yield host
