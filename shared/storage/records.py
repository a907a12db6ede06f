"""The deletion records: one current record for each customer, guarded by its ETag."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.errors import TipsweepError
from shared.purchases.purchase import Purchase
from shared.storage.clients import find_row, is_missing_row
from shared.storage.columns import UNREADABLE, optional, timestamp, unreadable, value
from shared.storage.memory import pack, unpack
from shared.tenants import TenantId

_TEXT_CHARACTERS: Final = 4_000
_TRIES: Final = 20


class State(StrEnum):
    """How far a deletion is; the last four are terminal."""

    REQUESTED = "requested"
    CANCELLING = "cancelling"
    CHECKING = "checking"
    DELETING = "deleting"
    DELETED = "deleted"
    STUCK = "stuck"
    REFUSED = "refused"
    ABORTED = "aborted"


TERMINAL: Final = frozenset({State.DELETED, State.STUCK, State.REFUSED, State.ABORTED})
# Until its first step has ended, a deletion has no message but the one that asked for it.
UNCLAIMED: Final = frozenset({State.REQUESTED, State.CANCELLING})
# The ends that a person has to look at, until somebody dismisses the record.
NEED_ATTENTION: Final = frozenset({State.STUCK, State.REFUSED})


class RecordChanged(TipsweepError):
    """Somebody else has changed or removed the record since it was read."""


class UnreadableRecord(TipsweepError):
    """A record is not as this version writes it; a later one may have written it."""


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """The row of a record that cannot be read, and why."""

    tenant: TenantId
    reason: str


@dataclass(frozen=True, slots=True)
class DeletionRecord:
    """The deletion of one customer.

    `generation` grows with every message sent for it; a message of a lower one is dropped.
    `claimed_by` is the ID of the queue message that works on this generation. `seen` says that
    Partner Center has shown the customer to us, so that "not found" later means "gone".
    `attempt` counts the checks since the last progress, `failures` the tries since the last step
    that worked which failed because of the message or a bug. `parked_since` is set while the
    deletion waits for something that says nothing about it; `parked` is the time it waited like
    this before, by which `deadline` has moved; it has moved by `granted` too, for waits that
    Partner Center asked for. `looked_at` is when a step last found it unfinished.
    `retry_at` is when what is stuck can be cancelled again. `ended_at` is when the row of an ended
    deletion was written, by the clock of the storage account; a record that has only just ended has
    none until it is read again. `dismissed_at` is set once a person has dealt with the end.
    `told` says that the step of the message in `claimed_by` failed, and told the history so;
    `resumed`, which is not stored, that the message took over from a step that did not come so far.
    """

    tenant: TenantId
    state: State
    generation: int
    correlation_id: str
    requested_at: datetime
    deadline: datetime
    requested_by: str = ""
    claimed_by: str = ""
    domain: str = ""
    seen: bool = False
    attempt: int = 0
    failures: int = 0
    looked_at: datetime | None = None
    parked_since: datetime | None = None
    parked: timedelta = timedelta(0)
    granted: timedelta = timedelta(0)
    next_check_at: datetime | None = None
    finished_at: datetime | None = None
    retry_at: datetime | None = None
    reason: str = ""
    remedy: str = ""
    last_error: str = ""
    purchases: tuple[Purchase, ...] = ()
    dismissed_at: datetime | None = None
    dismissed_by: str = ""
    told: bool = False
    ended_at: datetime | None = field(default=None, compare=False)
    resumed: bool = field(default=False, compare=False)
    etag: str = field(default="", compare=False)

    @property
    def live(self) -> bool:
        """Whether the deletion has not ended."""
        return self.state not in TERMINAL

    @property
    def interrupted(self) -> bool:
        """Whether a step works on the deletion, or was stopped before it could tell of its end."""
        return self.live and bool(self.claimed_by) and not self.told

    @property
    def needs_attention(self) -> bool:
        """Whether the deletion ended in a way that nobody has dealt with yet."""
        return self.state in NEED_ATTENTION and self.dismissed_at is None


Changed = TypeVar("Changed", DeletionRecord, DeletionRecord | None)


@dataclass(frozen=True, slots=True)
class Update(Generic[Changed]):
    """A record after an update; `written` says whether the update changed it."""

    record: Changed
    written: bool


class Records:
    """The table of deletion records of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def get(self, tenant: TenantId) -> DeletionRecord | None:
        """Return the customer's record, or None; raises UnreadableRecord."""
        row = find_row(self._table, self._partner, tenant)
        return None if row is None else _record(row)

    def etag(self, tenant: TenantId) -> str:
        """Return the ETag of the customer's record without reading it, "" if there is none."""
        row = find_row(self._table, self._partner, tenant, ["RowKey"])
        return "" if row is None else row.metadata["etag"] or ""

    def update(
        self, tenant: TenantId, change: Callable[[DeletionRecord | None], Changed]
    ) -> Update[Changed]:
        """Change the customer's record, starting over if somebody else was faster.

        `change` gets the record as it stands, or None, and returns the record to write. It returns
        what it got, or None, to write nothing. It may raise, and may run several times. Raises
        RecordChanged if others were faster twenty times in a row.
        """
        for _ in range(_TRIES):
            current = self.get(tenant)
            changed = change(current)
            # None is possible for one of the two types only.
            if changed is None or changed is current:  # type: ignore[redundant-expr]
                return Update(changed, written=False)
            try:
                return Update(self._write(changed, current), written=True)
            except RecordChanged:
                continue
        message = f"The deletion record of customer {tenant} was changed by others {_TRIES} times"
        raise RecordChanged(message)

    def insert(self, record: DeletionRecord) -> DeletionRecord:
        """Add a record; raises RecordChanged if the customer already has one."""
        entity = self._entity(record)
        try:
            # Not an upsert: of ten drops at once, only one may start the deletion.
            etag = self._table.create_entity(entity)["etag"]
        except ResourceExistsError as error:
            etag = self._etag_of_own_write(record, entity, error)
        return replace(record, etag=etag)

    def _write(self, record: DeletionRecord, current: DeletionRecord | None) -> DeletionRecord:
        # Against the ETag that the change was decided on: whatever was written since then wins.
        if current is None:
            return self.insert(record)
        return self.replace(replace(record, etag=current.etag))

    def replace(self, record: DeletionRecord) -> DeletionRecord:
        """Replace a record; raises RecordChanged if it has changed since it was read."""
        entity = self._entity(record)
        try:
            etag = self._table.update_entity(
                entity,
                UpdateMode.REPLACE,
                etag=record.etag,
                match_condition=MatchConditions.IfNotModified,
            )["etag"]
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            if isinstance(error, ResourceNotFoundError) and not is_missing_row(error):
                raise
            etag = self._etag_of_own_write(record, entity, error)
        return replace(record, etag=etag)

    def _etag_of_own_write(
        self, record: DeletionRecord, entity: Mapping[str, Any], error: AzureError
    ) -> str:
        """Return the ETag of the row if it is this very write; raises RecordChanged otherwise.

        The storage library repeats a write whose response was lost, with the old ETag, and then
        reports its own write as somebody else's. If a row is in the way of a new one and yet there
        is none, the table is in trouble, and the error is raised again.
        """
        stored = find_row(self._table, self._partner, record.tenant)
        if stored is None and isinstance(error, ResourceExistsError):
            raise error
        if stored is None or stored.get("writeId") != entity["writeId"]:
            raise _changed(record) from error
        return stored.metadata["etag"] or ""

    def remove(self, record: DeletionRecord) -> None:
        """Remove a record; raises RecordChanged if it has changed since it was read.

        One that is gone counts as removed, and so does one whose table is missing.
        """
        try:
            self._table.delete_entity(
                self._entity(record),
                etag=record.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError as error:
            raise _changed(record) from error

    def all(self) -> Iterator[DeletionRecord]:
        """Yield every record of the partner account that can be read."""
        return (row for row in self.rows() if isinstance(row, DeletionRecord))

    def rows(
        self, after: str = "", state: State | None = None
    ) -> Iterator[DeletionRecord | UnreadableRow]:
        """Yield the records after this tenant ID, in the order of IDs; with a state, those in it.

        One row that cannot be read must not hide the others.
        """
        query = "PartitionKey eq @partner and RowKey gt @after"
        parameters = {"partner": self._partner, "after": after}
        if state is not None:
            query += " and state eq @state"
            parameters["state"] = state.value
        for entity in self._table.query_entities(query, parameters=parameters):
            try:
                yield _record(entity)
            except UnreadableRecord as error:
                yield UnreadableRow(TenantId(entity["RowKey"]), str(error))

    def _entity(self, record: DeletionRecord) -> dict[str, Any]:
        purchases, left_out = pack(record.purchases)
        return {
            "PartitionKey": self._partner,
            "RowKey": record.tenant,
            "writeId": str(uuid.uuid4()),
            **_columns(record, left_out),
            **_times(record),
            **purchases,
        }


def _columns(record: DeletionRecord, left_out: str) -> dict[str, Any]:
    return {
        "attempt": record.attempt,
        "claimedBy": record.claimed_by,
        "correlationId": record.correlation_id,
        "dismissedBy": record.dismissed_by,
        "domain": record.domain,
        "failures": record.failures,
        "generation": record.generation,
        "grantedSeconds": record.granted.total_seconds(),
        "lastError": (record.last_error or left_out)[:_TEXT_CHARACTERS],
        "parkedSeconds": record.parked.total_seconds(),
        "reason": record.reason[:_TEXT_CHARACTERS],
        "remedy": record.remedy[:_TEXT_CHARACTERS],
        "requestedBy": record.requested_by,
        "seen": record.seen,
        "state": record.state.value,
        "told": record.told,
    }


def _times(record: DeletionRecord) -> dict[str, str]:
    times = {
        "deadline": record.deadline,
        "dismissedAt": record.dismissed_at,
        # Carried along, because writing the row again sets its own timestamp again.
        "endedAt": None if record.live else record.ended_at,
        "finishedAt": record.finished_at,
        "lookedAt": record.looked_at,
        "nextCheckAt": record.next_check_at,
        "parkedSince": record.parked_since,
        "requestedAt": record.requested_at,
        "retryAt": record.retry_at,
    }
    return {name: time.isoformat() for name, time in times.items() if time}


def _changed(record: DeletionRecord) -> RecordChanged:
    message = f"The deletion record of customer {record.tenant} was changed by somebody else"
    return RecordChanged(message)


def _record(entity: TableEntity) -> DeletionRecord:
    try:
        return _read(entity)
    except UNREADABLE as error:
        what = f"The deletion record of customer {entity['RowKey']}"
        raise UnreadableRecord(unreadable(entity, what, error)) from error


def _read(entity: TableEntity) -> DeletionRecord:
    state = State(entity["state"])
    return DeletionRecord(
        tenant=TenantId(entity["RowKey"]),
        state=state,
        generation=value(entity, "generation", int),
        correlation_id=value(entity, "correlationId", str),
        requested_at=timestamp(entity, "requestedAt"),
        deadline=timestamp(entity, "deadline"),
        requested_by=value(entity, "requestedBy", str),
        claimed_by=value(entity, "claimedBy", str),
        domain=value(entity, "domain", str),
        seen=value(entity, "seen", bool),
        attempt=value(entity, "attempt", int),
        # Rows of earlier versions lack these.
        told=optional(entity, "told", False),
        failures=optional(entity, "failures", 0),
        parked=timedelta(seconds=float(entity.get("parkedSeconds", 0.0))),
        granted=timedelta(seconds=float(entity.get("grantedSeconds", 0.0))),
        dismissed_by=optional(entity, "dismissedBy", ""),
        looked_at=_time(entity, "lookedAt"),
        parked_since=_time(entity, "parkedSince"),
        next_check_at=_time(entity, "nextCheckAt"),
        finished_at=_time(entity, "finishedAt"),
        retry_at=_time(entity, "retryAt"),
        dismissed_at=_time(entity, "dismissedAt"),
        ended_at=_ended_at(entity) if state in TERMINAL else None,
        reason=value(entity, "reason", str),
        remedy=value(entity, "remedy", str),
        last_error=value(entity, "lastError", str),
        purchases=unpack(entity),
        etag=entity.metadata["etag"] or "",
    )


def _ended_at(entity: TableEntity) -> datetime | None:
    return _time(entity, "endedAt") or entity.metadata["timestamp"]


def _time(entity: TableEntity, name: str) -> datetime | None:
    return timestamp(entity, name) if name in entity else None
