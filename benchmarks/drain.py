"""Prints how long a full sandbox takes to empty, next to the loop in Microsoft's documentation.

Run: python -m benchmarks.drain [--rounds 3]

The simulator, the storage emulator and each host are processes of their own. The floor is the
earliest moment at which the last needed call may be sent, plus the time of a cancellation. The
hosts' logs say what ran when; an instance is active while it runs anything. One more drain for
each time of cancellation gets a single request in the middle, which should end within 120 s.
"""

import argparse
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import floor
from os import environ
from typing import Any, Final
from urllib.parse import unquote

import requests
from azure.storage.queue import QueueServiceClient

from benchmarks.loop import delete_by_loop, loop_connection
from local.azurite import Azurite
from local.child import LOGS, running_module
from local.provision import provision
from shared.storage.names import BUDGET_ROW, CUSTOMERS_TO_DELETE, TABLES

CUSTOMERS: Final = 75
ORDERS: Final = 5
LIMIT: Final = 475
MINUTE: Final = 60.0
LATENCY: Final = ("--latency-ms", "150", "--latency-up-to-ms", "300")
# The loop takes its customers one after the other, so a few tell how long all would take.
LOOP_CUSTOMERS: Final = 3
LOOP_PAUSE_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 900.0
# The minute is full then, and the rest of the customers wait for the next one.
SINGLE_AFTER_SECONDS: Final = 30.0
STEPS: Final = ("cancel_orders", "check_orders", "delete_customer")
BACKGROUND: Final = (
    "sweep_sandbox",
    "run_requested_sweep",
    "redrive",
    *(f"record_poison_{each}" for each in ("requests", "checks", "deletes", "sweeps")),
)
LAYOUTS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "one process": (STEPS,),
    "a process for each function": tuple((step,) for step in STEPS),
    "two instances of each": tuple((step,) for step in STEPS * 2),
}
SINGLE_LAYOUT: Final = "a process for each function"
# Dollars per 10,000 operations, locally redundant, general purpose v2.
PRICES: Final = {"queue": 0.004, "table": 0.00036}
# GB of memory of an instance.
SIZES: Final = (2.0, 0.5)
_DONE: Final = re.compile(r"^(\S+ \S+) INFO local\.host\.worker (\w+) done in (\d+) ms")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A simulator in a process of its own, with customers in it."""

    control: requests.Session
    url: str
    environment: Mapping[str, str]
    tenants: tuple[str, ...]

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the calls to Partner Center after one with this number."""
        response = self.control.get(f"{self.url}/calls", params={"since": since}, timeout=30)
        return [call for call in response.json()["calls"] if call["path"].startswith("/v1/")]


@dataclass(frozen=True, slots=True)
class Run:
    """One drain; `freed` are the seconds at which each customer was gone.

    `single` is how long the request in the middle took, if there was one.
    """

    name: str
    cancel_seconds: float
    freed: Sequence[float]
    calls: Sequence[Mapping[str, Any]]
    executions: int
    active_seconds: float
    operations: Mapping[str, int]
    claims: int
    single: float | None = None

    def row(self) -> tuple[str, ...]:
        """Return the figures as text, in the order of the table."""
        seconds, least = self.freed[-1], floor_seconds(len(self.freed), self.cancel_seconds)
        price = sum(self.operations[kind] / 10_000 * PRICES[kind] for kind in PRICES)
        active = [self.active_seconds * size / len(self.freed) for size in SIZES]
        return (
            self.name,
            f"{self.cancel_seconds:.0f}",
            f"{least:.0f}",
            f"{seconds:.1f}",
            f"{seconds / least:.2f}",
            f"{self.freed[0]:.1f}",
            f"{self.freed[len(self.freed) // 2 - 1]:.1f}",
            "" if self.single is None else f"{self.single:.1f}",
            str(len(self.calls)),
            str(sum(call["status"] == HTTPStatus.TOO_MANY_REQUESTS for call in self.calls)),
            str(fullest_minute(self.calls)),
            str(self.executions),
            f"{len(self.calls) / max(1, self.claims):.1f}",
            " / ".join(f"{each:.2f}" for each in active),
            f"{self.operations['queue']} + {self.operations['table']}",
            f"{price:.5f}",
        )


