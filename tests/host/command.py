"""Runs `python -m local.host` in a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.host.sample import STORAGE

ROOT = Path(__file__).parents[2]
SECONDS = 20


class Command:
    """A host in its own process, and the line that it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = json.loads(process.stdout.readline())
        self.url: str = self.line["url"]
        self.queues: list[str] = self.line["queues"]


@contextmanager
def started(folder: Path, storage: str, *arguments: str, **extra: str) -> Iterator[Command]:
    """Run the app in `folder` until the block ends, with `extra` in its environment."""
    with subprocess.Popen(  # noqa: S603 - our own command
        command(*arguments),
        cwd=folder,
        env=environment(storage, extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal gives each command
    ) as process:
        try:
            yield Command(process)
        finally:
            process.kill()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "local.host", "--port", "0", "--lease-seconds", "2", *arguments]


def environment(storage: str, extra: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        STORAGE: storage,
        **extra,
    }


def failed(folder: Path, storage: str, *arguments: str, **extra: str) -> list[str]:
    """Run a host that must fail to start, and return the lines of its log."""
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
    return ended.stderr.splitlines()
