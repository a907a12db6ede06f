"""The history: everything done to a customer or to the switch, in rows that are never rewritten."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.data.tables import TableClient, TableEntity, TableTransactionError

from shared.events import Event, emit
from shared.inputs import readable
from shared.partner_center.client import SentWrite
from shared.partner_center.connection import Attempt
from shared.partner_center.deadline import time_is_left
from shared.safety.switch import SwitchState
from shared.storage.clients import is_existing_row
from shared.storage.columns import UNREADABLE, optional, timestamp, unreadable, value, written_at
from shared.tenants import TenantId

# One transaction of Table storage holds no more.
BATCH_ROWS: Final = 100
DETAIL_CHARACTERS: Final = 1_000
_CODE_CHARACTERS: Final = 100
SLICES: Final = 256
SLICE_TIME: Final = timedelta(minutes=5)
# Row keys sort as text, so the time counts down from here: the newest row comes first.
_LATEST_MICROSECONDS: Final = 10**17 - 1
_LAST_POSITION: Final = 99_999
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The step has done its work by now, and must not wait for storage until the host kills it.
_SHORT: Final = {"connection_timeout": 5, "read_timeout": 10}
# The library itself repeats no POST whose connection was lost, as idle ones are.
_REPEATED: Final = ["POST"]
_REPEATS: Final = 1
# What a DELETE did is nowhere else once the record is overwritten.
_REPEATS_OF_DELETE: Final = 3


class EntryKind(StrEnum):
    """What an entry tells of."""

    REQUESTED = "requested"
    CALL = "call"
    WAITING = "waiting"
    READY = "ready"
    UNCLEAR = "delete_unclear"
    STEP_UNCLEAR = "step_unclear"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    DELETED = "deleted"
    STUCK = "stuck"
    REFUSED = "refused"
    ABORTED = "aborted"
    DISMISSED = "dismissed"
    STOPPED = "stopped"
    REJECTED = "rejected"
    REJECTED_DISMISSED = "rejected_dismissed"
    DRY_RUN_REFUSED = "dry_run_refused"
    DRY_RUN_FAILED = "dry_run_failed"
    SWITCH_TRIPPED = "switch_tripped"
    SWITCH_RESET = "switch_reset"
    SWEEP = "sweep"
    SWEEP_FAILED = "sweep_failed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that was done; `write` is the call of an entry of kind `call`.

    `kind` is one of `EntryKind`, unless a later version has stored it. `key` is set on entries
    that were read.
    """

    kind: str
    at: datetime
    requested_by: str = ""
    correlation_id: str = ""
    detail: str = ""
    write: SentWrite | None = None
    key: str = field(default="", compare=False)


class History:
    """The table `history` of one partner account: one partition for each customer.

    The account itself has a partition too, under the partner's own tenant ID, for what concerns no
    single customer.
    """

    def __init__(self, table: TableClient, partner: TenantId, kept: timedelta) -> None:
        self._table = table
        self._partner = partner
        self._kept = kept

    def add(self, tenant: TenantId, entries: Sequence[HistoryEntry]) -> None:
        """Store entries about a customer, up to 100 in one operation.

        Raises nothing if storage fails, because what the entries tell of has been done and must
        not be repeated for their sake. What cannot be stored is logged instead, entry by entry.
        """
        rows = [self._row(tenant, each, position) for position, each in enumerate(entries)]
        for start in range(0, len(rows), BATCH_ROWS):
            batch = slice(start, start + BATCH_ROWS)
            self._store(tenant, entries[batch], rows[batch])

    def add_for_account(self, entry: HistoryEntry) -> None:
        """Store an entry that concerns no single customer, like `add`."""
        self.add(self._partner, [entry])

    def switch_moved(self, state: SwitchState) -> None:
        """Store that the switch was tripped or reset."""
        kind = EntryKind.SWITCH_TRIPPED if state.tripped else EntryKind.SWITCH_RESET
        at = state.at or datetime.now(UTC)
        self.add_for_account(HistoryEntry(kind, at, state.requested_by, detail=state.reason))

    def page(self, tenant: TenantId, after: str, size: int) -> list[HistoryEntry]:
        """Return the customer's entries that follow the key `after`, newest first."""
        rows = self._table.query_entities(
            "PartitionKey eq @partition and RowKey gt @after",
            parameters={"partition": self._partition(tenant), "after": after},
            results_per_page=size,
        )
        return [_entry(row) for row in islice(rows, size)]

    def account_page(self, after: str, size: int) -> list[HistoryEntry]:
        """Return the entries that concern no single customer, like `page`."""
        return self.page(self._partner, after, size)

    def remove_old(self, now: datetime) -> int:
        """Remove the outdated entries of one in 256 customers; return how many.

        Which ones depends on the time, so that calls five minutes apart reach all of them within
        a day, and no call reads the whole table.
        """
        number = (now - _EPOCH) // SLICE_TIME % SLICES
        first = f"{self._partner}_{number:02x}"
        rows = self._table.query_entities(
            "PartitionKey ge @first and PartitionKey lt @after and RowKey gt @limit",
            parameters={
                "first": first,
                "after": first + "~",
                "limit": _descending(now - self._kept),
            },
            select=["PartitionKey", "RowKey"],
        )
        removed = 0
        for partition, key in [(row["PartitionKey"], row["RowKey"]) for row in rows]:
            if not time_is_left():
                break
            self._table.delete_entity(partition, key)
            removed += 1
        return removed

    def _partition(self, tenant: TenantId) -> str:
        return f"{self._partner}_{tenant}"

    def _store(
        self, tenant: TenantId, entries: Sequence[HistoryEntry], rows: Sequence[dict[str, Any]]
    ) -> None:
        repeats = _REPEATS_OF_DELETE if any(map(_is_delete, entries)) else _REPEATS
        try:
            self._insert(rows, repeats)
        except AzureError as error:
            for entry in entries:
                _log_lost(tenant, entry, error)

    def _insert(self, rows: Sequence[dict[str, Any]], repeats: int) -> None:
        try:
            self._table.submit_transaction(
                [("create", row) for row in rows],
                retry_total=repeats,
                retry_on_methods=_REPEATED,
                **_SHORT,
            )
        except TableTransactionError as error:
            if not is_existing_row(error):
                raise
            # A request may be there since an earlier delivery. A row with a random key is only
            # there if this batch was written, all of it, and its response was lost.
            others = [row for row in rows if row["kind"] != EntryKind.REQUESTED]
            if others and len(others) < len(rows):
                self._insert(others, repeats)

    def _row(self, tenant: TenantId, entry: HistoryEntry, position: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "PartitionKey": self._partition(tenant),
            "RowKey": _row_key(entry, position),
            "kind": entry.kind,
            "at": entry.at.isoformat(),
            "requestedBy": _stored(entry.requested_by),
            "correlationId": entry.correlation_id,
            "detail": _stored(entry.detail),
        }
        return row if entry.write is None else row | _call_columns(entry.write)