HEADINGS: Final = (
    "layout",
    "cancel s",
    "floor s",
    "s",
    "x",
    "first",
    "half",
    "single",
    "calls",
    "429",
    "fullest",
    "runs",
    "calls a claim",
    "GB-s each",
    "queue + table",
    "$",
)
# As wide as the widest cell of each column.
_WIDEST: Final = (
    "a process for each function",
    *HEADINGS[1:3],
    "000.0",
    "00.00",
    "00.0",
    "00.0",
    "single",
    "calls",
    "429",
    "fullest",
    "runs",
    "calls a claim",
    "00.00 / 00.00",
    "queue + table",
    "0.00000",
)


def needed_calls(customers: int, cancel_seconds: float) -> int:
    """Return the calls that cannot be avoided: two lists, a PATCH for each order, a DELETE.

    One look more if the cancellations are not done at once, and one list of all customers.
    """
    return customers * (3 + ORDERS + (1 if cancel_seconds else 0)) + 1


def floor_seconds(customers: int, cancel_seconds: float) -> float:
    """Return the seconds until the last needed call may be sent, plus those of a cancellation."""
    full_minutes = floor((needed_calls(customers, cancel_seconds) - 1) / LIMIT)
    return full_minutes * MINUTE + cancel_seconds


def fullest_minute(calls: Iterable[Mapping[str, Any]]) -> int:
    """Return the most calls that the simulator counted in any 60 seconds."""
    times = sorted(moment(call) for call in calls)
    return max((bisect_left(times, each + MINUTE) - n for n, each in enumerate(times)), default=0)


def moment(call: Mapping[str, Any]) -> float:
    """Return when the simulator handled a call."""
    return datetime.fromisoformat(call["time"]).timestamp()


def main() -> None:
    """Drain a full sandbox in each layout, and print the table line by line."""
    options = _options()
    for number in range(options.rounds):
        print(f"\nround {number + 1}\n{_line(HEADINGS)}", flush=True)
        for cancel_seconds in options.cancel_seconds:
            for name in options.layouts:
                row = _drained(name, cancel_seconds, options.customers).row()
                print(_line(row), flush=True)
            if not options.no_single:
                row = _drained(SINGLE_LAYOUT, cancel_seconds, options.customers, single=True).row()
                print(_line(row), flush=True)
            if not options.no_loop:
                print(_line(_looped(cancel_seconds, options.customers)), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--layouts", nargs="*", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--cancel-seconds", type=float, nargs="*", default=[0.0, 10.0])
    parser.add_argument("--no-single", action="store_true")
    parser.add_argument("--no-loop", action="store_true")
    return parser.parse_args()


def _line(cells: Sequence[str]) -> str:
    return "  ".join(map(str.ljust, cells, map(len, _WIDEST)))


@contextmanager
def _sandbox(customers: int, cancel_seconds: float, *limit: str) -> Iterator[Sandbox]:
    with running_module("local.simulator", "--seed", "empty", *LATENCY, *limit) as line:
        control = requests.Session()
        control.trust_env = False  # otherwise REQUESTS_CA_BUNDLE overrides verify
        control.verify = line["caFile"]
        order = {"kind": "perpetual_software", "cancelAfterSeconds": cancel_seconds}
        tenants = []
        for number in range(customers):
            body = {"domain": f"c{number:02}.onmicrosoft.com", "orders": [order] * ORDERS}
            added = control.post(f"{line['controlUrl']}/customers", json=body, timeout=30)
            tenants.append(added.json()["tenantId"])
        yield Sandbox(control, line["controlUrl"], line["environment"], tuple(tenants))


def _drained(name: str, cancel_seconds: float, customers: int, *, single: bool = False) -> Run:
    lines: list[str] = []
    with (
        Azurite.start(on_line=lines.append) as azurite,
        _sandbox(customers + single, cancel_seconds) as sandbox,
        ExitStack() as hosts,
    ):
        storage = azurite.connection_string
        provision(storage)
        logs = [f"drain-{number}" for number in range(len(LAYOUTS[name]))]
        for log, functions in zip(logs, LAYOUTS[name], strict=True):
            hosts.enter_context(_host(sandbox, storage, log, functions))
        lines.clear()
        began = _dropped(storage, sandbox.tenants[:customers])
        if single:
            time.sleep(SINGLE_AFTER_SECONDS)
            requested = _dropped(storage, sandbox.tenants[customers:])
        calls = _followed(sandbox)
        operations, claims = _operations(lines), sum(map(_claims, lines))
    runs = {log: _intervals((LOGS / f"{log}.log").read_text().splitlines()) for log in logs}
    gone = {call["path"].rpartition("/")[2]: moment(call) for call in calls if _frees(call)}
    return Run(
        name,
        cancel_seconds,
        sorted(gone[tenant] - began for tenant in sandbox.tenants[:customers]),
        calls,
        sum(len(each) for each in runs.values()),
        sum(_covered(each) for each in runs.values()),
        operations,
        claims,
        gone[sandbox.tenants[customers]] - requested if single else None,
    )


