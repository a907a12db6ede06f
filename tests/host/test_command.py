"""`python -m local.host`, `python -m local.provision` and the lifetime of the host process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.provision import provision
from shared.storage.names import POISON_QUEUES, QUEUES, TABLES
from tests.host.sample import STORAGE, count, eventually, new_queue

ROOT = Path(__file__).parents[2]
SECONDS = 20

APP = """
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage) -> None:
    Path(f"try-{msg.dequeue_count}").touch()
    if msg.dequeue_count == 1:
        time.sleep(float(os.environ.get("FIRST_TRY_SECONDS", "0")))


@app.route(route="colour")
def colour(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ.get("COLOUR"))
"""


class Command:
    """A host in its own process, and the line that it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = json.loads(process.stdout.readline())
        self.url: str = self.line["url"]
        self.queues: list[str] = self.line["queues"]


Start = Callable[..., AbstractContextManager[Command]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text((ROOT / "host.json").read_text())
    return tmp_path


def environment(storage: str, extra: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        STORAGE: storage,
        **extra,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "local.host", "--port", "0", "--lease-seconds", "2", *arguments]


@pytest.fixture
def start(folder: Path, storage: str) -> Start:
    @contextmanager
    def started(*arguments: str, folder: Path = folder, **extra: str) -> Iterator[Command]:
        with subprocess.Popen(  # noqa: S603 - our own command
            command(*arguments),
            cwd=folder,
            env=environment(storage, extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Command(process)
            finally:
                process.kill()

    return started


def startup_error(folder: Path, storage: str, *arguments: str, **extra: str) -> str:
    """Run a host that must fail to start, and return its error."""
    ended = subprocess.run(  # noqa: S603 - our own command
        command(*arguments),
        cwd=folder,
        env=environment(storage, extra),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    return ended.stderr


def test_one_line_says_where_it_listens_and_what_it_runs(start: Start) -> None:
    with start() as host:
        assert host.line == {
            "url": host.url,
            "functions": ["work", "colour"],
            "queues": ["work"],
        }
        assert requests.get(f"{host.url}/api/colour", timeout=SECONDS).status_code == 200


def test_the_app_of_the_project_runs(start: Start) -> None:
    with start("--no-settings", folder=ROOT, SWEEP_SCHEDULE="0 0 3 1 1 *") as host:
        assert set(host.queues) == {*QUEUES, *POISON_QUEUES}
        listed = requests.get(f"{host.url}/admin/functions", timeout=SECONDS).json()

    assert [function["name"] for function in listed] == host.line["functions"]


def test_the_storage_is_provisioned(start: Start, storage: str) -> None:
    with start(), QueueServiceClient.from_connection_string(storage) as queues:
        assert {queue.name for queue in queues.list_queues()} == {*QUEUES, *POISON_QUEUES}


def test_provisioning_the_storage_twice_changes_nothing(storage: str) -> None:
    provision(storage)
    provision(storage)

    with TableServiceClient.from_connection_string(storage) as tables:
        assert {table.name for table in tables.list_tables()} == set(TABLES)


def test_the_settings_file_fills_the_environment_and_does_not_replace_it(
    folder: Path, start: Start
) -> None:
    (folder / "local.settings.json").write_text(json.dumps({"Values": {"COLOUR": "red"}}))

    with start() as host:
        assert requests.get(f"{host.url}/api/colour", timeout=SECONDS).text == "red"
    with start(COLOUR="blue") as host:
        assert requests.get(f"{host.url}/api/colour", timeout=SECONDS).text == "blue"


def test_the_settings_file_is_can_be_ignored(folder: Path, start: Start) -> None:
    (folder / "local.settings.json").write_text("not even JSON")

    with start("--no-settings", COLOUR="blue") as host:
        assert requests.get(f"{host.url}/api/colour", timeout=SECONDS).text == "blue"


@pytest.mark.parametrize(
    ("arguments", "extra", "rule"),
    [
        (["--settings", "other.json"], {}, "other.json does not exist"),
        (["--lease-seconds", "0"], {}, "a lease must last 1 to"),
        ([], {STORAGE: ""}, "the host: the connection AzureWebJobsStorage is not set"),
        ([], {"PYTHON_THREADPOOL_THREAD_COUNT": "x"}, "PYTHON_THREADPOOL_THREAD_COUNT must be"),
    ],
)
def test_what_cannot_run_is_rejected_in_one_line(
    folder: Path, storage: str, arguments: list[str], extra: dict[str, str], rule: str
) -> None:
    assert rule in startup_error(folder, storage, *arguments, **extra)


def test_a_port_that_is_taken_is_rejected(start: Start, folder: Path, storage: str) -> None:
    with start() as host:
        port = host.url.rpartition(":")[2]
        assert f"cannot listen on port {port}" in startup_error(folder, storage, "--port", port)


def test_terminating_lets_the_running_function_finish(
    start: Start, folder: Path, storage: str
) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")

    with start(FIRST_TRY_SECONDS="0.5") as host:
        eventually((folder / "try-1").exists)
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(SECONDS) == 0

    assert count(queue) == 0


def test_a_killed_host_loses_no_message(start: Start, folder: Path, storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")

    with start(FIRST_TRY_SECONDS="60") as host:
        eventually((folder / "try-1").exists)
        host.process.kill()
    with start():
        eventually((folder / "try-2").exists)
        eventually(lambda: count(queue) == 0)
