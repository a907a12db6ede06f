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
        self._lock = threading.Lock()
        self._stop: SwitchState | None = None

    def read(self) -> SwitchState:
        """Return the state as it is stored now, or our own trip while nothing newer is stored."""
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
        return self._notice(state)

    def trip(self, by: str, reason: str) -> SwitchState:
        """Stop everything."""
        return self._perform(Event.SWITCH_TRIPPED, SwitchState(True, by, reason, datetime.now(UTC)))

    def reset(self, by: str, reason: str) -> SwitchState:
        """Let everything go on."""
        return self._perform(Event.SWITCH_RESET, SwitchState(False, by, reason, datetime.now(UTC)))

    def _perform(self, event: Event, state: SwitchState) -> SwitchState:
        self._notice(state)
        self._table.upsert_entity(self._entity(state))
        emit(event, by=state.by, reason=state.reason)
        return state

    def _notice(self, state: SwitchState) -> SwitchState:
        """Remember a stop until something newer lifts it: a late read or a lost write does not."""
        with self._lock:
            stop = self._stop
            if not state.tripped and stop and not _newer(state, stop):
                return stop
            self._stop = state if state.tripped else None
            return state

    def _entity(self, state: SwitchState) -> dict[str, Any]:
        return {
            "PartitionKey": self._partner,
            "RowKey": _ROW,
            "tripped": state.tripped,
            "by": state.by,
            "reason": state.reason,
            "at": (state.at or datetime.now(UTC)).isoformat(),
        }


def _newer(state: SwitchState, stop: SwitchState) -> bool:
    return state.at is not None and stop.at is not None and state.at > stop.at
