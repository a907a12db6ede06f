"""Creates in a storage account the queues and tables that the infrastructure has in Azure."""

import os
import sys
from typing import Any, Final

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from shared.storage.names import POISON_QUEUES, QUEUES, TABLES

STORAGE_SETTING: Final = "AzureWebJobsStorage"
# If the emulator is not running, say so at once instead of after the retries of the SDK.
_FAIL_FAST: Final[dict[str, Any]] = {"retry_total": 0, "connection_timeout": 5}


def provision(connection_string: str) -> None:
    """Create the queues, poison queues and tables that do not exist yet."""
    with QueueServiceClient.from_connection_string(connection_string, **_FAIL_FAST) as queues:
        existing = {queue.name for queue in queues.list_queues()}
        for name in (*QUEUES, *POISON_QUEUES):
            if name not in existing:
                queues.create_queue(name)
    with TableServiceClient.from_connection_string(connection_string, **_FAIL_FAST) as tables:
        for name in TABLES:
            tables.create_table_if_not_exists(name)


def main() -> int:
    """Provision the storage account in `AzureWebJobsStorage`."""
    connection_string = os.environ.get(STORAGE_SETTING)
    if not connection_string:
        print(
            f"{STORAGE_SETTING} is not set; set it to UseDevelopmentStorage=true for Azurite",
            file=sys.stderr,
        )
        return 1
    provision(connection_string)
    return 0


if __name__ == "__main__":
    sys.exit(main())
