"""The row of the safety switch in the table `sandbox`."""

from datetime import datetime

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

from shared.safety.switch import SwitchState
from shared.storage.names import SWITCH_ROW
from shared.tenants import TenantId


class SwitchRow:
    """Where the switch of one partner account is stored; implements `safety.switch.SwitchStore`."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def read(self) -> SwitchState | None:
        """Return the state as it is stored now, None if nobody has used the switch."""
        try:
            row = self._table.get_entity(self._partner, SWITCH_ROW)
        except ResourceNotFoundError:
            return None
        return SwitchState(
            tripped=row["tripped"],
            requested_by=row["requestedBy"],
            reason=row["reason"],
            at=datetime.fromisoformat(row["at"]),
        )

    def write(self, state: SwitchState) -> None:
        """Store a state, replacing the last one."""
        self._table.upsert_entity(
            {
                "PartitionKey": self._partner,
                "RowKey": SWITCH_ROW,
                "tripped": state.tripped,
                "requestedBy": state.requested_by,
                "reason": state.reason,
                "at": state.at.isoformat() if state.at else "",
            }
        )
