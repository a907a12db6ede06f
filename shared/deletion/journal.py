"""What one step does, collected in memory and written to the history when the step ends."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from shared.partner_center.client import SentWrite
from shared.purchases.purchase import Purchase
from shared.storage.history import EntryKind, History, HistoryEntry
from shared.storage.records import DeletionRecord

# A deletion that waits for two days is looked at hundreds of times, and nobody would read that.
_ROUTINE: Final = frozenset({EntryKind.WAITING, EntryKind.OVERTAKEN, EntryKind.UNCLEAR})

# A killed step cannot say what it has sent, so the one that follows says that much.
STOPPED_STEP: Final = "a step stopped before its end: calls that it has sent may be missing here"
# As many as the detail of one entry holds.
_PURCHASES: Final = 10


class Journal:
    """The entries of one step, about the deletion of this record."""

    def __init__(
        self, history: History, record: DeletionRecord, now: Callable[[], datetime]
    ) -> None:
        self._history = history
        self._record = record
        self._now = now
        self._entries: list[HistoryEntry] = []
        if record.resumed:
            self.stopped_step()

    def requested(self) -> None:
        """Note that the deletion was requested; the history takes this once for each deletion."""
        self._note(EntryKind.REQUESTED, at=self._record.requested_at)

    def sent(self, write: SentWrite, detail: str) -> None:
        """Note a write to Partner Center, and what came back."""
        self._note(EntryKind.CALL, detail, write=write)

    def note(self, kind: EntryKind, detail: str = "") -> None:
        """Note a decision."""
        self._note(kind, detail)

    def stopped_step(self) -> None:
        """Note that an earlier step was stopped before it could tell what it sent."""
        self.note(EntryKind.STEP_UNCLEAR, STOPPED_STEP)

    def perhaps_sent(self, purchases: Sequence[Purchase]) -> None:
        """Note purchases that need no call, because a stopped step may have sent one for them."""
        named = [f"{each.kind} {each.id} ({each.status})" for each in purchases]
        for start in range(0, len(named), _PURCHASES):
            some = ", ".join(named[start : start + _PURCHASES])
            self.note(EntryKind.STEP_UNCLEAR, f"it may have sent a call for these: {some}")

    def write(self) -> None:
        """Write what was noted, unless the step only looked; raises nothing if storage fails."""
        entries, self._entries = self._entries, []
        if any(entry.kind not in _ROUTINE for entry in entries):
            self._history.add(self._record.tenant, entries)

    def _note(
        self,
        kind: EntryKind,
        detail: str = "",
        *,
        at: datetime | None = None,
        write: SentWrite | None = None,
    ) -> None:
        record = self._record
        requested_by, correlation_id = record.requested_by, record.correlation_id
        at = at or self._now()
        self._entries.append(HistoryEntry(kind, at, requested_by, correlation_id, detail, write))
