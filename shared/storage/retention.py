"""Removes old rows: rejected messages and plans after 30 days, the history after HISTORY_DAYS.

Deletions and sightings stay for 90 days.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError
from azure.data.tables import TableClient, TableEntity

from shared.partner_center.deadline import time_is_left
from shared.storage.columns import UNREADABLE, timestamp, unreadable
from shared.storage.history import History
from shared.storage.names import PLAN_ROW_PREFIX, REJECTED_ROW_PREFIX, SEEN_ROW_PREFIX
from shared.storage.records import DeletionRecord, RecordChanged, Records
from shared.tenants import TenantId

KEPT: Final = timedelta(days=90)
# People paste secrets into messages.
KEPT_SHORT: Final = timedelta(days=30)

# The switch and the report have the column `at` too, and must stay.
_KEPT_BY_PREFIX: Final = {
    REJECTED_ROW_PREFIX: KEPT_SHORT,
    PLAN_ROW_PREFIX: KEPT_SHORT,
    SEEN_ROW_PREFIX: KEPT,
}


class Retention:
    """Clears the tables of one partner account."""

    def __init__(
        self, records: Records, sandbox: TableClient, history: History, partner: TenantId
    ) -> None:
        self._records = records
        self._sandbox = sandbox
        self._history = history
        self._partner = partner

    def clear(self, records: Iterable[DeletionRecord], now: datetime) -> int:
        """Remove outdated records and rows; return how many. When the time is over, some stay."""
        outdated = (each for each in records if _outdated(each, now))
        removed = sum(time_is_left() and self._remove(each) for each in outdated)
        return removed + self._remove_rows(now) + self._history.remove_old(now)

    def _remove(self, record: DeletionRecord) -> bool:
        try:
            self._records.remove(record)
        except RecordChanged:
            return False
        return True

    def _remove_rows(self, now: datetime) -> int:
        """Remove rejected messages, plans, and customers that no sweep has seen since."""
        rows = self._sandbox.query_entities(
            "PartitionKey eq @partner and at lt @limit",
            parameters={"partner": self._partner, "limit": (now - KEPT_SHORT).isoformat()},
            select=["PartitionKey", "RowKey", "at"],
        )
        removed = 0
        for row in [row for row in rows if _is_old(row, now)]:
            if not time_is_left():
                break
            removed += self._remove_row(row)
        return removed

    def _remove_row(self, row: TableEntity) -> bool:
        """Remove a row, unless it was written again since it was read, as plans are.

        The library takes a 404 for done, also that of a missing table or of something in front of
        it. The next redrive then finds what is still there.
        """
        try:
            self._sandbox.delete_entity(row, match_condition=MatchConditions.IfNotModified)
        except ResourceModifiedError:
            return False
        return True


def _is_old(row: TableEntity, now: datetime) -> bool:
    """Whether a row is outdated; one whose age is unknown never is."""
    try:
        age = now - timestamp(row, "at")
    except UNREADABLE as error:
        unreadable(row, f"The time of the row {row['RowKey']}", error)
        return False
    return any(
        row["RowKey"].startswith(prefix) and age > kept for prefix, kept in _KEPT_BY_PREFIX.items()
    )


def _outdated(record: DeletionRecord, now: datetime) -> bool:
    ended = record.finished_at or record.requested_at
    # Without the record, a sweep would take the customer up before anything can have changed.
    return not record.live and max(ended, record.retry_at or ended) + KEPT <= now
