"""The report of a sweep, and the JSON that it is stored as."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from shared.inputs import readable_json
from shared.settings import SweepMode
from shared.storage.columns import timestamp
from shared.sweep.decision import Candidate, SweepVerdict
from shared.tenants import TenantId


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found and decided; `mode` says whether it deleted what it selected."""

    at: datetime
    mode: SweepMode
    customers: int
    free_slots: int
    candidates: tuple[Candidate, ...]

    @property
    def selected(self) -> tuple[TenantId, ...]:
        """The customers that the sweep deletes or would delete, oldest first."""
        return tuple(each.tenant for each in self.candidates if each.verdict is SweepVerdict.DELETE)

    def to_json(self) -> str:
        """Return the report as a JSON object with names in camel case."""
        return json.dumps(
            {
                "at": self.at.isoformat(),
                "mode": self.mode,
                "customers": self.customers,
                "freeSlots": self.free_slots,
                "candidates": [_row(each) for each in self.candidates],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a report that `to_json` has written."""
        members = json.loads(readable_json(text))
        return cls(
            at=timestamp(members, "at"),
            mode=SweepMode(members["mode"]),
            customers=members["customers"],
            free_slots=members["freeSlots"],
            candidates=tuple(_candidate(row) for row in members["candidates"]),
        )


def _row(candidate: Candidate) -> dict[str, Any]:
    return {
        "tenantId": candidate.tenant,
        "domain": candidate.domain,
        "companyName": candidate.company_name,
        "verdict": candidate.verdict,
        "reason": candidate.reason,
        "ageDays": candidate.age_days,
    }


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(
        tenant=TenantId(row["tenantId"]),
        domain=row["domain"],
        company_name=row["companyName"],
        verdict=SweepVerdict(row["verdict"]),
        reason=row["reason"],
        age_days=row["ageDays"],
    )
