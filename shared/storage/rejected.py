"""Messages that could not be handled, in the table `sandbox`, each with its reason."""

from dataclasses import dataclass
from datetime import datetime

from azure.data.tables import TableClient

from shared.storage.names import REJECTED_ROW_PREFIX
from shared.tenants import TenantId


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message from a poison queue; `queue` is the name without the poison suffix."""

    queue: str
    message_id: str
    body: bytes
    tenant: TenantId | None
    reason: str
    at: datetime


class RejectedMessages:
    """The rejected messages of one partner account."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def keep(self, message: RejectedMessage) -> None:
        """Store a message; the same message again replaces its row."""
        self._table.upsert_entity(
            {
                "PartitionKey": self._partner,
                "RowKey": REJECTED_ROW_PREFIX + message.message_id,
                "queue": message.queue,
                "body": message.body,
                "tenant": message.tenant or "",
                "reason": message.reason,
                "at": message.at.isoformat(),
            }
        )
