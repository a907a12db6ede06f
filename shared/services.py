"""What a step works with, built once per process on first use."""

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.partner_center.client import PartnerCenter, Recorder
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.rate_limit import RateLimiter
from shared.safety.rules import Safety
from shared.safety.switch import Switch
from shared.settings import PartnerCenterSettings, Settings, settings
from shared.storage.clients import queue_service, table_service
from shared.storage.history import History
from shared.storage.names import DELETIONS_TABLE, HISTORY_TABLE, SANDBOX_TABLE
from shared.storage.queues import Queues
from shared.storage.records import Records
from shared.storage.rejected import RejectedMessages
from shared.storage.reports import Reports
from shared.storage.retention import Retention
from shared.storage.sightings import Sightings
from shared.storage.switch import SwitchRow


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """The services that a step uses, with its clock and its source of randomness.

    Only functions that need most of them, such as a step, take the whole object.
    """

    settings: Settings
    connection: Connection
    queues: Queues
    records: Records
    rejected: RejectedMessages
    sightings: Sightings
    reports: Reports
    history: History
    retention: Retention
    switch: Switch
    safety: Safety
    now: Callable[[], datetime] = _now
    jitter: Callable[[], float] = random.random

    @contextmanager
    def conversation(self, client: PartnerCenter | None = None) -> Iterator[PartnerCenter]:
        """Give a client of Partner Center; every use of one belongs inside this context.

        If Partner Center says that the account is not a sandbox, the switch is tripped and Refused
        is raised instead of NotASandbox, so that no caller can forget to.
        """
        with self.safety.tripping_switch():
            yield client or self.client(str(uuid.uuid4()))

    def client(self, correlation_id: str, recorder: Recorder | None = None) -> PartnerCenter:
        """Return a client for a conversation; its calls carry the correlation ID.

        Whoever writes gives a recorder for the history.
        """
        if recorder is None:
            return PartnerCenter(self.connection, correlation_id)
        return PartnerCenter(self.connection, correlation_id, recorder)


def build(read: Settings) -> Services:
    """Build the services that the settings describe; makes no call yet."""
    tables = table_service(read.storage)
    partner = read.partner_center.tenant_id
    sandbox = tables.get_table_client(SANDBOX_TABLE)
    records = Records(tables.get_table_client(DELETIONS_TABLE), partner)
    history = History(tables.get_table_client(HISTORY_TABLE), partner, read.history_kept)
    switch = Switch(SwitchRow(sandbox, partner), _now, history.switch_moved)
    return Services(
        settings=read,
        connection=connect(read.partner_center),
        queues=Queues(queue_service(read.storage)),
        records=records,
        rejected=RejectedMessages(sandbox, partner),
        sightings=Sightings(sandbox, partner),
        reports=Reports(sandbox, partner),
        history=history,
        retention=Retention(records, sandbox, history, partner),
        switch=switch,
        safety=Safety(read, switch, CustomerList()),
    )


def connect(read: PartnerCenterSettings) -> Connection:
    """Return the connection to Partner Center that the settings describe."""
    rate_limiter = RateLimiter(read.rate_limit_per_minute)
    return Connection(read.endpoints.base_url, TokenSource(read), rate_limiter)


_lock = threading.Lock()
_built: list[Services] = []


def current_services() -> Services:
    """Return the services of this process; raises SettingsError on first use."""
    with _lock:
        if not _built:
            _built.append(build(settings()))
        return _built[0]
