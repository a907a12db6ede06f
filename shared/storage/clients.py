"""Clients of the storage account that holds queues and tables."""

from typing import Any, Final

from azure.core.credentials import TokenCredential
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from shared.partner_center.credentials import azure_credential
from shared.settings import StorageSettings

# A handler must not wait for storage for minutes: putting the message back costs nothing.
_SHORT_RETRIES: Final[dict[str, Any]] = {
    "retry_total": 3,
    "connection_timeout": 5,
    "read_timeout": 20,
}
# The queue library would wait 15 s before its first retry.
_SHORT_QUEUE_RETRIES: Final = {
    **_SHORT_RETRIES,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}


def queue_service(settings: StorageSettings) -> QueueServiceClient:
    """Return the queue service by connection string, or by identity."""
    if settings.connection_string:
        return QueueServiceClient.from_connection_string(
            settings.connection_string, **_SHORT_QUEUE_RETRIES
        )
    return QueueServiceClient(
        str(settings.queue_service_uri), credential=_identity(settings), **_SHORT_QUEUE_RETRIES
    )


def table_service(settings: StorageSettings) -> TableServiceClient:
    """Return the table service by connection string, or by identity."""
    if settings.connection_string:
        return TableServiceClient.from_connection_string(
            settings.connection_string, **_SHORT_RETRIES
        )
    return TableServiceClient(
        endpoint=str(settings.table_service_uri), credential=_identity(settings), **_SHORT_RETRIES
    )


def _identity(settings: StorageSettings) -> TokenCredential:
    return azure_credential(
        managed=settings.managed_identity, client_id=settings.managed_identity_client_id
    )
