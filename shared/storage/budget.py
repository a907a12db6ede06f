"""One budget of calls to Partner Center for all processes, in a row of the table `sandbox`."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from azure.core.exceptions import AzureError

from shared.partner_center.deadline import Deadline
from shared.partner_center.rate_limit import LONGEST_WAIT_SECONDS, Fill, Rank, RateLimited
from shared.storage.budget_row import BudgetRow, LedgerChanged, Stored
from shared.storage.ledger import (
    CALLS_OF_LOOK,
    TICK_SECONDS,
    USE_SECONDS,
    Ask,
    Decision,
    Grant,
    Ledger,
    Moment,
    counted,
    crowded,
    decide,
    expecting,
    full,
    limit_of,
    makes_sense,
    returned,
    started_on,
    throttled,
    tick_of,
)

_TRIES: Final = 5
_AFTER_CONFLICTS_SECONDS: Final = 1.0
# While storage is away, one thread asks it again after so many seconds.
_AFTER_OUTAGE_SECONDS: Final = 5.0
# After that, another process has probably written the row.
_KNOWN_SECONDS: Final = 2.0
# About as many calls as a single step sends while a grant lasts.
_LEAST_AHEAD: Final = 3
_SLOWEST_SECONDS: Final = 5.0
_LOST_WRITES: Final = 1

Decide = Callable[[Ledger, Moment], Decision]


class SharedBudget:
    """Takes turns for the calls of this process; implements `rate_limit.CallBudget`.

    Threads that ask at the same time share one claim, which also takes what they are expected to
    need soon. What a claim did not use goes back with the next one.
    """

    def __init__(
        self,
        row: BudgetRow,
        setting: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._row = row
        self._setting = setting
        self._monotonic = monotonic
        self._jitter = jitter
        # Held while storage is asked: whoever waits for it finds the claim that was made meanwhile.
        self._claiming = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._known: Stored | None = None
        self._known_until = float("-inf")
        self._grant = Grant()
        self._taken: deque[float] = deque()
        # Calls that are expected, by the monotonic time, and those that were sent meanwhile.
        self._expected: list[tuple[float, int]] = []
        self._sent = 0
        self._claim_seconds = 0.0
        self._crowded = False
        self._paused_until = float("-inf")
        self._away_until = float("-inf")

    def turn(self, rank: Rank, deadline: Deadline, *, patient: bool) -> float:
        """Take the turn of one call, as `CallBudget` says."""
        self._require(self._paused_until)
        with self._asking(deadline):
            if not self._in_hand(rank):
                self._require(self._away_until)
                self._claim(rank, patient=patient)
            self._take(rank)
            return self._usable_until()

    def _take(self, rank: Rank) -> None:
        now, starts = self._monotonic(), self._grant.starts
        if rank is Rank.STARTING:
            starts -= 1
            with self._counting:
                self._expected.append(started_on(now, self._setting))
        elif rank is Rank.STARTED:
            self._sent += 1
        self._grant = replace(self._grant, calls=self._grant.calls - 1, starts=starts)
        self._taken.append(now)

    @property
    def crowded(self) -> bool:
        """Whether most of the minute was taken when this process claimed last."""
        return self._crowded

    def require_usable(self, until: float) -> bool:
        """Whether a turn may still be used; raises RateLimited while calls are paused."""
        self._require(self._paused_until)
        return self._monotonic() < until

    def expect(self, seconds: float) -> None:
        """Note a look that a customer will get, for the next claim to store."""
        with self._counting:
            self._expected.append((self._monotonic() + seconds, CALLS_OF_LOOK))

    def pause(self, seconds: float) -> None:
        """Hold the calls of all processes, and lower the limit for a while.

        This process is held even if the row cannot be written; the others get a 429 of their own.
        """
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

        def held(ledger: Ledger, now: Moment) -> Decision:
            return Decision(throttled(ledger, self._setting, now.latest, seconds))

        with self._claiming:
            try:
                self._store(held)
            except (AzureError, RateLimited):
                return

    def fill(self) -> Fill:
        """Return how full the minute is for all processes; raises the errors of the table."""
        with self._claiming:
            stored = self._row.read()
            now = self._row.clock.now()
        ledger = self._ledger(stored, now)
        limit = limit_of(ledger, self._setting, now.earliest)
        held_seconds = max(0.0, ledger.held_until - now.earliest)
        return Fill(limit, counted(ledger, now.earliest), held_seconds)

    @contextmanager
    def _asking(self, deadline: Deadline) -> Iterator[None]:
        """Wait for a claim that is under way, and be counted among those that wait for it."""
        with self._counting:
            self._waiting += 1
        try:
            if not self._claiming.acquire(timeout=deadline.left):
                raise RateLimited(LONGEST_WAIT_SECONDS)
            try:
                yield
            finally:
                self._claiming.release()
        finally:
            with self._counting:
                self._waiting -= 1

    def _require(self, until: float) -> None:
        left = until - self._monotonic()
        if left > 0:
            raise RateLimited(left)

    def _in_hand(self, rank: Rank) -> bool:
        held = self._grant.calls > 0 and rank >= self._grant.lowest
        held = held and (rank > Rank.STARTING or self._grant.starts > 0)
        return held and self._monotonic() < self._usable_until()

    def _usable_until(self) -> float:
        return self._row.clock.monotonic_of(self._grant.until * TICK_SECONDS)

    def _claim(self, rank: Rank, *, patient: bool) -> None:
        """Claim calls for all who wait; raises RateLimited, or the errors of the table."""
        began = self._monotonic()
        # A grant arrives late by about as long as the last claim took.
        use_seconds = USE_SECONDS + self._claim_seconds
        ask = Ask(rank, self._waiting, self._ahead(began), use_seconds, patient)
        decision = self._store(lambda ledger, now: decide(ledger, ask, self._setting, now))
        self._claim_seconds = min(self._monotonic() - began, _SLOWEST_SECONDS)
        self._crowded = crowded(decision.ledger, self._setting, self._row.clock.now().earliest)
        if decision.grant is not None:
            self._grant = decision.grant
        if decision.grant is None or not self._in_hand(rank):
            raise RateLimited(decision.wait or self._after_conflicts())

    def _ahead(self, now: float) -> int:
        """Return how many calls are expected while a grant lasts: as many as in the time before."""
        while self._taken and self._taken[0] <= now - USE_SECONDS:
            self._taken.popleft()
        return max(_LEAST_AHEAD, len(self._taken))

    def _store(self, decide_on: Decide) -> Decision:
        """Store what is decided on, anew after each change by another process.

        What is left of the last grant goes back with it.
        """
        lost = 0
        for _ in range(_TRIES):
            stored = self._read()
            now = self._row.clock.now()
            expected, sent = list(self._expected), self._sent
            known = self._ledger(stored, now)
            unused = returned(known, self._grant.calls, self._grant.until)
            ledger = self._expecting(unused, expected, sent, now)
            decision = decide_on(ledger, now)
            # A full minute that stands in for a row has to be stored, or it would never end.
            if decision.ledger is ledger and known is stored.ledger:
                return decision
            try:
                self._keep(self._row.replace(decision.ledger, stored))
            except LedgerChanged:
                self._known = None
                continue
            except AzureError:
                # It may have been written, and what went back must not go back twice.
                self._known, self._grant, lost = None, Grant(), lost + 1
                if lost > _LOST_WRITES:
                    self._away_until = self._monotonic() + _AFTER_OUTAGE_SECONDS
                    raise
                continue
            self._grant = Grant()
            with self._counting:
                del self._expected[: len(expected)]
            self._sent -= sent
            return decision
        raise RateLimited(self._after_conflicts())

    def _expecting(
        self, ledger: Ledger, expected: list[tuple[float, int]], sent: int, now: Moment
    ) -> Ledger:
        passed = now.earliest - self._monotonic()
        times = [(time + passed, calls) for time, calls in expected]
        return expecting(ledger, times, sent, now.earliest)

    def _read(self) -> Stored:
        if self._known is not None and self._monotonic() < self._known_until:
            return self._known
        try:
            return self._keep(self._row.read())
        except AzureError:
            self._away_until = self._monotonic() + _AFTER_OUTAGE_SECONDS
            raise

    def _keep(self, stored: Stored) -> Stored:
        self._known, self._known_until = stored, self._monotonic() + _KNOWN_SECONDS
        return stored

    def _ledger(self, stored: Stored, now: Moment) -> Ledger:
        """Return the ledger; a row that makes no sense counts as a full minute."""
        if stored.ledger is None or not makes_sense(stored.ledger, now.latest):
            return full(self._setting, tick_of(now.latest + USE_SECONDS))
        return stored.ledger

    def _after_conflicts(self) -> float:
        return _AFTER_CONFLICTS_SECONDS + self._jitter()
