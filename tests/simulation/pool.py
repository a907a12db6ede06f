"""Worker processes that run seeds, with the same hash seed each time."""

import functools
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from coverage import Coverage

from tests.simulation.faults import Strike
from tests.simulation.outcome import Outcome, outcome_of, the_machine, try_seed
from tests.simulation.planted import PLANTED
from tests.simulation.reach import Lines
from tests.simulation.run import ROOT, Options, simulate
from tests.simulation.shrink import Smallest, smallest
from tests.simulation.story import story

HASHES: Final = "PYTHONHASHSEED"
_SIGNED: Final = re.compile(r"(eyJ[\w-]+\.eyJ[\w-]+)\.[\w-]+")


@contextmanager
def workers(count: int, hash_seed: int = 0) -> Iterator[ProcessPoolExecutor]:
    """Start this many worker processes, all with this hash seed."""
    before = os.environ.get(HASHES)
    os.environ[HASHES] = str(hash_seed)
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
        if found and (new := found - _broken_anyway(seed)):
            return seed, sorted(new)
    return None


def _broken(planted: str, seed: int) -> set[str]:
    return {each.rule for each in try_seed(the_machine(planted), seed).violations}


@functools.cache
def _broken_anyway(seed: int) -> frozenset[str]:
    """Return what breaks without a mistake, which does not change from one mistake to the next."""
    return frozenset(_broken("", seed))


def replay(
    seed: int, without: frozenset[str], skipped: frozenset[Strike], planted: str = ""
) -> tuple[Outcome, list[str]]:
    """Run a seed and return its outcome and its story."""
    machine = the_machine(planted)
    simulation = simulate(machine, seed, Options(without=without, skipped=skipped))
    return outcome_of(simulation, seed), list(story(simulation.log.entries))


def shrunk(seed: int, rule: str, without: frozenset[str]) -> Smallest:
    """Return the smallest set of faults with which a seed still breaks a rule."""
    return smallest(the_machine(), seed, rule, without)


def traced(seeds: list[int], without: frozenset[str]) -> list[Lines]:
    """Run seeds and return which lines of each file of shared/ they reach."""
    machine = the_machine()
    coverage = Coverage(source=["shared"], data_file=None, concurrency=["greenlet"])
    coverage.start()
    machine.import_anew()
    coverage.stop()
    imported = {path: set(coverage.get_data().lines(path) or ()) for path in _files(coverage)}
    coverage.start()
    run_seeds(seeds, without)
    coverage.stop()
    return [_lines(coverage, path, imported.get(path, set())) for path in sorted(_files(coverage))]


def _files(coverage: Coverage) -> set[str]:
    return coverage.get_data().measured_files()


def _lines(coverage: Coverage, path: str, imported: set[int]) -> Lines:
    _, statements, _, missing, _ = coverage.analysis2(path)
    name = Path(path).relative_to(ROOT).as_posix()
    return Lines(name, frozenset(statements), frozenset(imported), frozenset(missing))


def digest(seed: int, before: list[int]) -> str:
    """Run other seeds, then this one, and return a digest of its log.

    The signatures of access tokens are left out: each process has its own key.
    """
    run_seeds(before, frozenset())
    entries = simulate(the_machine(), seed).log.entries
    return sha256(_SIGNED.sub(r"\1", "\n".join(map(repr, entries))).encode()).hexdigest()


def twice(seed: int) -> tuple[list[str], list[str]]:
    """Run a seed twice and return both logs, entry by entry."""
    first, second = (simulate(the_machine(), seed).log.entries for _ in range(2))
    return [repr(each) for each in first], [repr(each) for each in second]
