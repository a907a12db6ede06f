"""The results of dry runs over the queue, as text in rows of the table `sandbox`."""

import zlib
from datetime import datetime
from typing import Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from shared.storage.names import PLAN_ROW_PREFIX
from shared.tenants import TenantId

# Table storage holds 64 KiB of bytes in a property.
_PROPERTY_BYTES: Final = 64_000


class Plans:
    """The last result for each customer of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def keep(self, tenant: TenantId, text: str, at: datetime) -> None:
        """Store a result, replacing the customer's last one."""
        packed = zlib.compress(text.encode())
        starts = range(0, len(packed), _PROPERTY_BYTES)
        parts = [packed[start : start + _PROPERTY_BYTES] for start in starts]
        self._table.upsert_entity(
            {
                "PartitionKey": self._partner,
                "RowKey": PLAN_ROW_PREFIX + tenant,
                "at": at.isoformat(),
                "parts": len(parts),
                **{f"plan{number}": part for number, part in enumerate(parts)},
            },
            UpdateMode.REPLACE,
        )

    def last(self, tenant: TenantId) -> str | None:
        """Return the result that was stored last for a customer."""
        try:
            row = self._table.get_entity(self._partner, PLAN_ROW_PREFIX + tenant)
        except ResourceNotFoundError:
            return None
        packed = b"".join(row[f"plan{number}"] for number in range(row["parts"]))
        return zlib.decompress(packed).decode()
