"""The safety switch: once tripped, nothing is written until a person resets it."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

from shared.events import Event, emit
from shared.tenants import TenantId

_ROW: Final = "switch"


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Whether the switch is tripped, and who last moved it, when and why."""

    tripped: bool
    by: str = ""
    reason: str = ""
    at: datetime | None = None


class Switch:
    """The switch of one partner account, in a row of the table `sandbox`."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner
        self._seen_tripped = threading.Event()

    def read(self) -> SwitchState:
        """Return the state as it is stored now."""
        try:
            entity = self._table.get_entity(self._partner, _ROW)
        except ResourceNotFoundError:
            state = SwitchState(tripped=False)
        else:
            state = SwitchState(
                tripped=entity["tripped"],
                by=entity["by"],
                reason=entity["reason"],
                at=datetime.fromisoformat(entity["at"]),
            )
        self._notice(state)
        return state

    def seen_tripped(self) -> bool:
        """Whether this process has last seen it tripped; asked before each single write."""
        return self._seen_tripped.is_set()

    def trip(self, by: str, reason: str) -> SwitchState:
        """Stop everything."""
        return self._move(Event.SWITCH_TRIPPED, SwitchState(True, by, reason, datetime.now(UTC)))

    def reset(self, by: str, reason: str) -> SwitchState:
        """Let everything go on."""
        return self._move(Event.SWITCH_RESET, SwitchState(False, by, reason, datetime.now(UTC)))

    def _move(self, event: Event, state: SwitchState) -> SwitchState:
        self._notice(state)
        self._table.upsert_entity(self._entity(state))
        emit(event, by=state.by, reason=state.reason)
        return state

    def _notice(self, state: SwitchState) -> None:
        if state.tripped:
            self._seen_tripped.set()
        else:
            self._seen_tripped.clear()

    def _entity(self, state: SwitchState) -> dict[str, Any]:
        return {
            "PartitionKey": self._partner,
            "RowKey": _ROW,
            "tripped": state.tripped,
            "by": state.by,
            "reason": state.reason,
            "at": (state.at or datetime.now(UTC)).isoformat(),
        }
