"""The backlog figures, which the workbook and the alerts read."""

from collections.abc import Sequence
from datetime import datetime

from shared.events import Event, emit
from shared.partner_center import refresh_tokens
from shared.partner_center.errors import SignInFailed, SignInUnavailable
from shared.partner_center.rate_limit import Fill
from shared.settings import PartnerCenterSettings
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
    SWEEPS_TO_RUN,
)
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, State


def log_backlog(
    records: Sequence[DeletionRecord],
    queues: Queues,
    now: datetime,
    *,
    redriven: int,
    removed: int,
    refresh_token_age_days: float | None,
    budget: Fill | None,
) -> None:
    """Log records by state, queue depths and what this redrive did, in one line."""
    live = [each for each in records if each.live]
    oldest = min((each.requested_at for each in live), default=now)
    emit(
        Event.REDRIVE_FINISHED,
        live=len(live),
        stuck=sum(each.state is State.STUCK and each.needs_attention for each in records),
        redriven=redriven,
        removed=removed,
        oldest_seconds=max(0, round((now - oldest).total_seconds())),
        refresh_token_age_days=refresh_token_age_days,
        customers_to_delete=queues.depth(CUSTOMERS_TO_DELETE),
        orders_to_check=queues.depth(ORDERS_TO_CHECK),
        customers_ready=queues.depth(CUSTOMERS_READY),
        sweeps_to_run=queues.depth(SWEEPS_TO_RUN),
        poison=sum(queues.depth(queue) for queue in POISON_QUEUES),
        calls_limit=budget.limit if budget else None,
        calls_used=budget.calls if budget else None,
        calls_held_seconds=round(budget.held_seconds) if budget else None,
    )


def token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the refresh token; None if it is not used or cannot be read."""
    try:
        return refresh_tokens.refresh_token_age_days(settings, now)
    except (SignInFailed, SignInUnavailable):
        # It is logged already, and the other figures are still worth their line.
        return None