def _call_columns(write: SentWrite) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "method": write.method,
        "path": _stored(write.path),
        "asked": write.asked,
        "requestId": write.request_id,
        "attempts": write.attempts,
        "code": write.code[:_CODE_CHARACTERS],
        "responses": json.dumps([attempt_members(each) for each in write.responses]),
    }
    return columns if write.status is None else {**columns, "status": write.status}


def attempt_members(attempt: Attempt) -> dict[str, Any]:
    """Return one attempt at a write, as it is stored and shown."""
    return {
        "at": attempt.at.isoformat(timespec="milliseconds"),
        "status": attempt.status,
        "code": attempt.code[:_CODE_CHARACTERS],
    }


def _row_key(entry: HistoryEntry, position: int) -> str:
    """Return a key that no other entry has, and that puts the newest entry first.

    That a deletion was requested is told once, however often its first message is delivered.
    """
    once = entry.kind == EntryKind.REQUESTED
    last = entry.correlation_id if once else str(uuid.uuid4())
    return f"{_descending(entry.at)}-{_LAST_POSITION - position * (not once):05d}-{last}"


def _descending(at: datetime) -> str:
    return f"{_LATEST_MICROSECONDS - (at - _EPOCH) // _MICROSECOND:017d}"


def _stored(text: str) -> str:
    """Return text that Table storage takes: not too long, and without half characters."""
    return readable(text[:DETAIL_CHARACTERS])


def _is_delete(entry: HistoryEntry) -> bool:
    return entry.write is not None and entry.write.method == "DELETE"


def _log_lost(tenant: TenantId, entry: HistoryEntry, failure: AzureError) -> None:
    write = entry.write
    emit(
        Event.HISTORY_LOST,
        tenant=tenant,
        kind=entry.kind,
        at=entry.at.isoformat(),
        requested_by=entry.requested_by or None,
        correlation=entry.correlation_id or None,
        method=write.method if write else None,
        path=write.path if write else None,
        status=write.status if write else None,
        code=(write.code or None) if write else None,
        request=write.request_id if write else None,
        attempts=write.attempts if write else None,
        responses=_in_a_line(write.responses) if write else None,
        detail=entry.detail[:DETAIL_CHARACTERS] or None,
        reason=f"{type(failure).__name__}: {failure}",
    )


def _in_a_line(responses: Sequence[Attempt]) -> str:
    return ", ".join(
        f"{each.status or 'none'} to {each.at.isoformat(timespec='milliseconds')}"
        for each in responses
    )


def _entry(row: TableEntity) -> HistoryEntry:
    """Return the entry of a row; one that cannot be read is shown as well as it can be."""
    try:
        return _readable(row)
    except UNREADABLE as error:
        reason = unreadable(row, "This row of the history", error)
        at, key = written_at(row), row["RowKey"]
        return HistoryEntry(EntryKind.UNREADABLE, at, detail=reason, key=key)


def _readable(row: TableEntity) -> HistoryEntry:
    return HistoryEntry(
        kind=value(row, "kind", str),
        at=timestamp(row, "at"),
        requested_by=optional(row, "requestedBy", ""),
        correlation_id=optional(row, "correlationId", ""),
        detail=optional(row, "detail", ""),
        write=_write(row) if "method" in row else None,
        key=row["RowKey"],
    )


def _write(row: TableEntity) -> SentWrite:
    return SentWrite(
        method=value(row, "method", str),
        path=optional(row, "path", ""),
        asked=optional(row, "asked", ""),
        request_id=optional(row, "requestId", ""),
        status=value(row, "status", int) if "status" in row else None,
        code=optional(row, "code", ""),
        attempts=optional(row, "attempts", 1),
        responses=tuple(map(_attempt, json.loads(optional(row, "responses", "[]")))),
    )


def _attempt(members: dict[str, Any]) -> Attempt:
    status = None if members["status"] is None else value(members, "status", int)
    return Attempt(timestamp(members, "at"), status, value(members, "code", str))
