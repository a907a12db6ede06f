"""The command: runs many seeds, prints the story of one, or looks for planted mistakes.

make simulate SEEDS=20000        SEED=4711 make simulate        PLANTED=all make simulate
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.faults import Kind, Strike
from tests.simulation.known import KNOWN
from tests.simulation.outcome import Outcome
from tests.simulation.planted import PLANTED
from tests.simulation.pool import replay, run_seeds, see_mistake, shrunk, traced, workers
from tests.simulation.process import state_names
from tests.simulation.reach import reach

BATCH: Final = 25
SHOWN: Final = 10
LAST_LINES: Final = 30
MOST_SEEDS_FOR_A_MISTAKE: Final = 5000


@dataclass(slots=True)
class Tally:
    """The results of a range of seeds."""

    started: float = field(default_factory=time.perf_counter)
    seeds: int = 0
    calls: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a seed."""
        self.seeds += 1
        self.calls += outcome.calls
        self.struck.update(kind for kind, _ in outcome.struck)
        self.states.update(outcome.states)
        self.known.update(outcome.known)
        for name in outcome.known:
            self.first[name] = min(outcome.seed, self.first.get(name, outcome.seed))
        if outcome.unknown:
            self.failed.append(outcome)

    def line(self, total: int) -> str:
        """Return the progress as one line."""
        rate = 60 * self.seeds / (time.perf_counter() - self.started)
        return (
            f"{self.seeds} of {total} seeds, {rate:.0f} a minute, "
            f"{sum(self.known.values())} known violations, {len(self.failed)} unknown"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if it found an unknown violation or missed a mistake."""
    options = _options(arguments)
    with workers(options.workers) as pool:
        if options.planted:
            return _search(pool, options)
        if options.seed is not None:
            return _replay(pool, options)
        return _explore(pool, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run one seed and print its story")
    parser.add_argument("--planted", default="", help="the name of a planted mistake, or all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--coverage", type=int, default=200, metavar="N",
        help="measure the coverage of shared/ on a sample of N seeds; 0: never",
    )  # fmt: skip
    parser.add_argument("--without", default="", help=f"kinds of fault: {', '.join(Kind)}")
    parser.add_argument("--skip", default="", help="single strikes, as kind:number,…")
    options = parser.parse_args(arguments)
    options.without = frozenset(filter(None, options.without.split(",")))
    if unknown := options.without - set(Kind):
        parser.error(f"unknown kind of fault: {', '.join(sorted(unknown))}")
    if options.planted not in {"", "all", *PLANTED}:
        parser.error(f"--planted takes all, or one of {', '.join(PLANTED)}")
    options.skip = frozenset(_strike(word) for word in filter(None, options.skip.split(",")))
    return options


def _strike(word: str) -> Strike:
    kind, _, number = word.partition(":")
    return kind, int(number)


def _explore(pool: ProcessPoolExecutor, options: argparse.Namespace) -> int:
    tally = Tally()
    last = options.first + options.seeds
    seeds = range(options.first, last)
    for outcomes in _batches(pool, seeds, options.without, options.workers):
        for outcome in outcomes:
            tally.add(outcome)
            for violation in outcome.unknown[:SHOWN]:
                print(f"Seed {outcome.seed} breaks {violation}", flush=True)
        _progress(tally.line(options.seeds))
    _report(tally)
    if options.coverage:
        step = max(1, options.seeds // options.coverage)
        sample = list(seeds)[::step][: options.coverage]
        print(f"A sample of {len(sample)} seeds reaches:")
        print("\n".join(reach(pool.submit(traced, sample, options.without).result())))
    for outcome in tally.failed[:SHOWN]:
        _print_failure(pool, outcome, options.without)
    return 1 if tally.failed else 0


def _batches(
    pool: ProcessPoolExecutor, seeds: range, without: frozenset[str], count: int
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of each batch of seeds, with a few batches running at a time."""
    starts = iter(range(seeds.start, seeds.stop, BATCH))
    running: set[Future[list[Outcome]]] = set()
    while True:
        for start in starts:
            batch = list(range(start, min(start + BATCH, seeds.stop)))
            running.add(pool.submit(run_seeds, batch, without))
            if len(running) >= 2 * count:
                break
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _progress(line: str) -> None:
    end = "\r" if sys.stdout.isatty() else "\n"
    print(line, end=end, flush=True)


def _report(tally: Tally) -> None:
    print()
    print(f"{tally.seeds} seeds, {tally.calls} calls")
    print("Faults:", _counted(tally.struck, list(Kind)))
    print("States reached:", _counted(tally.states, state_names()))
    for each in KNOWN:
        if tally.known[each.name]:
            print(
                f"Known: {each.name} in {tally.known[each.name]} seeds, first in "
                f"{tally.first[each.name]}: {each.reason}"
            )


def _counted(counter: Counter[str], names: Sequence[str]) -> str:
    found = {name: counter[name] for name in names} | dict(counter.most_common())
    return ", ".join(f"{name} {count}" for name, count in found.items())


def _print_failure(pool: ProcessPoolExecutor, outcome: Outcome, without: frozenset[str]) -> None:
    print(f"\nSeed {outcome.seed} breaks {len(outcome.unknown)} rule(s):")
    for violation in outcome.unknown[:3]:
        print(f"  {violation}")
    _, lines = pool.submit(replay, outcome.seed, without, frozenset()).result()
    print(f"The last {min(LAST_LINES, len(lines))} of {len(lines)} lines of its story:")
    print("\n".join(f"  {line}" for line in lines[-LAST_LINES:]))
    print(f"The whole story and a minimal set of faults: {command(outcome.seed, without)}")


def command(seed: int, without: frozenset[str], skipped: frozenset[Strike] = frozenset()) -> str:
    """Return the command that replays a seed."""
    off = f"FAULTS_OFF={','.join(sorted(without))}" if without else ""
    skip = f"SKIP={_listed(sorted(skipped))}" if skipped else ""
    return " ".join(filter(None, (f"SEED={seed}", off, skip, "make simulate")))


def _listed(strikes: Iterable[Strike], separator: str = ",") -> str:
    return separator.join(f"{kind}:{number}" for kind, number in strikes)


def _replay(pool: ProcessPoolExecutor, options: argparse.Namespace) -> int:
    seed, without = options.seed, options.without
    outcome, lines = pool.submit(replay, seed, without, options.skip).result()
    print("\n".join(lines))
    print(f"\nFaults: {_listed(outcome.struck, ', ') or 'none'}")
    if not outcome.violations:
        print(f"Seed {seed} breaks no rule.")
        return 0
    for violation in outcome.violations:
        print(violation)
    if not options.skip:
        for rule in dict.fromkeys(each.rule for each in outcome.violations):
            found = pool.submit(shrunk, seed, rule, without).result()
            print(
                f"Smallest set of faults that breaks {rule}: {_listed(found.left, ', ') or 'none'}"
            )
            print(f"  {command(seed, found.off, found.skipped)}")
    return 1 if outcome.unknown else 0


def _search(pool: ProcessPoolExecutor, options: argparse.Namespace) -> int:
    """Look for each planted mistake and print how many seeds it took to find it."""
    names = list(PLANTED) if options.planted == "all" else [options.planted]
    missed = 0
    for name in names:
        found = _first_sight(pool, name, options)
        missed += found is None
        seeds = "not found" if found is None else f"found after {found[0] + 1} seeds"
        rules = "" if found is None else f" by {', '.join(found[1])}"
        print(f"{name}: {seeds}{rules} ({PLANTED[name].what})", flush=True)
    return 1 if missed else 0


def _first_sight(
    pool: ProcessPoolExecutor, name: str, options: argparse.Namespace
) -> tuple[int, list[str]] | None:
    """Return the lowest seed that shows a mistake; each worker runs one batch at a time."""
    wave = BATCH * options.workers
    for start in range(0, MOST_SEEDS_FOR_A_MISTAKE, wave):
        batches = [range(first, first + BATCH) for first in range(start, start + wave, BATCH)]
        futures = [pool.submit(see_mistake, name, list(batch)) for batch in batches]
        found = [result for future in futures if (result := future.result())]
        if found:
            return min(found)
    return None


if __name__ == "__main__":
    sys.exit(main())
