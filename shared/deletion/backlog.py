"""The figures of the backlog, which the workbook draws and alerts watch."""

from collections.abc import Sequence
from datetime import datetime

from shared.events import Event, emit
from shared.partner_center.credentials import refresh_token_age_days
from shared.partner_center.errors import SignInFailed
from shared.settings import PartnerCenterSettings
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
)
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, State


def log_backlog(
    records: Sequence[DeletionRecord],
    queues: Queues,
    now: datetime,
    **figures: float | None,
) -> None:
    """Log records by state, queue depths and what else was counted, in one line."""
    live = [each for each in records if each.live]
    oldest = min((each.requested_at for each in live), default=now)
    emit(
        Event.REDRIVE_FINISHED,
        live=len(live),
        stuck=sum(each.state is State.STUCK for each in records),
        oldest_seconds=max(0, round((now - oldest).total_seconds())),
        customers_to_delete=queues.depth(CUSTOMERS_TO_DELETE),
        orders_to_check=queues.depth(ORDERS_TO_CHECK),
        customers_ready=queues.depth(CUSTOMERS_READY),
        poison=sum(queues.depth(queue) for queue in POISON_QUEUES),
        **figures,
    )


def token_age_days(settings: PartnerCenterSettings, now: datetime) -> float | None:
    """Return the age of the refresh token; None where it is not used, or cannot be read now."""
    try:
        return refresh_token_age_days(settings, now)
    except SignInFailed:
        return None
