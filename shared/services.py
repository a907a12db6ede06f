"""Everything a step works with, built once for the process at first use."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from azure.data.tables import TableClient

from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.rate_limit import RateLimiter
from shared.safety.switch import Switch
from shared.settings import PartnerCenterSettings, Settings, settings
from shared.storage.clients import queue_service, table_service
from shared.storage.names import DELETIONS_TABLE, SANDBOX_TABLE
from shared.storage.queues import Queues
from shared.storage.records import Records


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """The outside world of the steps, and the clock and the chance that they use."""

    settings: Settings
    connection: Connection
    queues: Queues
    records: Records
    switch: Switch
    sandbox: TableClient
    customer_list: CustomerList = field(default_factory=CustomerList)
    now: Callable[[], datetime] = _now
    jitter: Callable[[], float] = random.random

    def client(self, correlation_id: str) -> PartnerCenter:
        """Return Partner Center for one deletion."""
        return PartnerCenter(self.connection, correlation_id)


def build(read: Settings) -> Services:
    """Build the services that the settings describe; makes no call yet."""
    tables = table_service(read.storage)
    partner = read.partner_center.tenant_id
    sandbox = tables.get_table_client(SANDBOX_TABLE)
    return Services(
        settings=read,
        connection=connect(read.partner_center),
        queues=Queues(queue_service(read.storage)),
        records=Records(tables.get_table_client(DELETIONS_TABLE), partner),
        switch=Switch(sandbox, partner),
        sandbox=sandbox,
    )


def connect(read: PartnerCenterSettings) -> Connection:
    """Return the connection to Partner Center that the settings describe."""
    return Connection(
        read.endpoints.base_url, TokenSource(read), RateLimiter(read.rate_limit_per_minute)
    )


_lock = threading.Lock()
_built: list[Services] = []


def current_services() -> Services:
    """Return the services of this process; raises SettingsError at the first use."""
    with _lock:
        if not _built:
            _built.append(build(settings()))
        return _built[0]
