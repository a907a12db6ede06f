"""Messages that could not be handled, in the table `sandbox`, each with its reason."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, UpdateMode

from shared.inputs import readable
from shared.storage.clients import find_row, is_missing_row
from shared.storage.columns import UNREADABLE, optional, timestamp, unreadable, value, written_at
from shared.storage.names import REJECTED_ROW_PREFIX
from shared.tenants import TenantId

# People paste secrets, and the beginning shows what it was.
BODY_CHARACTERS: Final = 500
# What an address may name: the hash, or the queue's own ID, which earlier versions used.
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_REASON_CHARACTERS: Final = 16_000
_DISMISSED_AT: Final = "dismissedAt"


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message that was not handled; `queue` is the name without the poison suffix.

    `message_id` stays the same when the message is delivered again; on a message that was read from
    the table it is the ID of the row. `expected` says what the message should have been, "" if it
    could be read.
    """

    queue: str
    message_id: str
    body: bytes
    tenant: TenantId | None
    reason: str
    at: datetime
    expected: str = ""


class RejectedMessages:
    """The rejected messages of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def keep(self, message: RejectedMessage) -> str:
        """Store a message with the beginning of its body, and return the ID of its row.

        The same message is stored once, so it stays dismissed however often it is delivered.
        """
        row_id = _row_id(message)
        key = REJECTED_ROW_PREFIX + row_id
        try:
            self._table.create_entity(self._row(message, key))
        except ResourceExistsError:
            # A table in trouble responds 409 too.
            if find_row(self._table, self._partner, key, ["RowKey"]) is None:
                raise
        return row_id

    def all(self) -> list[RejectedMessage]:
        """Return the messages that nobody has dismissed, the latest first."""
        rows: Iterable[TableEntity] = self._table.query_entities(
            "PartitionKey eq @partner and RowKey ge @first and RowKey lt @after",
            parameters={
                "partner": self._partner,
                "first": REJECTED_ROW_PREFIX,
                "after": REJECTED_ROW_PREFIX + "~",
            },
        )
        shown = (_message(row) for row in rows if _DISMISSED_AT not in row)
        return sorted(shown, key=lambda message: message.at, reverse=True)

    def dismiss(self, row_id: str, requested_by: str, at: datetime) -> RejectedMessage | None:
        """Note that a person has dealt with a message, and return it as it was.

        The row stays without its body, for a message that is delivered once more. Returns None if
        there is no such message, or if it is dismissed already.
        """
        if not _ID.fullmatch(row_id):
            return None
        row = find_row(self._table, self._partner, REJECTED_ROW_PREFIX + row_id)
        if row is None or _DISMISSED_AT in row:
            return None
        dismissal = {
            "PartitionKey": self._partner,
            "RowKey": row["RowKey"],
            "body": "",
            "dismissedBy": requested_by,
            _DISMISSED_AT: at.isoformat(),
        }
        try:
            self._table.update_entity(dismissal, UpdateMode.MERGE)
        except ResourceNotFoundError as error:
            if not is_missing_row(error):
                raise
            return None
        return _message(row)

    def _row(self, message: RejectedMessage, key: str) -> dict[str, str]:
        return {
            "PartitionKey": self._partner,
            "RowKey": key,
            "queue": message.queue,
            "body": message.body.decode(errors="replace")[:BODY_CHARACTERS],
            "tenant": message.tenant or "",
            "reason": message.reason[:_REASON_CHARACTERS],
            "expected": message.expected,
            "at": message.at.isoformat(),
        }


def _row_id(message: RejectedMessage) -> str:
    """Return a hash, because nothing in a message that somebody else wrote may name a row."""
    told_apart = hashlib.sha256()
    message_id = message.message_id.encode(errors="surrogatepass")
    for part in (message.queue.encode(), message_id, message.body):
        told_apart.update(hashlib.sha256(part).digest())
    return told_apart.hexdigest()


def _message(row: TableEntity) -> RejectedMessage:
    """Return the message of a row; one that cannot be read is shown as well as it can be."""
    message_id = row["RowKey"].removeprefix(REJECTED_ROW_PREFIX)
    try:
        return _readable(row, message_id)
    except UNREADABLE as error:
        reason = unreadable(row, f"The row of the rejected message {message_id}", error)
        return RejectedMessage("", message_id, b"", None, reason, written_at(row))


def _readable(row: TableEntity, message_id: str) -> RejectedMessage:
    tenant = value(row, "tenant", str)
    return RejectedMessage(
        queue=value(row, "queue", str),
        message_id=message_id,
        body=_bytes(row["body"]),
        tenant=TenantId(tenant) if tenant else None,
        reason=value(row, "reason", str),
        at=timestamp(row, "at"),
        expected=optional(row, "expected", ""),
    )


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else readable(str(body)).encode()
