"""Clients of the storage account that holds queues and tables, and how a row is looked up."""

import threading
from typing import Any, Final

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ResourceNotFoundError, ServiceRequestTimeoutError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import (
    TableClient,
    TableEntity,
    TableErrorCode,
    TableServiceClient,
    TableTransactionError,
)
from azure.storage.queue import QueueServiceClient

from shared.partner_center.deadline import Deadline, limit_reads, limited, running_deadline
from shared.partner_center.sign_in_clients import azure_credential
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

# A step has to note its end in storage after its deadline, so a first try always gets this.
SHORTEST_TRY_SECONDS: Final = 5.0


class LimitedTransport(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Cuts each try of a call to what is left of the running step's time.

    When the time is over, a call gets one short try and no repeats.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's options
        super().__init__(**options)
        self._tried = threading.local()

    def open(self) -> None:
        """Open the session, whose reads end with the try."""
        fresh = self.session is None
        super().open()
        if fresh:
            limit_reads(self.session.get_adapter("https://"))

    def send(self, request: HttpRequest, **options: Any) -> Any:  # noqa: ANN401 - an HttpResponse
        """Send one try; raises ServiceRequestTimeoutError for a repeat without time."""
        deadline = running_deadline()
        if deadline is None:
            return super().send(request, **options)
        repeat = getattr(self._tried, "request", None) is request
        self._tried.request = request
        left = deadline.left
        if repeat and left < SHORTEST_TRY_SECONDS:
            message = f"{request.method} to storage was not repeated: the step's time is over"
            raise ServiceRequestTimeoutError(message)
        longest = max(left, SHORTEST_TRY_SECONDS)
        for name in ("connection_timeout", "read_timeout"):
            options[name] = min(options.get(name, _SHORT_RETRIES[name]), longest)
        with limited(Deadline.after(longest, deadline.monotonic)):
            return super().send(request, **options)


def _options(retries: dict[str, Any]) -> dict[str, Any]:
    return {"transport": LimitedTransport(**retries), "permit_redirects": False, **retries}


def queue_service(settings: StorageSettings) -> QueueServiceClient:
    """Return the queue service by connection string, or by identity."""
    if settings.connection_string:
        return QueueServiceClient.from_connection_string(
            settings.connection_string, **_options(_SHORT_QUEUE_RETRIES)
        )
    return QueueServiceClient(
        str(settings.queue_service_uri),
        credential=_identity(settings),
        **_options(_SHORT_QUEUE_RETRIES),
    )


def table_service(settings: StorageSettings) -> TableServiceClient:
    """Return the table service by connection string, or by identity."""
    if settings.connection_string:
        return TableServiceClient.from_connection_string(
            settings.connection_string, **_options(_SHORT_RETRIES)
        )
    return TableServiceClient(
        endpoint=str(settings.table_service_uri),
        credential=_identity(settings),
        **_options(_SHORT_RETRIES),
    )


def find_row(
    table: TableClient, partition: str, key: str, columns: list[str] | None = None
) -> TableEntity | None:
    """Return a row, or only some of its columns; None if the table has no such row.

    Without the table nobody knows what its rows say, so that is an error like any other.
    """
    try:
        return table.get_entity(partition, key, select=columns)
    except ResourceNotFoundError as error:
        if is_missing_row(error):
            return None
        raise


def is_missing_row(error: AzureError) -> bool:
    """Whether a table says that it has no such row; a 404 may also be that of a missing table."""
    return getattr(error, "error_code", None) == TableErrorCode.RESOURCE_NOT_FOUND


def is_existing_row(error: TableTransactionError) -> bool:
    """Whether a batch failed at a row that is there; a table in trouble responds 409 too."""
    return getattr(error, "error_code", None) == TableErrorCode.ENTITY_ALREADY_EXISTS


def _identity(settings: StorageSettings) -> TokenCredential:
    return azure_credential(
        managed=settings.managed_identity, client_id=settings.managed_identity_client_id
    )
