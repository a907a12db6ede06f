"""Worker processes that run seeds, with the same hash seed each time."""

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

from coverage import Coverage

from tests.simulation.faults import Strike
from tests.simulation.outcome import Outcome, outcome_of, the_machine, try_seed
from tests.simulation.planted import PLANTED
from tests.simulation.run import Options, simulate
from tests.simulation.shrink import smallest
from tests.simulation.story import story

HASHES: Final = "PYTHONHASHSEED"


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Start this many worker processes.

    The order of a set of strings depends on the hash seed, so all of them have the same one.
    """
    before = os.environ.get(HASHES)
    os.environ[HASHES] = "0"
    try:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            # All processes start now, while the hash seed is set.
            for future in [pool.submit(os.getpid) for _ in range(count)]:
                future.result()
            yield pool
    finally:
        if before is None:
            del os.environ[HASHES]
        else:
            os.environ[HASHES] = before
        sys.stdout.flush()


def run_seeds(seeds: list[int], without: frozenset[str]) -> list[Outcome]:
    """Run seeds in this process and return their outcomes."""
    machine = the_machine()
    return [try_seed(machine, seed, Options(without=without)) for seed in seeds]


def see_mistake(name: str, seeds: list[int]) -> tuple[int, list[str]] | None:
    """Return the first seed that shows a planted mistake, and the rules that only it breaks."""
    for seed in seeds:
        found = _broken(name, seed) & PLANTED[name].rules
        if found and (new := found - _broken("", seed)):
            return seed, sorted(new)
    return None


def _broken(planted: str, seed: int) -> set[str]:
    return {each.rule for each in try_seed(the_machine(planted), seed).violations}


def replay(
    seed: int, without: frozenset[str], skipped: frozenset[Strike], planted: str = ""
) -> tuple[Outcome, list[str]]:
    """Run a seed and return its outcome and its story."""
    machine = the_machine(planted)
    simulation = simulate(machine, seed, Options(without=without, skipped=skipped))
    return outcome_of(simulation, seed), list(story(simulation.log.entries))


def shrunk(seed: int, rule: str, without: frozenset[str]) -> list[str]:
    """Return the strikes of the smallest set of faults that still breaks a rule."""
    machine = the_machine()
    off, skipped = smallest(machine, seed, rule, without)
    left = try_seed(machine, seed, Options(without=off, skipped=skipped))
    return [f"{kind}:{number}" for kind, number in left.struck]


def traced(seeds: list[int], without: frozenset[str]) -> float:
    """Run seeds and return the share of the lines of shared/ that they reach, in per cent."""
    machine = the_machine()
    coverage = Coverage(source=["shared"], data_file=None, concurrency=["greenlet"])
    coverage.start()
    machine.import_anew()
    run_seeds(seeds, without)
    coverage.stop()
    with tempfile.TemporaryFile("w") as nowhere:
        return coverage.report(file=nowhere)


def twice(seed: int) -> tuple[list[str], list[str]]:
    """Run a seed twice and return both logs, entry by entry."""
    first, second = (simulate(the_machine(), seed).log.entries for _ in range(2))
    return [repr(each) for each in first], [repr(each) for each in second]
