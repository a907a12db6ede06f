"""A rejected message is stored once, and an error that only resembles that is raised."""

from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient

from shared.storage.names import CUSTOMERS_TO_DELETE, SANDBOX_TABLE
from shared.storage.rejected import RejectedMessage, RejectedMessages
from tests.bench import Bench
from tests.pipeline.test_storage_faults import failed


class BeingDeleted(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Responds to an insert as storage does while it deletes the table."""

    def send(self, request: HttpRequest, **options: Any) -> Any:
        if request.method != "POST":
            return super().send(request, **options)
        response = super().send(HttpRequest("GET", request.url), **options)
        return failed(response, 409, {"x-ms-error-code": "TableBeingDeleted"})


def test_a_message_is_not_taken_for_stored_while_the_table_is_deleted(
    bench: Bench, storage: str
) -> None:
    partner = bench.services.settings.partner_center.tenant_id
    now = bench.services.now()
    message = RejectedMessage(CUSTOMERS_TO_DELETE, "m", b"contoso", None, "no tenant ID", now)

    with (
        TableClient.from_connection_string(
            storage, SANDBOX_TABLE, transport=BeingDeleted(), retry_total=0
        ) as table,
        pytest.raises(ResourceExistsError),
    ):
        RejectedMessages(table, partner).keep(message)
