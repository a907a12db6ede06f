"""Sends a new message for deletions whose message was lost."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from shared.deletion.deletion import Deletion
from shared.events import Event, emit
from shared.partner_center.deadline import time_is_left
from shared.services import StorageServices
from shared.storage.names import CUSTOMERS_READY, ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, RecordChanged, State

# A crashed instance's message comes back when its 10-minute lease ends and it is polled next.
# With a shorter grace period, every deletion of that instance would get a second message.
GRACE: Final = timedelta(minutes=15)


def redrive_overdue(services: StorageServices, records: Iterable[DeletionRecord]) -> int:
    """Send a message for each record whose check is long overdue; return how many were sent.

    When the time is over, the rest is left to the next redrive; the longest overdue come first.
    """
    now = services.now()
    overdue = sorted((each for each in records if _overdue(each, now)), key=_due)
    return sum(time_is_left() and _redrive(Deletion.of(services, each)) for each in overdue)


def _overdue(record: DeletionRecord, now: datetime) -> bool:
    return record.live and _due(record) + GRACE <= now


def _due(record: DeletionRecord) -> datetime:
    return record.next_check_at or record.requested_at


def _redrive(deletion: Deletion) -> bool:
    """Send a message for a deletion; False if another message continued it first."""
    state, interrupted = deletion.record.state, deletion.record.interrupted
    try:
        deletion.send_again(CUSTOMERS_READY if state is State.DELETING else ORDERS_TO_CHECK)
    except RecordChanged:
        return False
    if state in {State.REQUESTED, State.CANCELLING}:
        # Whoever accepted the request may have died before it was in the history.
        deletion.journal.requested()
    if interrupted:
        deletion.journal.stopped_step()
    deletion.journal.write()
    emit(Event.DELETION_REDRIVEN, tenant=deletion.record.tenant, state=state)
    return True
