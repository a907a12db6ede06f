"""`make demo`: empties a simulated sandbox of 75 customers, with live progress."""

import argparse
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from local.azurite import Azurite
from local.child import running_module
from local.provision import provision
from shared.limits import MICROSOFT_CALLS_PER_MINUTE
from shared.storage.names import CUSTOMERS_TO_DELETE, DELETIONS_TABLE
from shared.storage.records import DeletionRecord, Records, State
from shared.tenants import TenantId

PROTECTED_DOMAINS: Final = "keep-*"
LONGEST_SECONDS: Final = 600
_MINUTE: Final = timedelta(seconds=60)
_POLL_SECONDS: Final = 0.5
_PLAIN_LINE_SECONDS: Final = 5.0
_TOO_MANY_REQUESTS: Final = 429
_STYLES: Final = {State.DELETED: "green", State.STUCK: "red", State.REFUSED: "yellow"}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The simulated sandbox, as the simulator describes it in its first line."""

    control_url: str
    ca_file: str
    partner: TenantId
    environment: Mapping[str, str]
    customers: Mapping[str, str]

    def calls(self) -> list[Mapping[str, Any]]:
        """Return the calls that Partner Center received."""
        session = requests.Session()
        session.trust_env = False  # otherwise REQUESTS_CA_BUNDLE overrides verify
        response = session.get(f"{self.control_url}/calls", verify=self.ca_file, timeout=30)
        return [call for call in response.json()["calls"] if call["path"].startswith("/v1/")]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of all deletions."""

    records: Mapping[TenantId, DeletionRecord]
    customers: int
    seconds: float

    @property
    def finished(self) -> int:
        """The number of finished deletions."""
        return sum(not record.live for record in self.records.values())

    def states(self) -> str:
        """Return the number of deletions in each state, as text."""
        counts = Counter(record.state for record in self.records.values())
        return ", ".join(f"{counts[state]} {state}" for state in State if counts[state])


def main() -> int:
    """Run the demo; return 0 if every deletion has finished."""
    seed = _arguments().seed
    console = Console()
    console.print("Starting Azurite, the Partner Center simulator and the host.")
    with Azurite.start() as azurite, _simulator(seed) as sandbox:
        storage = azurite.connection_string
        provision(storage)
        with _host(sandbox, storage):
            _drop(storage, sandbox)
            console.print(
                f"Put {len(sandbox.customers)} tenant IDs on the queue {CUSTOMERS_TO_DELETE}."
            )
            console.print(
                "When progress pauses, the app is waiting for its limit of calls per minute."
            )
            progress = _follow(console, _reader(storage, sandbox))
        _summarise(console, sandbox, progress)
    return 0 if progress.finished == progress.customers else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--seed", choices=("full", "small"), default="full")
    return parser.parse_args()


@contextmanager
def _simulator(seed: str) -> Iterator[Sandbox]:
    with running_module("local.simulator", "--port", "0", "--seed", seed) as first_line:
        yield Sandbox(
            control_url=first_line["controlUrl"],
            ca_file=first_line["caFile"],
            partner=TenantId(first_line["partnerTenantId"]),
            environment=first_line["environment"],
            customers={each["tenantId"]: each["label"] for each in first_line["customers"]},
        )


@contextmanager
def _host(sandbox: Sandbox, storage: str) -> Iterator[None]:
    environment = {
        **sandbox.environment,
        "AzureWebJobsStorage": storage,
        "PROTECTED_DOMAINS": PROTECTED_DOMAINS,
        "SWEEP_MODE": "off",
    }
    with running_module("local.host", "--port", "0", "--no-settings", **environment):
        yield


def _drop(storage: str, sandbox: Sandbox) -> None:
    with QueueServiceClient.from_connection_string(storage) as service:
        queue = service.get_queue_client(CUSTOMERS_TO_DELETE)
        for tenant in sandbox.customers:
            queue.send_message(tenant)


def _reader(storage: str, sandbox: Sandbox) -> Callable[[], Progress]:
    tables = TableServiceClient.from_connection_string(storage)
    records = Records(tables.get_table_client(DELETIONS_TABLE), sandbox.partner)
    started = time.monotonic()

    def read() -> Progress:
        known = {record.tenant: record for record in records.all()}
        return Progress(known, len(sandbox.customers), time.monotonic() - started)

    return read


def _follow(console: Console, read: Callable[[], Progress]) -> Progress:
    """Show progress until everything has finished: live on a terminal, otherwise line by line."""
    follow = _follow_live if console.is_terminal else _follow_plainly
    return follow(console, read)


def _follow_live(console: Console, read: Callable[[], Progress]) -> Progress:
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for progress in _readings(read):
            live.update(_view(progress))
    return progress


def _follow_plainly(console: Console, read: Callable[[], Progress]) -> Progress:
    shown = float("-inf")
    for progress in _readings(read):
        if progress.seconds - shown >= _PLAIN_LINE_SECONDS:
            shown = progress.seconds
            console.print(f"{progress.seconds:5.0f} s  {progress.states() or 'not started'}")
    return progress


def _readings(read: Callable[[], Progress]) -> Iterator[Progress]:
    while True:
        progress = read()
        yield progress
        if progress.finished == progress.customers or progress.seconds > LONGEST_SECONDS:
            return
        time.sleep(_POLL_SECONDS)


def _view(progress: Progress) -> Table:
    view = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=progress.customers, completed=progress.finished, width=50)
    view.add_row("finished", bar, f"{progress.finished} of {progress.customers}")
    view.add_row("states", progress.states())
    view.add_row("time", f"{progress.seconds:.0f} s")
    return view


def _summarise(console: Console, sandbox: Sandbox, progress: Progress) -> None:
    calls = sandbox.calls()
    throttled = sum(call["status"] == _TOO_MANY_REQUESTS for call in calls)
    for record in progress.records.values():
        if record.state is not State.DELETED:
            _explain(console, sandbox, record)
    console.print(f"\n[bold]{progress.states()}[/] of {progress.customers} customers")
    console.print(
        f"{len(calls)} API calls, {throttled} throttled (429), {progress.seconds:.1f} s; "
        f"busiest 60 s: {_busiest_minute(calls)} calls "
        f"(Microsoft's limit: {MICROSOFT_CALLS_PER_MINUTE})",
        highlight=False,
        soft_wrap=True,
    )


def _busiest_minute(calls: Sequence[Mapping[str, Any]]) -> int:
    times = sorted(datetime.fromisoformat(call["time"]) for call in calls)
    return max(
        (bisect_left(times, time + _MINUTE) - index for index, time in enumerate(times)),
        default=0,
    )


def _explain(console: Console, sandbox: Sandbox, record: DeletionRecord) -> None:
    style = _STYLES.get(record.state, "white")
    label = sandbox.customers[record.tenant]
    console.print(f"\n[{style}]{record.state}[/] {record.tenant} ({label})", highlight=False)
    remedy = f"\n  remedy: {record.remedy}" if record.remedy else ""
    text = f"  why: {record.reason or record.last_error}{remedy}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
