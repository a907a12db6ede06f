"""The reasons and remedies that people read, in plain words."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from shared.purchases.plan import Entry, Plan
from shared.purchases.products import Product

LATE_REMEDY: Final = (
    "Partner Center did not respond in time. Check the customer in Partner Center, then request "
    "the deletion again."
)
UNCLEAR_DELETE_REASON: Final = (
    "not deleted before the deadline: no DELETE has led to a clear response, and the customer is "
    "still there"
)
TOO_MANY_REMEDY: Final = (
    "Cancel what is left in Partner Center and delete the customer there, or ask Partner Center "
    "support to remove it."
)
_NEVER_REMEDY: Final = (
    "No API call cancels these. Cancel them in Partner Center or the Azure portal if you can, "
    "or ask Partner Center support to remove the customer; then request the deletion again."
)
_SAVINGS_PLAN_REMEDY: Final = (
    "No API call cancels a savings plan. Cancel it in the Azure portal, or ask Partner Center "
    "support to remove the customer; then request the deletion again."
)
_REJECTED_REMEDY: Final = (
    "Everything tipsweep can see is cancelled. Find what Partner Center names, cancel it "
    "there, then request the deletion again."
)


def unfinished_reason(plan: Plan) -> str:
    """Say what was still not cancelled at the deadline."""
    return f"not cancelled before the deadline: {_listed(plan.unfinished)}" + (
        f"; never cancellable: {_listed(plan.never)}" if plan.never else ""
    )


def rejected_delete_reason(error: str, plan: Plan) -> str:
    """Say why Partner Center did not delete the customer."""
    if not plan.never:
        return error
    return f"{error}; never cancellable: {_listed(plan.never)}"


def unfinished_remedy(plan: Plan) -> str:
    """Say what a person can do about what was not cancelled in time."""
    return _never_remedy(plan) if plan.never else LATE_REMEDY


def rejected_delete_remedy(plan: Plan, later: datetime | None = None) -> str:
    """Say what a person can do about a rejected DELETE; `later` is what `retry_at` returned."""
    if later is not None:
        return (
            f"The term of these licences ends on {later:%Y-%m-%d}. From that day on a sweep in "
            "mode delete takes the customer up again; without sweeps, request the deletion again "
            "then."
        )
    return _never_remedy(plan) if plan.never else _REJECTED_REMEDY


def _never_remedy(plan: Plan) -> str:
    products = {entry.purchase.product for entry in plan.never}
    if Product.SAVINGS_PLAN not in products:
        return _NEVER_REMEDY
    if len(products) == 1:
        return _SAVINGS_PLAN_REMEDY
    return f"{_NEVER_REMEDY} A savings plan can only be cancelled in the Azure portal."


def retry_at(plan: Plan, now: datetime) -> datetime | None:
    """Return when all that can never be cancelled now has come to the end of its term.

    New commerce licences can be cancelled once their term has ended, when they go on from month to
    month (Microsoft's page "Extended service terms"); other purchases have no such date. None if
    there is one of these, or a date that is unknown or past.
    """
    ends = [
        entry.purchase.term_end if entry.purchase.product is Product.NCE else None
        for entry in plan.never
    ]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return None
    return max(known) if min(known) > now else None


def _listed(entries: Iterable[Entry]) -> str:
    return "; ".join(
        f"{entry.purchase.kind.replace('_', ' ')} {entry.purchase.id}"
        + (f" ({entry.reason})" if entry.reason else f" ({entry.purchase.status})")
        for entry in entries
    )
