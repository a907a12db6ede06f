"""The deletion records: one current record for each customer, guarded by its ETag."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.errors import TipsweepError
from shared.purchases.products import Action, Product
from shared.purchases.purchase import ENDED, Purchase, PurchaseKind
from shared.storage.names import PROPERTY_CHARACTERS
from shared.tenants import TenantId

_TEXT_CHARACTERS: Final = 4_000
_NAME_CHARACTERS: Final = 100
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
# The ends that a person has to look at, until somebody dismisses the record.
NEED_ATTENTION: Final = frozenset({State.STUCK, State.REFUSED})


class RecordChanged(TipsweepError):
    """Somebody else has changed or removed the record since it was read."""


@dataclass(frozen=True, slots=True)
class DeletionRecord:
    """The deletion of one customer.

    `generation` grows with every message sent for it; a message of a lower one is dropped.
    `claimed_by` is the ID of the queue message that works on this generation. `seen` says that
    Partner Center has shown the customer to us, so that "not found" later means "gone".
    `attempt` counts the checks since the last progress, `failures` the tries since the last step
    that worked which failed because of the message or a bug. `parked_since` is set while the
    deletion waits for something that says nothing about it; `parked` is the time it waited like
    this before, by which `deadline` has moved. `looked_at` is when a step last found it unfinished.
    `retry_at` is when what is stuck can be cancelled again. `ended_at` is when the row of an ended
    deletion was written, by the clock of the storage account; a record that has only just ended has
    none until it is read again. `dismissed_at` is set once a person has dealt with the end.
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
    next_check_at: datetime | None = None
    finished_at: datetime | None = None
    retry_at: datetime | None = None
    reason: str = ""
    remedy: str = ""
    last_error: str = ""
    purchases: tuple[Purchase, ...] = ()
    dismissed_at: datetime | None = None
    dismissed_by: str = ""
    ended_at: datetime | None = field(default=None, compare=False)
    etag: str = field(default="", compare=False)

    @property
    def live(self) -> bool:
        """Whether the deletion has not ended."""
        return self.state not in TERMINAL

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
        """Return the customer's record, or None."""
        try:
            return _record(self._table.get_entity(self._partner, tenant))
        except ResourceNotFoundError:
            return None

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
            etag = self._etag_of_own_write(entity)
            if not etag:
                raise _changed(record) from error
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
            etag = self._etag_of_own_write(entity)
            if not etag:
                raise _changed(record) from error
        return replace(record, etag=etag)

    def _etag_of_own_write(self, entity: Mapping[str, Any]) -> str:
        """Return the ETag of the row if it is this very write, else "".

        The storage library repeats a write whose response was lost, with the old ETag, and then
        reports its own write as somebody else's.
        """
        try:
            stored = self._table.get_entity(self._partner, entity["RowKey"])
        except ResourceNotFoundError:
            return ""
        mine = stored.get("writeId") == entity["writeId"]
        return (stored.metadata["etag"] or "") if mine else ""

    def remove(self, record: DeletionRecord) -> None:
        """Remove a record; raises RecordChanged if it has changed since it was read."""
        try:
            self._table.delete_entity(
                self._entity(record),
                etag=record.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError as error:
            raise _changed(record) from error

    def all(self) -> Iterator[DeletionRecord]:
        """Yield every record of the partner account."""
        for entity in self._table.query_entities(
            "PartitionKey eq @partner", parameters={"partner": self._partner}
        ):
            yield _record(entity)

    def after(self, tenant: str, state: State | None) -> Iterator[DeletionRecord]:
        """Yield the records after this tenant ID, in the order of IDs; all of them after "".

        With a state, only the records in it.
        """
        query = "PartitionKey eq @partner and RowKey gt @tenant"
        parameters = {"partner": self._partner, "tenant": tenant}
        if state is not None:
            query += " and state eq @state"
            parameters["state"] = state.value
        for entity in self._table.query_entities(query, parameters=parameters):
            yield _record(entity)

    def _entity(self, record: DeletionRecord) -> dict[str, Any]:
        timestamps = {
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
        return {
            "PartitionKey": self._partner,
            "RowKey": record.tenant,
            "attempt": record.attempt,
            "claimedBy": record.claimed_by,
            "correlationId": record.correlation_id,
            "dismissedBy": record.dismissed_by,
            "domain": record.domain,
            "failures": record.failures,
            "generation": record.generation,
            "lastError": record.last_error[:_TEXT_CHARACTERS],
            "parkedSeconds": record.parked.total_seconds(),
            "purchases": _remembered(record.purchases),
            "reason": record.reason[:_TEXT_CHARACTERS],
            "remedy": record.remedy[:_TEXT_CHARACTERS],
            "requestedBy": record.requested_by,
            "seen": record.seen,
            "state": record.state.value,
            "writeId": str(uuid.uuid4()),
            **{name: timestamp.isoformat() for name, timestamp in timestamps.items() if timestamp},
        }


def _changed(record: DeletionRecord) -> RecordChanged:
    message = f"The deletion record of customer {record.tenant} was changed by somebody else"
    return RecordChanged(message)


def _record(entity: TableEntity) -> DeletionRecord:
    state = State(entity["state"])
    return DeletionRecord(
        tenant=TenantId(entity["RowKey"]),
        state=state,
        generation=entity["generation"],
        correlation_id=entity["correlationId"],
        requested_at=datetime.fromisoformat(entity["requestedAt"]),
        deadline=datetime.fromisoformat(entity["deadline"]),
        requested_by=entity["requestedBy"],
        claimed_by=entity["claimedBy"],
        domain=entity["domain"],
        seen=entity["seen"],
        attempt=entity["attempt"],
        # Rows of earlier versions lack the next four and retryAt.
        failures=entity.get("failures", 0),
        looked_at=_timestamp(entity.get("lookedAt")),
        parked_since=_timestamp(entity.get("parkedSince")),
        parked=timedelta(seconds=entity.get("parkedSeconds", 0.0)),
        next_check_at=_timestamp(entity.get("nextCheckAt")),
        finished_at=_timestamp(entity.get("finishedAt")),
        retry_at=_timestamp(entity.get("retryAt")),
        reason=entity["reason"],
        remedy=entity["remedy"],
        last_error=entity["lastError"],
        purchases=tuple(_purchase(row) for row in json.loads(entity["purchases"])),
        dismissed_at=_timestamp(entity.get("dismissedAt")),
        dismissed_by=entity.get("dismissedBy", ""),
        ended_at=_ended_at(entity) if state in TERMINAL else None,
        etag=entity.metadata["etag"] or "",
    )


def _ended_at(entity: TableEntity) -> datetime | None:
    return _timestamp(entity.get("endedAt")) or entity.metadata["timestamp"]


def _timestamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _remembered(purchases: Iterable[Purchase]) -> str:
    """Return the purchases as JSON; only the unfinished ones, or none, if that is too long.

    A deletion that remembers nothing reads everything again.
    """
    everything = list(purchases)
    unfinished = [each for each in everything if each.status not in ENDED]
    for kept in (everything, unfinished):
        text = json.dumps([_row(each) for each in kept], separators=(",", ":"))
        if len(text) <= PROPERTY_CHARACTERS:
            return text
    return "[]"


def _row(purchase: Purchase) -> dict[str, Any]:
    row = {
        "kind": purchase.kind.value,
        "id": purchase.id,
        "status": purchase.status,
        "parent": purchase.parent,
        "product": purchase.product.name if purchase.product else "",
        "created": purchase.created.isoformat() if purchase.created else "",
        "termEnd": purchase.term_end.isoformat() if purchase.term_end else "",
        "name": purchase.name[:_NAME_CHARACTERS],
        "sent": sorted(purchase.sent),
        "rejected": sorted(purchase.rejected),
        "reason": purchase.reason,
        "needsActivation": purchase.needs_activation,
    }
    return {name: value for name, value in row.items() if value}


def _purchase(row: Mapping[str, Any]) -> Purchase:
    return Purchase(
        kind=PurchaseKind(row["kind"]),
        id=row["id"],
        status=row["status"],
        parent=row.get("parent", ""),
        product=Product[row["product"]] if "product" in row else None,
        created=_timestamp(row.get("created")),
        term_end=_timestamp(row.get("termEnd")),
        name=row.get("name", ""),
        sent=frozenset(Action(action) for action in row.get("sent", ())),
        rejected=frozenset(Action(action) for action in row.get("rejected", ())),
        reason=row.get("reason", ""),
        needs_activation=row.get("needsActivation", False),
    )
