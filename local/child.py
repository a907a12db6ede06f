"""Runs modules of the project in processes of their own, for the demo and the benchmarks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

LOGS: Final = Path(__file__).parents[1] / ".run"


@contextmanager
def running_module(
    module: str, *arguments: str, log_name: str = "", **environment: str
) -> Iterator[dict[str, Any]]:
    """Run a module that prints one line of JSON once it is ready, and stop it on exit.

    Its standard error goes to a log in `.run`, named like the module unless a name is given.
    """
    LOGS.mkdir(exist_ok=True)
    log_file = LOGS / f"{log_name or module}.log"
    with (
        log_file.open("w") as log,
        subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            first_line = process.stdout.readline() if process.stdout else ""
            if not first_line:
                message = f"{module} did not start; see {log_file}"
                raise SystemExit(message)
            yield json.loads(first_line)
        finally:
            process.terminate()
