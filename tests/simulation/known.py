"""The violations that are known and not fixed yet: each with its reason and a seed that shows it.

A line goes when what it describes is fixed; the strict expected failure of its seed then says so.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import Kind
from tests.simulation.oracle import Violation


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of violation: its rule, the functions it shows in, the faults it needs one of."""

    name: str
    rule: str
    reason: str
    seed: int
    functions: frozenset[str] = frozenset()
    faults: frozenset[Kind] = frozenset()
    text: str = ""

    def matches(self, violation: Violation, struck: Collection[str]) -> bool:
        """Return whether a violation is of this kind."""
        return (
            violation.rule == self.rule
            and (not self.functions or violation.function in self.functions)
            and (not self.faults or not self.faults.isdisjoint(struck))
            and self.text in violation.text
        )


_POISON: Final = frozenset(
    {"record_poison_requests", "record_poison_checks", "record_poison_deletes"}
)
_CLOCKS: Final = (
    "the host's clock is compared with storage's, and whole seconds with parts of them, to tell "
    "what is a new request"
)

KNOWN: Final[tuple[Known, ...]] = (
    Known(
        "asked-before-the-wait",
        rule="asked_before_a_wait",
        reason="the switch and the abort are asked before the call waits for a read, a token or "
        "its turn, and before the library's own repeats nobody asks",
        seed=170,
    ),
    Known(
        "repeats-take-no-turn",
        rule="over_limit",
        reason="the HTTP library's short retries are calls that take no turn under the limit",
        seed=86,
    ),
    Known(
        "short-trouble-poisons",
        rule="poisoned_good_message",
        reason="five tries in about 75 s: storage away, a refused sign-in, a dry run that is "
        "throttled, or a host that dies five times turn a good message into poison",
        seed=35,
    ),
    Known(
        "short-trouble-ends-stuck",
        rule="hasty_stuck",
        functions=_POISON,
        reason="what the poison handler finds ends as stuck, whatever burnt its tries, a dry run "
        "too",
        seed=374,
    ),
    Known(
        "stuck-without-a-look",
        rule="hasty_stuck",
        functions=frozenset({"delete_customer"}),
        text="never cancellable",
        reason="a rejected DELETE of a customer that holds something never cancellable ends it as "
        "stuck without another look, although something else blocks, such as a late order",
        seed=1085,
    ),
    Known(
        "deleted-then-protected",
        rule="gone_but_not_deleted",
        faults=frozenset({Kind.RESTART_PROTECTED}),
        text="PROTECTED_TENANTS",
        reason="a DELETE took effect, its response was lost, and the process came back with the "
        "customer protected: the record says refused of a customer that is gone",
        seed=267,
    ),
    Known(
        "poisoned-though-deleted",
        rule="gone_but_not_deleted",
        functions=_POISON,
        reason="the DELETE took effect, its step then met trouble until it was poison, and the "
        "record ends as stuck",
        seed=1445,
    ),
    Known(
        "gone-behind-a-bare-403",
        rule="gone_but_not_deleted",
        text="does not show tenant",
        reason="a DELETE took effect, its response was lost, and Partner Center then hides the "
        "customer behind a 403 without a code: the record says refused",
        seed=1974,
    ),
    Known(
        "repeats-ignore-retry-after",
        rule="retry_after_ignored",
        text="a repeat",
        reason="the HTTP library repeats a call while Partner Center has asked to wait",
        seed=1494,
    ),
    Known(
        "library-repeats-a-delete",
        rule="deleted_twice",
        reason="the HTTP library repeats a DELETE that had timed out, although another delivery of "
        "the message has deleted the customer meanwhile",
        seed=358,
    ),
    Known(
        "reset-erases-a-trip",
        rule="stopped_but_wrote",
        text="after the erased trip",
        reason="a reset that was asked for before a trip and written after it erases the trip",
        seed=589,
    ),
    Known(
        "too-old-while-pending",
        rule="delete_while_open",
        text="pending",
        reason="an order whose cancellation is in progress passes its 60 days, and the plan takes "
        "it for too old: the DELETE does not wait for it any more",
        seed=901,
    ),
    Known(
        "abort-undone",
        rule="live_without_request",
        functions=frozenset({"cancel_orders"}),
        text="from aborted",
        reason="an abort does not hold against a drop that lies on the queue: two clocks are "
        "compared, and an abort of what is aborted already changes nothing",
        seed=325,
    ),
    Known(
        "wrote-after-an-undone-abort",
        rule="stopped_but_wrote",
        text="began after the abort",
        reason="what follows from abort-undone",
        seed=325,
    ),
    Known(
        "two-clocks-revive",
        rule="live_without_request",
        faults=frozenset({Kind.CLOCK_SKEW}),
        functions=frozenset({"cancel_orders"}),
        reason=_CLOCKS,
        seed=1797,
    ),
    Known("two-clocks-ignore", rule="request_ignored", reason=_CLOCKS, seed=322),
)


def known_as(violation: Violation, struck: Collection[str]) -> Known | None:
    """Return the known kind that a violation belongs to."""
    return next((each for each in KNOWN if each.matches(violation, struck)), None)
