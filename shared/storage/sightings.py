"""When sweeps saw each customer, and how old it is, in the table `sandbox`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.storage.columns import UNREADABLE, timestamp, unreadable, value
from shared.storage.names import SEEN_ROW_PREFIX
from shared.tenants import TenantId


@dataclass(frozen=True, slots=True)
class Age:
    """Since when a customer is known to exist, None if unknown, and what shows it."""

    basis: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a sweep first saw a customer, and the age that it last found.

    `first_seen` is None if the row cannot be read; the age says why, and is unknown.
    """

    first_seen: datetime | None
    age: Age | None = None


class Sightings:
    """The sightings of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def all(self) -> dict[TenantId, Sighting]:
        """Return every customer that a sweep has seen and no later one has missed."""
        rows = self._table.query_entities(
            "PartitionKey eq @partner and RowKey ge @first and RowKey lt @after",
            parameters={
                "partner": self._partner,
                "first": SEEN_ROW_PREFIX,
                "after": SEEN_ROW_PREFIX + "~",
            },
        )
        return {
            TenantId(row["RowKey"].removeprefix(SEEN_ROW_PREFIX)): _sighting(row) for row in rows
        }

    def note(self, sightings: Mapping[TenantId, Sighting], at: datetime) -> None:
        """Store the customers that exist now, at most 100: one transaction holds no more.

        A row that cannot be read stays as it is, for the version that wrote it.
        """
        rows = [
            self._row(tenant, each.first_seen, each.age, at)
            for tenant, each in sightings.items()
            if each.first_seen is not None
        ]
        if rows:
            self._table.submit_transaction(
                [("upsert", row, {"mode": UpdateMode.REPLACE}) for row in rows]
            )

    def forget(self, gone: Iterable[TenantId]) -> None:
        """Drop customers that are no longer listed."""
        for tenant in gone:
            self._table.delete_entity(self._partner, SEEN_ROW_PREFIX + tenant)

    def _row(
        self, tenant: TenantId, first_seen: datetime, age: Age | None, at: datetime
    ) -> dict[str, Any]:
        row = {
            "PartitionKey": self._partner,
            "RowKey": SEEN_ROW_PREFIX + tenant,
            "firstSeen": first_seen.isoformat(),
            "at": at.isoformat(),
        }
        if age is None or age.since is None:
            return row
        return {**row, "ageBasis": age.basis, "ageSince": age.since.isoformat()}


def _sighting(row: TableEntity) -> Sighting:
    try:
        first_seen = timestamp(row, "firstSeen")
        known = "ageSince" in row
        age = Age(value(row, "ageBasis", str), timestamp(row, "ageSince")) if known else None
    except UNREADABLE as error:
        reason = unreadable(row, f"The row {row['RowKey']} about its age", error)
        return Sighting(None, Age(reason))
    return Sighting(first_seen, age)
