"""Whose storage account this is: a row in the table `sandbox` names the partner.

Records are kept by partner and queues are not, so two apps on one account would take each other's
messages.
"""

from typing import Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient

from shared.environment import SettingsError
from shared.storage.clients import find_row
from shared.storage.columns import UNREADABLE, unreadable, value
from shared.storage.names import OWNER_PARTITION, OWNER_ROW, SANDBOX_TABLE
from shared.tenants import TenantId

_SETTINGS: Final = ("PARTNER_TENANT_ID", "AzureWebJobsStorage")
_REMEDY: Final = (
    "Give each sandbox a storage account and an app of its own. If nothing else uses this account, "
    f"remove the row {OWNER_PARTITION}/{OWNER_ROW} from its table {SANDBOX_TABLE}"
)


class ForeignStorage(SettingsError):
    """The storage account belongs to the sandbox of another partner, or nobody can tell to whom."""

    def __init__(self, finding: str) -> None:
        super().__init__(f"{finding}. {_REMEDY}", _SETTINGS)


class Owner:
    """The partner whose storage account this is."""

    def __init__(self, table: TableClient, partner: TenantId) -> None:
        self._table = table
        self._partner = partner

    def claim(self) -> None:
        """Note that the account is this partner's, unless another was first.

        Raises ForeignStorage or AzureError.
        """
        if not self._known():
            entity = {
                "PartitionKey": OWNER_PARTITION,
                "RowKey": OWNER_ROW,
                "partner": self._partner,
            }
            try:
                self._table.create_entity(entity)
            except ResourceExistsError:
                # A table in trouble responds 409 too.
                if not self._known():
                    raise

    def check(self) -> None:
        """Raise ForeignStorage if the account is another partner's; nobody's is accepted."""
        self._known()

    def _known(self) -> bool:
        row = find_row(self._table, OWNER_PARTITION, OWNER_ROW)
        if row is None:
            return False
        try:
            owner = value(row, "partner", str)
        except UNREADABLE as error:
            what = "The row that names the owner of the storage account"
            raise ForeignStorage(unreadable(row, what, error)) from error
        if owner != self._partner:
            message = (
                f"The storage account holds the deletions of partner {owner}, and "
                f"PARTNER_TENANT_ID is {self._partner}"
            )
            raise ForeignStorage(message)
        return True
