"""Gives deletions whose message was lost a new one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from shared.deletion.deletion import Deletion
from shared.events import Event, emit
from shared.services import Services
from shared.storage.names import CUSTOMERS_READY, ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, RecordChanged, State

# A crashed instance's message comes back after a lease of 10 minutes, and is then polled for.
# Redriven earlier, every deletion of that instance would have two messages.
GRACE: Final = timedelta(minutes=15)


def redrive_overdue(services: Services, records: Iterable[DeletionRecord]) -> int:
    """Send the message of each record whose check is long overdue; return how many were."""
    now = services.now()
    return sum(_redrive(Deletion.of(services, each)) for each in records if _overdue(each, now))


def _overdue(record: DeletionRecord, now: datetime) -> bool:
    due = record.next_check_at or record.requested_at
    return record.live and due + GRACE <= now


def _redrive(deletion: Deletion) -> bool:
    """Send the message of a deletion; False where another message continued it first."""
    state = deletion.record.state
    try:
        deletion.send_on(CUSTOMERS_READY if state is State.DELETING else ORDERS_TO_CHECK)
    except RecordChanged:
        return False
    emit(Event.DELETION_REDRIVEN, tenant=deletion.record.tenant, state=state)
    return True
