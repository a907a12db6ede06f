"""The whole app in the host stand-in, over real queues and time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.simulator import Behaviour, Customer, ProductKind, Simulator
from shared.storage.names import POISON_QUEUES, POISON_SUFFIX, QUEUES
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


@contextmanager
def host(
    bench: Bench, storage: str, log: Path, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the host as a process of its own until the block ends; give it and its URL."""
    environment = {
        **os.environ,
        **bench.simulator.environment(),
        "AzureWebJobsStorage": storage,
        "CHECK_FIRST_DELAY_SECONDS": "1",
        "CHECK_MAX_DELAY_SECONDS": "2",
        "PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "500",
        **settings,
    }
    command = [sys.executable, "-m", "local.host", "--port", "0", "--no-settings"]
    with (
        log.open("a") as stderr,
        subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [*command, "--lease-seconds", "2"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        try:
            yield process, json.loads(line)["url"]
        finally:
            process.terminate()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.1)


def state(bench: Bench, customer: Customer) -> State | None:
    record = bench.services.records.get(TenantId(customer.tenant_id))
    return record.state if record else None


@pytest.fixture
def customers(simulator: Simulator) -> list[Customer]:
    customers = []
    for number, kind in enumerate([*ProductKind][:7]):
        customer = simulator.sandbox.add_customer(f"c{number}.onmicrosoft.com")
        customer.add_order(kind, cancel_after_seconds=number % 3)
        customers.append(customer)
    return customers


def test_dropped_ids_end_in_deleted_customers(
    bench: Bench, storage: str, customers: list[Customer], tmp_path: Path
) -> None:
    with host(bench, storage, tmp_path / "log"):
        for customer in customers:
            bench.drop(customer.tenant_id)
        wait_until(lambda: all(state(bench, each) is State.DELETED for each in customers))

    assert all(customer.deleted for customer in customers)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_killed_host_loses_nothing(
    bench: Bench, simulator: Simulator, storage: str, customers: list[Customer], tmp_path: Path
) -> None:
    simulator.behaviour = Behaviour(latency_ms=50)
    for customer in customers:
        bench.drop(customer.tenant_id)
    with host(bench, storage, tmp_path / "log") as (process, _):
        wait_until(lambda: len(bench.calls("PATCH")) > 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not all(customer.deleted for customer in customers)

    with host(bench, storage, tmp_path / "log"):
        wait_until(lambda: all(state(bench, each) is State.DELETED for each in customers))

    assert all(customer.deleted for customer in customers)


def test_a_bad_message_is_written_down(bench: Bench, storage: str, tmp_path: Path) -> None:
    with host(bench, storage, tmp_path / "log"):
        bench.drop("not a tenant")
        wait_until(lambda: len(bench.poisoned()) == 1)

    assert "message_rejected" in (tmp_path / "log").read_text()


def test_a_body_with_members_named_like_properties_of_a_message_is_written_down_from_every_queue(
    bench: Bench, storage: str, tmp_path: Path
) -> None:
    sent = {
        (queue.removesuffix(POISON_SUFFIX), json.dumps({"insertionTime": "now", "from": queue}))
        for queue in QUEUES + POISON_QUEUES
    }
    for queue, body in sent:
        came_from = str(json.loads(body)["from"])
        bench.drop(body, queue + (POISON_SUFFIX if came_from in POISON_QUEUES else ""))

    with host(bench, storage, tmp_path / "log"):
        wait_until(lambda: len(bench.poisoned()) == len(sent))

    assert {(row["queue"], row["body"]) for row in bench.poisoned()} == sent
