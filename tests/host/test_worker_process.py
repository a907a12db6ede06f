"""The worker process: its death, its replacement, and the time limit of functions."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests
from azure.storage.queue import QueueClient

from tests.host.command import SECONDS, Command, started
from tests.host.sample import count, eventually, new_queue

APP = """
import logging
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()


def hang():
    while not Path("go").exists():
        time.sleep(0.01)


@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage) -> None:
    name = msg.get_body().decode()
    Path(f"{name}-{msg.dequeue_count}").touch()
    if msg.dequeue_count == 1:
        hang()
        Path(f"{name} survived").touch()


@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    if Path("first tick").exists():
        Path("second tick").touch()
    Path("first tick").touch()
    hang()


@app.route(route="hang")
def hang_up(req: func.HttpRequest) -> func.HttpResponse:
    Path("request").touch()
    hang()
    return func.HttpResponse("survived")


@app.route(route="worker")
def worker(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getpid()))


@app.route(route="folder")
def folder(req: func.HttpRequest) -> func.HttpResponse:
    logging.getLogger("app").info("asked for the folder")
    return func.HttpResponse(os.getcwd())
"""

# A lease that outlasts the test: what comes back was released, not forgotten.
LONG_LEASE = ("--lease-seconds", "300")
NEVER = {"SCHEDULE": "0 0 0 1 1 *"}
NO_LIMIT = {"AzureFunctionsJobHost__functionTimeout": "-1"}
EVERY_SECOND = {"SCHEDULE": "* * * * * *"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    queues = {
        "messageEncoding": "none",
        "visibilityTimeout": "00:00:01",
        "maxPollingInterval": "00:00:00.1",
    }
    content = {"version": "2.0", "extensions": {"queues": queues}, "functionTimeout": "00:00:02"}
    (tmp_path / "host.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def queue(storage: str) -> QueueClient:
    return new_queue(storage, "work")


def worker_of(host: Command) -> int | None:
    """Return the ID of the worker process; None if it died during the request."""
    response = requests.get(f"{host.url}/api/worker", timeout=SECONDS)
    return int(response.text) if response.ok else None


def kill_worker(host: Command) -> int:
    worker = worker_of(host)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    return worker


def is_replaced(host: Command, worker: int) -> bool:
    return worker_of(host) not in (None, worker)


def output_at_the_end(host: Command) -> str:
    """Return the rest of the output, which ends when no process is left that could write it."""
    assert host.process.stdout is not None
    return host.process.stdout.read()


def test_a_run_past_the_limit_ends_with_its_process_and_all_that_runs_in_it(
    folder: Path, storage: str, queue: QueueClient
) -> None:
    for name in ("long", "neighbour"):
        queue.send_message(name)

    with started(folder, storage, *LONG_LEASE, **NEVER) as host:
        eventually((folder / "neighbour-1").exists)
        worker = worker_of(host)
        eventually((folder / "long-2").exists, seconds=SECONDS)
        eventually((folder / "neighbour-2").exists, seconds=SECONDS)
        (folder / "go").touch()
        eventually(lambda: count(queue) == 0)
        assert worker_of(host) != worker

    assert list(folder.glob("* survived")) == []


def test_a_request_past_the_limit_is_a_500_without_a_body(folder: Path, storage: str) -> None:
    with started(folder, storage, **NEVER) as host:
        response = requests.get(f"{host.url}/api/hang", timeout=SECONDS)

    assert (response.status_code, response.content) == (500, b"")


def test_a_timer_past_the_limit_runs_again_at_a_later_occurrence(
    folder: Path, storage: str
) -> None:
    with started(folder, storage, **EVERY_SECOND):
        eventually((folder / "second tick").exists, seconds=SECONDS)


def test_a_limit_that_is_exceeded_is_logged(folder: Path, storage: str) -> None:
    with started(folder, storage, **NEVER) as host:
        requests.get(f"{host.url}/api/hang", timeout=SECONDS)
        host.process.terminate()
        _, log = host.process.communicate(timeout=SECONDS)

    assert "hang_up exceeded the functionTimeout of 0:00:02" in log


def test_a_killed_worker_is_replaced_and_its_messages_come_back(
    folder: Path, storage: str, queue: QueueClient
) -> None:
    queue.send_message("first")

    with started(folder, storage, *LONG_LEASE, **NEVER, **NO_LIMIT) as host:
        eventually((folder / "first-1").exists)
        killed = kill_worker(host)
        eventually((folder / "first-2").exists, seconds=SECONDS)
        eventually(lambda: count(queue) == 0)
        assert is_replaced(host, killed)


def test_a_request_in_a_killed_worker_is_a_500_without_a_body(folder: Path, storage: str) -> None:
    with started(folder, storage, **NEVER, **NO_LIMIT) as host, ThreadPoolExecutor() as pool:
        asked = pool.submit(requests.get, f"{host.url}/api/hang", timeout=SECONDS)
        eventually((folder / "request").exists)
        kill_worker(host)
        response = asked.result()

    assert (response.status_code, response.content) == (500, b"")


def test_the_host_exits_when_its_worker_dies_for_the_third_time(folder: Path, storage: str) -> None:
    with started(folder, storage, **NEVER) as host:
        for _ in range(2):
            killed = kill_worker(host)
            eventually(partial(is_replaced, host, killed))
        kill_worker(host)

        assert host.process.wait(SECONDS) == 0


def test_the_functions_run_in_the_folder_of_the_host_and_log_to_its_log(
    folder: Path, storage: str
) -> None:
    with started(folder, storage, **NEVER) as host:
        response = requests.get(f"{host.url}/api/folder", timeout=SECONDS)
        host.process.terminate()
        _, log = host.process.communicate(timeout=SECONDS)

    assert response.text == str(folder)
    assert "INFO app asked for the folder" in log


def test_no_worker_outlives_a_host_that_ends(folder: Path, storage: str) -> None:
    with started(folder, storage, **NEVER) as host:
        host.process.terminate()

        assert host.process.wait(SECONDS) == 0
        assert output_at_the_end(host) == ""


def test_no_worker_outlives_a_killed_host(folder: Path, storage: str, queue: QueueClient) -> None:
    queue.send_message("first")

    with started(folder, storage, **NEVER, **NO_LIMIT) as host:
        eventually((folder / "first-1").exists)
        host.process.kill()

        assert output_at_the_end(host) == ""
    (folder / "go").touch()
    assert not (folder / "first survived").exists()


def test_an_interrupt_from_the_terminal_lets_the_running_function_finish(
    folder: Path, storage: str, queue: QueueClient
) -> None:
    queue.send_message("first")

    with started(folder, storage, **NEVER, **NO_LIMIT) as host:
        eventually((folder / "first-1").exists)
        os.killpg(host.process.pid, signal.SIGINT)
        (folder / "go").touch()
        _, log = host.process.communicate(timeout=SECONDS)

    assert host.process.returncode == 0
    assert "KeyboardInterrupt" not in log
    assert count(queue) == 0
