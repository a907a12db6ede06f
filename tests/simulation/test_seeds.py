"""Seeds run without unknown violations, and the same way each time."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.known import KNOWN, Known
from tests.simulation.pool import digest, run_seeds, twice, workers

SEEDS = 150
PART = 50
NOTHING_OFF: frozenset[str] = frozenset()


class StillThere(AssertionError):
    """A known violation still occurs; a worker that breaks raises something else."""


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_seeds_break_no_rule_that_is_not_known(worker: ProcessPoolExecutor, first: int) -> None:
    seeds = list(range(first, first + PART))
    outcomes = worker.submit(run_seeds, seeds, NOTHING_OFF).result()

    failed = [each for each in outcomes if each.unknown]
    assert [f"SEED={each.seed} make simulate: {each.unknown[0]}" for each in failed] == []


@pytest.mark.parametrize("seed", [1, 7, 13])
def test_a_seed_gives_the_same_log_each_time(worker: ProcessPoolExecutor, seed: int) -> None:
    first, second = worker.submit(twice, seed).result()

    assert first == second


@pytest.mark.parametrize("seed", [2, 11])
def test_a_seed_gives_the_same_log_in_another_process_and_after_other_seeds(
    worker: ProcessPoolExecutor, seed: int
) -> None:
    with workers(1, hash_seed=4711) as other:
        expected = other.submit(digest, seed, []).result()

    assert worker.submit(digest, seed, [3, 5]).result() == expected


# Without a known violation there is nothing to run, and nothing to skip.
if KNOWN:

    @pytest.mark.parametrize(
        "known",
        [
            pytest.param(
                each,
                id=each.name,
                marks=pytest.mark.xfail(reason=each.reason, raises=StillThere, strict=True),
            )
            for each in KNOWN
        ],
    )
    def test_a_known_violation_is_gone(worker: ProcessPoolExecutor, known: Known) -> None:
        (outcome,) = worker.submit(run_seeds, [known.seed], NOTHING_OFF).result()

        if known.name in outcome.known:
            raise StillThere(known.name)
