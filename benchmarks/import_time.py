"""Prints the import time of `function_app`, next to that of its main dependencies.

Run: python -m benchmarks.import_time
"""

import statistics
import subprocess
import sys
import time

RUNS = 9
STATEMENTS = {
    "python alone": "pass",
    "azure.functions + requests": "import azure.functions, requests",
    "azure.functions + requests + the four Azure clients": (
        "import azure.functions, requests, azure.identity, azure.storage.queue, "
        "azure.data.tables, azure.keyvault.secrets"
    ),
    "function_app": "import function_app",
}


def seconds(statement: str) -> float:
    """Return the wall time of a new interpreter that runs the statement, in seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-c", statement]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own statements
    return time.perf_counter() - started


def main() -> None:
    """Print the median of several interleaved runs of each statement, in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(RUNS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    for name, measured in times.items():
        print(f"{statistics.median(measured) * 1000:7.0f} ms  {name}")


if __name__ == "__main__":
    main()
