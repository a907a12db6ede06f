"""The sweeps that people asked for, each with its report, as rows of the table `sandbox`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.errors import TipsweepError
from shared.settings import SweepMode
from shared.storage.clients import find_row
from shared.storage.columns import UNREADABLE, timestamp, unreadable, value
from shared.storage.names import PROPERTY_CHARACTERS, SWEEP_RUN_ROW_PREFIX
from shared.tenants import TenantId

_ID: Final = re.compile(r"[0-9a-f-]{36}", re.ASCII)
# The table rejects a property of more than 32,768 characters.
_TEXT_CHARACTERS: Final = 4_000


class SweepState(StrEnum):
    """Where a sweep stands; rows hold the value."""

    REQUESTED = "requested"
    RUNNING = "running"
    FINISHED = "finished"
    REFUSED = "refused"
    FAILED = "failed"


_LIVE: Final = frozenset({SweepState.REQUESTED, SweepState.RUNNING})


class SweepChanged(TipsweepError):
    """Another message has changed the sweep in the meantime."""


class UnreadableSweep(TipsweepError):
    """A sweep is not as this version writes it; a later one may have written it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """A sweep that somebody asked for; a message of a lower generation is an old one.

    `failures` counts the tries that ended in an unexpected error. `report` is text in JSON, ""
    until the sweep has finished.
    """

    id: str
    mode: SweepMode
    requested_by: str
    requested_at: datetime
    next_try_at: datetime
    state: SweepState = SweepState.REQUESTED
    generation: int = 1
    failures: int = 0
    finished_at: datetime | None = None
    reason: str = ""
    remedy: str = ""
    report: str = ""
    etag: str = field(default="", compare=False)

    @property
    def live(self) -> bool:
        """Whether the sweep has not ended."""
        return self.state in _LIVE


class Sweeps:
    """The sweeps of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def add(self, run: SweepRun) -> None:
        """Store a sweep whose ID is new."""
        self._table.create_entity(self._entity(run))

    def get(self, sweep_id: str) -> SweepRun | None:
        """Return a sweep; None if it is unknown. Raises UnreadableSweep."""
        if not _ID.fullmatch(sweep_id):
            return None
        row = find_row(self._table, self._partner, SWEEP_RUN_ROW_PREFIX + sweep_id)
        if row is None:
            return None
        try:
            return _run(row)
        except UNREADABLE as error:
            raise UnreadableSweep(unreadable(row, f"Sweep {sweep_id}", error)) from error

    def live(self) -> list[SweepRun]:
        """Return the sweeps that have not ended, the oldest first; those that can be read."""
        rows = self._table.query_entities(
            "PartitionKey eq @partner and RowKey ge @first and RowKey lt @after "
            "and finishedAt eq ''",
            parameters={
                "partner": self._partner,
                "first": SWEEP_RUN_ROW_PREFIX,
                "after": SWEEP_RUN_ROW_PREFIX + "~",
            },
        )
        found = []
        for row in rows:
            try:
                found.append(_run(row))
            except UNREADABLE as error:
                unreadable(row, f"The row {row['RowKey']}", error)
        return sorted(found, key=lambda run: run.requested_at)

    def save(self, run: SweepRun) -> SweepRun:
        """Store a sweep if nobody has changed it since it was read, and return it with its ETag.

        Raises SweepChanged.
        """
        try:
            written = self._table.update_entity(
                self._entity(run),
                UpdateMode.REPLACE,
                etag=run.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            return self._own_write(run, error)
        return replace(run, etag=str(written["etag"]))

    def _own_write(self, run: SweepRun, error: Exception) -> SweepRun:
        """Return the sweep if the row is this very write, whose response was lost."""
        current = self.get(run.id)
        # Compared as stored: a long reason is cut.
        if current is None or self._entity(current) != self._entity(run):
            message = f"Sweep {run.id} was changed by another message"
            raise SweepChanged(message) from error
        return current

    def _entity(self, run: SweepRun) -> dict[str, Any]:
        starts = range(0, len(run.report), PROPERTY_CHARACTERS)
        parts = [run.report[start : start + PROPERTY_CHARACTERS] for start in starts]
        return {
            "PartitionKey": self._partner,
            "RowKey": SWEEP_RUN_ROW_PREFIX + run.id,
            "at": run.requested_at.isoformat(),
            "mode": run.mode.value,
            "requestedBy": run.requested_by,
            "state": run.state.value,
            "generation": run.generation,
            "failures": run.failures,
            "nextTryAt": run.next_try_at.isoformat(),
            "finishedAt": run.finished_at.isoformat() if run.finished_at else "",
            "reason": run.reason[:_TEXT_CHARACTERS],
            "remedy": run.remedy[:_TEXT_CHARACTERS],
            "parts": len(parts),
            **{f"report{number}": part for number, part in enumerate(parts)},
        }


def _run(row: TableEntity) -> SweepRun:
    return SweepRun(
        id=row["RowKey"].removeprefix(SWEEP_RUN_ROW_PREFIX),
        mode=SweepMode(value(row, "mode", str)),
        requested_by=value(row, "requestedBy", str),
        requested_at=timestamp(row, "at"),
        next_try_at=timestamp(row, "nextTryAt"),
        state=SweepState(value(row, "state", str)),
        generation=value(row, "generation", int),
        failures=value(row, "failures", int),
        finished_at=timestamp(row, "finishedAt") if row["finishedAt"] else None,
        reason=value(row, "reason", str),
        remedy=value(row, "remedy", str),
        report=_report(row),
        etag=row.metadata["etag"] or "",
    )


def _report(row: Mapping[str, Any]) -> str:
    return "".join(value(row, f"report{part}", str) for part in range(value(row, "parts", int)))
