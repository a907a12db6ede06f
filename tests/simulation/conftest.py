"""One process that runs seeds, for all tests of the simulation."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.pool import workers


@pytest.fixture(scope="session")
def worker() -> Iterator[ProcessPoolExecutor]:
    """Give a process of its own, because the simulation replaces the clock, locks and network."""
    with workers(1) as pool:
        yield pool
