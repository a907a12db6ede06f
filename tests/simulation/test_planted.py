"""Each planted mistake is found at its seed."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.pool import see_mistake


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_seen(worker: ProcessPoolExecutor, name: str) -> None:
    seed = PLANTED[name].seed
    assert seed is not None

    assert worker.submit(see_mistake, name, [seed]).result() is not None
