"""Starting and stopping the storage emulator."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local import azurite
from local.azurite import Azurite, AzuriteError
from tests.host.sample import eventually

ROOT = Path(__file__).parents[2]

PARENT = """
import sys
from local.azurite import Azurite

with Azurite.start() as azurite:
    print(azurite.connection_string, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("_", [1, 2])
def test_an_account_is_empty_at_first(storage: str, _: int) -> None:
    with QueueServiceClient.from_connection_string(storage) as queues:
        assert list(queues.list_queues()) == []
        queues.create_queue("work")
    with TableServiceClient.from_connection_string(storage) as tables:
        assert list(tables.list_tables()) == []
        tables.create_table("records")


def is_listening(storage: str) -> bool:
    with QueueServiceClient.from_connection_string(
        storage, retry_total=0, connection_timeout=1
    ) as queues:
        try:
            return list(queues.list_queues()) == []
        except AzureError:
            return False


def test_it_stops_at_the_end_of_the_block() -> None:
    with Azurite.start() as emulator:
        assert is_listening(emulator.connection_string)

    assert not is_listening(emulator.connection_string)


def test_it_stops_when_its_parent_is_killed() -> None:
    with subprocess.Popen(  # noqa: S603 - no outside input
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        storage = parent.stdout.readline().strip()
        assert is_listening(storage)
        parent.kill()

    eventually(lambda: not is_listening(storage))


def test_a_missing_azurite_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(azurite, "PROGRAM", tmp_path / "azurite.js")

    with pytest.raises(AzuriteError, match="run make setup"), Azurite.start():
        pass


def test_a_missing_node_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)

    with pytest.raises(AzuriteError, match=r"Node\.js 20"), Azurite.start():
        pass


def test_its_output_before_it_exits_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "azurite.js"
    broken.write_text("console.log('no room left')")
    monkeypatch.setattr(azurite, "PROGRAM", broken)

    with pytest.raises(AzuriteError, match="no room left"), Azurite.start():
        pass
