"""The report of the last sweep, as text in a row of the table `sandbox`."""

from collections.abc import Callable
from typing import TypeVar

from azure.data.tables import TableClient, UpdateMode

from shared.storage.clients import find_row
from shared.storage.columns import UNREADABLE, unreadable
from shared.storage.names import PROPERTY_CHARACTERS, SWEEP_REPORT_ROW
from shared.tenants import TenantId

Report = TypeVar("Report")


class Reports:
    """The last report of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def keep(self, text: str) -> None:
        """Store a report, replacing the last one, in as many properties as it needs."""
        starts = range(0, len(text), PROPERTY_CHARACTERS)
        parts = [text[start : start + PROPERTY_CHARACTERS] for start in starts]
        self._table.upsert_entity(
            {
                "PartitionKey": self._partner,
                "RowKey": SWEEP_REPORT_ROW,
                "parts": len(parts),
                **{f"report{number}": part for number, part in enumerate(parts)},
            },
            UpdateMode.REPLACE,
        )

    def last(self, read: Callable[[str], Report]) -> Report | None:
        """Return the report that was stored last; None also if this version cannot read it."""
        row = find_row(self._table, self._partner, SWEEP_REPORT_ROW)
        if row is None:
            return None
        try:
            return read("".join(row[f"report{number}"] for number in range(row["parts"])))
        except UNREADABLE as error:
            unreadable(row, "The report of the last sweep", error)
            return None
