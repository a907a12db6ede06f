"""The results of dry runs over the queue, as text in rows of the table `sandbox`."""

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from azure.data.tables import TableClient, UpdateMode

from shared.errors import TipsweepError
from shared.storage.clients import find_row
from shared.storage.columns import UNREADABLE, unreadable, value
from shared.storage.names import PLAN_ROW_PREFIX
from shared.tenants import TenantId

# Table storage holds 64 KiB of bytes in a property.
_PROPERTY_BYTES: Final = 64_000

Result = TypeVar("Result")


class UnreadablePlan(TipsweepError):
    """A result is not as this version writes it; a later one may have written it."""


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

    def last(self, tenant: TenantId, read: Callable[[str], Result]) -> Result | None:
        """Return the result that was stored last for a customer; raises UnreadablePlan."""
        row = find_row(self._table, self._partner, PLAN_ROW_PREFIX + tenant)
        if row is None:
            return None
        try:
            packed = b"".join(row[f"plan{number}"] for number in range(value(row, "parts", int)))
            return read(zlib.decompress(packed).decode())
        except UNREADABLE as error:
            what = f"The plan of customer {tenant}"
            raise UnreadablePlan(unreadable(row, what, error)) from error
