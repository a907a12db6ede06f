"""The report of the last sweep, as text in a row of the table `sandbox`."""

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.storage.names import PROPERTY_CHARACTERS, SWEEP_REPORT_ROW
from shared.tenants import TenantId


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

    def last(self) -> str | None:
        """Return the report that was stored last."""
        try:
            row = self._table.get_entity(self._partner, SWEEP_REPORT_ROW)
        except ResourceNotFoundError:
            return None
        return "".join(row[f"report{number}"] for number in range(row["parts"]))
