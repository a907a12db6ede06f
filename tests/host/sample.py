"""Shared by the tests of the host: queues, short limits, waiting for a condition."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import monotonic, sleep

import azure.functions as func
from azure.storage.queue import QueueClient

from local.host.configuration import parse_configuration
from local.host.host import Host
from tests.in_process import run_in_process

STORAGE = "AzureWebJobsStorage"


def run(
    app: func.FunctionApp,
    storage: str,
    *,
    settings: Mapping[str, str] | None = None,
    lease_seconds: int = 30,
    grace_seconds: float = 10,
    **queues: object,
) -> AbstractContextManager[Host]:
    """Run an app on a storage account, with short polling and the given `extensions.queues`."""
    limits = {"maxPollingInterval": "00:00:00.1", "messageEncoding": "none", **queues}
    content = {"version": "2.0", "extensions": {"queues": limits}}
    return run_in_process(
        app,
        {STORAGE: storage, **(settings or {})},
        configuration=parse_configuration(content, {}),
        lease_seconds=lease_seconds,
        grace_seconds=grace_seconds,
    )


def new_queue(storage: str, name: str) -> QueueClient:
    queue = QueueClient.from_connection_string(storage, name)
    queue.create_queue()
    return queue


def count(queue: QueueClient) -> int:
    """Count the messages of a queue, invisible ones included."""
    return queue.get_queue_properties().approximate_message_count or 0


def eventually(condition: Callable[[], bool], *, seconds: float = 8) -> None:
    """Wait until another thread or process makes the condition true."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not reached in {seconds} s"
        sleep(0.02)