def _dropped(storage: str, tenants: Sequence[str]) -> float:
    """Put requests on the queue; return when the first one was."""
    began = datetime.now(UTC).timestamp()
    with QueueServiceClient.from_connection_string(storage) as service:
        for tenant in tenants:
            service.get_queue_client(CUSTOMERS_TO_DELETE).send_message(tenant)
    return began


@contextmanager
def _host(
    sandbox: Sandbox, storage: str, log: str, functions: Sequence[str]
) -> Iterator[dict[str, Any]]:
    others = {*BACKGROUND, *STEPS} - set(functions)
    settings = {
        **sandbox.environment,
        "AzureWebJobsStorage": storage,
        "PROTECTED_DOMAINS": "keep-*",
        "SWEEP_MODE": "off",
        **{f"AzureWebJobs.{each}.Disabled": "true" for each in others},
    }
    arguments = ("--port", "0", "--no-settings")
    with running_module("local.host", *arguments, log_name=log, **settings) as line:
        yield line


def _followed(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Wait until all customers are gone; return the calls."""
    calls: list[dict[str, Any]] = []
    end = time.monotonic() + LONGEST_SECONDS
    while sum(map(_frees, calls)) < len(sandbox.tenants):
        if time.monotonic() > end:
            raise SystemExit(f"not empty after {LONGEST_SECONDS:.0f} s; see {LOGS}")
        time.sleep(1)
        calls += sandbox.calls(calls[-1]["sequence"] if calls else 0)
    # The last runs end, and are logged, after the last response.
    time.sleep(1)
    return calls


def _frees(call: Mapping[str, Any]) -> bool:
    return call["method"] == "DELETE" and call["status"] in {200, 204}


def _operations(lines: Sequence[str]) -> Counter[str]:
    requested = [line for line in list(lines) if " HTTP/1.1" in line]
    return Counter(
        "table"
        if any(f"/{table}(" in line or f"/{table}?" in line for table in (*TABLES, "$batch"))
        else "queue"
        for line in requested
    )


def _claims(line: str) -> bool:
    """Whether a line of the access log is a write to the row of the budget."""
    return f"RowKey='{BUDGET_ROW}'" in unquote(line) and "GET" not in line


def _intervals(lines: Iterable[str]) -> list[tuple[float, float]]:
    found = []
    for line in lines:
        if match := _DONE.match(line):
            end = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)
            found.append((end - timedelta(milliseconds=int(match[3])), end))
    return [(began.timestamp(), ended.timestamp()) for began, ended in found]


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in which at least one of the intervals runs."""
    covered, reached = 0.0, float("-inf")
    for began, ended in sorted(intervals):
        covered += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return covered


def _looped(cancel_seconds: float, customers: int) -> tuple[str, ...]:
    """Time the loop over a few customers, and say how long it would take for all."""
    allowed = ("--set", "app_only_entitlements=true", "--requests-per-minute", "100000")
    with _sandbox(LOOP_CUSTOMERS, cancel_seconds, *allowed) as sandbox:
        environ["REQUESTS_CA_BUNDLE"] = sandbox.environment["REQUESTS_CA_BUNDLE"]
        connection = loop_connection(sandbox.environment)
        began = time.monotonic()
        for tenant in sandbox.tenants:
            delete_by_loop(connection, tenant, lambda: time.sleep(LOOP_PAUSE_SECONDS))
        each = (time.monotonic() - began) / LOOP_CUSTOMERS
        calls = len(sandbox.calls()) / LOOP_CUSTOMERS
    least = floor_seconds(customers, cancel_seconds)
    seconds = each * customers
    figures = {
        "layout": "Microsoft's loop",
        "cancel s": f"{cancel_seconds:.0f}",
        "floor s": f"{least:.0f}",
        "s": f"{seconds:.0f}",
        "x": f"{seconds / least:.1f}",
        "first": f"{each:.1f}",
        "half": f"{seconds / 2:.0f}",
        "calls": f"{calls * customers:.0f}",
        "GB-s each": " / ".join(f"{each * size:.2f}" for size in SIZES),
    }
    return tuple(figures.get(heading, "") for heading in HEADINGS)


if __name__ == "__main__":
    main()
