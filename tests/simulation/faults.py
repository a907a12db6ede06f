"""Everything that can go wrong, drawn by the seed; each kind can be turned off by name."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.simulation.chance import Chance

Strike = tuple[str, int]


class Kind(StrEnum):
    """The kinds of fault."""

    REQUEST_LOST = "request-lost"
    RESPONSE_LOST = "response-lost"
    LATE_REQUEST = "late-request"
    THROTTLED = "throttled"
    SERVER_ERROR = "server-error"
    ERROR_AFTER_EFFECT = "error-after-effect"
    ODD_BODY = "odd-body"
    SLOW = "slow"
    STORAGE_ERROR = "storage-error"
    SIGN_IN_ERROR = "sign-in-error"
    STORAGE_AWAY = "storage-away"
    PARTNER_CENTER_AWAY = "partner-center-away"
    SIGN_IN_REFUSED = "sign-in-refused"
    THROTTLING = "throttling"
    DOWN = "down"
    SHORT_TOKENS = "short-tokens"
    DEATH = "death"
    DOUBLE_DELIVERY = "double-delivery"
    LATE_DELIVERY = "late-delivery"
    REORDERED = "reordered"
    TIMER_TWICE = "timer-twice"
    CLOCK_SKEW = "clock-skew"
    RESTART_PROTECTED = "restart-protected"
    PRODUCTION = "production"
    DELETED_ELSEWHERE = "deleted-elsewhere"
    LATE_ORDER = "late-order"
    SLOW_CANCELLATION = "slow-cancellation"
    ENDLESS_CANCELLATION = "endless-cancellation"
    DEAF_ORDER = "deaf-order"
    ABORT = "abort"
    TRIP = "trip"
    JUNK = "junk"
    DRY_RUN = "dry-run"
    SWEEP = "sweep"
    REPEATED_REQUEST = "repeated-request"
    SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class Odds:
    """The probability that a seed has this kind, and the highest rate at which it then strikes."""

    present: float
    rate: float


ODDS: Final[Mapping[Kind, Odds]] = {
    Kind.REQUEST_LOST: Odds(0.25, 0.08),
    Kind.RESPONSE_LOST: Odds(0.25, 0.08),
    Kind.LATE_REQUEST: Odds(0.08, 0.05),
    Kind.THROTTLED: Odds(0.15, 0.15),
    Kind.SERVER_ERROR: Odds(0.2, 0.15),
    Kind.ERROR_AFTER_EFFECT: Odds(0.1, 0.1),
    Kind.ODD_BODY: Odds(0.1, 0.08),
    Kind.SLOW: Odds(0.15, 0.08),
    Kind.STORAGE_ERROR: Odds(0.15, 0.1),
    Kind.SIGN_IN_ERROR: Odds(0.1, 0.5),
    Kind.STORAGE_AWAY: Odds(0.08, 1),
    Kind.PARTNER_CENTER_AWAY: Odds(0.08, 1),
    Kind.SIGN_IN_REFUSED: Odds(0.05, 1),
    Kind.THROTTLING: Odds(0.05, 1),
    Kind.DOWN: Odds(0.06, 1),
    Kind.SHORT_TOKENS: Odds(0.1, 1),
    Kind.DEATH: Odds(0.2, 0.015),
    Kind.DOUBLE_DELIVERY: Odds(0.25, 0.6),
    Kind.LATE_DELIVERY: Odds(0.15, 0.3),
    Kind.REORDERED: Odds(0.2, 0.5),
    Kind.TIMER_TWICE: Odds(0.3, 0.7),
    Kind.CLOCK_SKEW: Odds(0.15, 1),
    Kind.RESTART_PROTECTED: Odds(0.08, 1),
    Kind.PRODUCTION: Odds(0.07, 1),
    Kind.DELETED_ELSEWHERE: Odds(0.06, 1),
    Kind.LATE_ORDER: Odds(0.1, 1),
    Kind.SLOW_CANCELLATION: Odds(0.4, 0.7),
    Kind.ENDLESS_CANCELLATION: Odds(0.05, 0.5),
    Kind.DEAF_ORDER: Odds(0.05, 0.5),
    Kind.ABORT: Odds(0.25, 1),
    Kind.TRIP: Odds(0.2, 1),
    Kind.JUNK: Odds(0.1, 1),
    Kind.DRY_RUN: Odds(0.1, 1),
    Kind.SWEEP: Odds(0.15, 1),
    Kind.REPEATED_REQUEST: Odds(0.25, 1),
    Kind.SEVERAL: Odds(0.15, 1),
}


class Faults:
    """Decides when each kind strikes.

    Every kind draws from its own stream, so that turning one off does not change the others.
    `details` are the streams for what a strike looks like. `skipped` names single strikes to leave
    out, by kind and number.
    """

    def __init__(
        self,
        chance: Chance,
        *,
        without: Collection[str] = (),
        skipped: Collection[Strike] = (),
    ) -> None:
        self.streams = {kind: chance.stream(f"fault {kind}") for kind in Kind}
        self.details = {kind: chance.stream(f"details of {kind}") for kind in Kind}
        self._rates = {
            kind: self.streams[kind].uniform(0.2, 1) * odds.rate
            for kind, odds in ODDS.items()
            if self.streams[kind].random() < odds.present and kind not in without
        }
        self._skipped = frozenset(skipped)
        self._numbers: Counter[Kind] = Counter()
        self.struck: list[Strike] = []
        self.calm = False

    def has(self, kind: Kind) -> bool:
        """Return whether this kind strikes at all in this run; that counts as one strike."""
        return kind in self._rates and self._counts(kind)

    def strikes(self, kind: Kind) -> bool:
        """Return whether this kind strikes now."""
        return self._drawn(kind) and self._counts(kind)

    def may(self, kind: Kind) -> bool:
        """Return whether this kind can strike now; nothing is drawn."""
        return kind in self._rates and not self.calm

    def first(self, kinds: Iterable[Kind]) -> Kind | None:
        """Return the first of the kinds that strikes now.

        Each draws, and counts what it drew, so that the others strike as they do without it.
        """
        found: Kind | None = None
        for kind in [each for each in kinds if self._drawn(each)]:
            strike = self._next(kind)
            if found is None and strike not in self._skipped:
                self.struck.append(strike)
                found = kind
        return found

    def _drawn(self, kind: Kind) -> bool:
        rate = self._rates.get(kind)
        return rate is not None and not self.calm and self.streams[kind].random() < rate

    def _counts(self, kind: Kind) -> bool:
        strike = self._next(kind)
        if strike in self._skipped:
            return False
        self.struck.append(strike)
        return True

    def _next(self, kind: Kind) -> Strike:
        self._numbers[kind] += 1
        return kind.value, self._numbers[kind]
