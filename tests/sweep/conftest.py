"""A workbench whose settings let a sweep delete."""

import pytest

from tests.bench import Bench
from tests.sweep.customers import PROTECTED


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.use(**PROTECTED)
    return bench
