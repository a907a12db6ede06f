"""The demo runs unattended and explains what it could not delete."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_demo_ends_with_a_summary_in_plain_lines() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "local.demo", "--seed", "small"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        timeout=100,
        check=False,
    )

    assert demo.returncode == 0, demo.stderr
    assert "7 deleted, 1 stuck of 8 customers" in demo.stdout
    assert "remedy:" in demo.stdout
    assert "API calls, 0 throttled (429)" in demo.stdout
    assert "\x1b" not in demo.stdout
