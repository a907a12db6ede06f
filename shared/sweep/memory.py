"""What sweeps remember in the table `sandbox`: when each customer was seen, and the last report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.sweep.decision import Age
from shared.sweep.report import SweepReport
from shared.tenants import TenantId

SEEN_ROW_PREFIX: Final = "seen-"
_REPORT_ROW: Final = "sweep"
# Table storage holds 32,768 characters in a property.
_PROPERTY_CHARACTERS: Final = 32_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a sweep first saw a customer, and the age that it last found."""

    first_seen: datetime
    age: Age | None = None


class SweepMemory:
    """The memory of the sweeps of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def sightings(self) -> dict[TenantId, Sighting]:
        """Return every customer that a sweep has seen and not missed since."""
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
        """Write down the customers that are there now, at most 100."""
        if sightings:
            rows = (self._row(tenant, each, at) for tenant, each in sightings.items())
            self._table.submit_transaction(
                [("upsert", row, {"mode": UpdateMode.REPLACE}) for row in rows]
            )

    def forget(self, gone: Iterable[TenantId]) -> None:
        """Drop customers that are not listed any more."""
        for tenant in gone:
            self._table.delete_entity(self._partner, SEEN_ROW_PREFIX + tenant)

    def keep(self, report: SweepReport) -> None:
        """Store the report in place of the one before."""
        text = report.to_json()
        starts = range(0, len(text), _PROPERTY_CHARACTERS)
        parts = [text[start : start + _PROPERTY_CHARACTERS] for start in starts]
        self._table.upsert_entity(
            {
                "PartitionKey": self._partner,
                "RowKey": _REPORT_ROW,
                "parts": len(parts),
                **{f"report{number}": part for number, part in enumerate(parts)},
            },
            UpdateMode.REPLACE,
        )

    def last_report(self) -> SweepReport | None:
        """Return the report that was stored last."""
        try:
            row = self._table.get_entity(self._partner, _REPORT_ROW)
        except ResourceNotFoundError:
            return None
        text = "".join(row[f"report{number}"] for number in range(row["parts"]))
        return SweepReport.from_json(text)

    def _row(self, tenant: TenantId, sighting: Sighting, at: datetime) -> dict[str, Any]:
        row = {
            "PartitionKey": self._partner,
            "RowKey": SEEN_ROW_PREFIX + tenant,
            "firstSeen": sighting.first_seen.isoformat(),
            "at": at.isoformat(),
        }
        if sighting.age is None or sighting.age.since is None:
            return row
        return {
            **row,
            "ageBasis": sighting.age.basis,
            "ageSince": sighting.age.since.isoformat(),
        }


def _sighting(row: TableEntity) -> Sighting:
    since = row.get("ageSince")
    age = Age(row["ageBasis"], datetime.fromisoformat(since)) if since else None
    return Sighting(datetime.fromisoformat(row["firstSeen"]), age)
