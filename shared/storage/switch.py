"""The row of the safety switch in the table `sandbox`."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.inputs import readable
from shared.safety.rules import BY_ITSELF
from shared.safety.switch import SwitchChanged, SwitchState
from shared.storage.clients import find_row
from shared.storage.columns import UNREADABLE, optional, timestamp, unreadable, value
from shared.storage.names import SWITCH_ROW
from shared.tenants import TenantId

_UNUSED: Final = SwitchState(tripped=False)
# The table rejects a property of more than 32,768 characters, and a trip must always be stored.
_TEXT_CHARACTERS: Final = 4_000


class SwitchRow:
    """Where the switch of one partner account is stored; implements `safety.switch.SwitchStore`."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def read(self) -> SwitchState:
        """Return the stored state; untripped and without an ETag if there is no row."""
        return _state(self._row())

    def write(self, state: SwitchState) -> SwitchState:
        """Store a state over any row, and return it with its ETag."""
        etag = self._table.upsert_entity(self._entity(state), UpdateMode.REPLACE)["etag"]
        return replace(state, etag=etag)

    def replace(self, state: SwitchState, known: SwitchState) -> SwitchState:
        """Store a state if the row still has the ETag of the known one; raises SwitchChanged."""
        entity = self._entity(state)
        try:
            etag = self._replace(entity, known.etag)
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            etag = self._etag_of_own_write(entity, error)
        return replace(state, etag=etag)

    def _replace(self, entity: Mapping[str, Any], etag: str) -> str:
        if not etag:
            return str(self._table.create_entity(entity)["etag"])
        unmodified = MatchConditions.IfNotModified
        written = self._table.update_entity(
            entity, UpdateMode.REPLACE, etag=etag, match_condition=unmodified
        )
        return str(written["etag"])

    def _etag_of_own_write(self, entity: Mapping[str, Any], error: Exception) -> str:
        """Return the ETag of the row if it is this very write; raises SwitchChanged otherwise.

        The storage library repeats a write whose response was lost, with the old ETag, and then
        reports its own write as somebody else's.
        """
        row = self._row()
        if row is None or row.get("writeId") != entity["writeId"]:
            raise SwitchChanged(_state(row)) from error
        return row.metadata["etag"] or ""

    def _row(self) -> TableEntity | None:
        return find_row(self._table, self._partner, SWITCH_ROW)

    def _entity(self, state: SwitchState) -> dict[str, Any]:
        return {
            "PartitionKey": self._partner,
            "RowKey": SWITCH_ROW,
            "tripped": state.tripped,
            "requestedBy": readable(state.requested_by)[:_TEXT_CHARACTERS],
            "reason": readable(state.reason)[:_TEXT_CHARACTERS],
            "at": state.at.isoformat() if state.at else "",
            "tripId": state.trip_id,
            "writeId": str(uuid.uuid4()),
        }


def _state(row: TableEntity | None) -> SwitchState:
    """Return the state in the row; a row that cannot be read may be that of a trip."""
    if row is None:
        return _UNUSED
    etag = row.metadata["etag"] or ""
    try:
        return replace(_readable(row), etag=etag)
    except UNREADABLE as error:
        reason = unreadable(row, "The row of the switch", error)
        return SwitchState(True, BY_ITSELF, f"{reason}, or reset the switch", etag=etag)


def _readable(row: TableEntity) -> SwitchState:
    return SwitchState(
        tripped=value(row, "tripped", bool),
        requested_by=value(row, "requestedBy", str),
        reason=value(row, "reason", str),
        at=timestamp(row, "at") if row["at"] else None,
        # Rows of earlier versions have none.
        trip_id=optional(row, "tripId", ""),
    )
