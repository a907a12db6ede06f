"""Removes old rows: the history after HISTORY_DAYS, the others after 90 days."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from azure.data.tables import TableClient

from shared.storage.history import History
from shared.storage.names import REJECTED_ROW_PREFIX, SEEN_ROW_PREFIX
from shared.storage.records import DeletionRecord, RecordChanged, Records
from shared.tenants import TenantId

KEPT: Final = timedelta(days=90)


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
        """Remove outdated records and rows; return how many."""
        removed = sum(self._remove(each) for each in records if _outdated(each, now))
        return removed + self._remove_rows(now) + self._history.remove_old(now)

    def _remove(self, record: DeletionRecord) -> bool:
        try:
            self._records.remove(record)
        except RecordChanged:
            return False
        return True

    def _remove_rows(self, now: datetime) -> int:
        """Remove rejected messages, and customers that no sweep has seen since."""
        rows = self._sandbox.query_entities(
            "PartitionKey eq @partner and at lt @limit",
            parameters={"partner": self._partner, "limit": (now - KEPT).isoformat()},
            select=["PartitionKey", "RowKey"],
        )
        # The switch and the report have the column `at` too, and must stay.
        prefixes = (REJECTED_ROW_PREFIX, SEEN_ROW_PREFIX)
        old = [row for row in rows if row["RowKey"].startswith(prefixes)]
        for row in old:
            self._sandbox.delete_entity(row["PartitionKey"], row["RowKey"])
        return len(old)


def _outdated(record: DeletionRecord, now: datetime) -> bool:
    return not record.live and (record.finished_at or record.requested_at) + KEPT <= now
