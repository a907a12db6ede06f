"""What a step works with, built once per process on first use."""

import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from shared.environment import SettingsError
from shared.partner_center.client import PartnerCenter, Recorder, reads_only, unrecorded
from shared.partner_center.connection import Connection, Gate
from shared.partner_center.credentials import TokenSource
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.deadline import Deadline, limited, running_deadline
from shared.partner_center.rate_limit import CallBudget, Rank
from shared.safety.rules import Safety
from shared.safety.switch import Switch
from shared.settings import (
    BasicSettings,
    PartnerCenterSettings,
    Settings,
    read_basic_settings,
    read_partner,
    settings,
)
from shared.storage.budget import SharedBudget
from shared.storage.budget_row import BudgetRow
from shared.storage.clients import queue_service, table_service
from shared.storage.history import History
from shared.storage.names import DELETIONS_TABLE, HISTORY_TABLE, SANDBOX_TABLE
from shared.storage.owner import ForeignStorage, Owner
from shared.storage.plans import Plans
from shared.storage.queues import Queues
from shared.storage.records import Records
from shared.storage.rejected import RejectedMessages
from shared.storage.reports import Reports
from shared.storage.retention import Retention
from shared.storage.sightings import Sightings
from shared.storage.sweeps import Sweeps
from shared.storage.switch import SwitchRow
from shared.tenants import TenantId


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageServices:
    """The services that work on queues and tables, with a clock and a source of randomness.

    They need the settings of the storage account and PARTNER_TENANT_ID, and nothing else.
    """

    settings: BasicSettings
    queues: Queues
    records: Records
    rejected: RejectedMessages
    plans: Plans
    sightings: Sightings
    reports: Reports
    sweeps: Sweeps
    history: History
    retention: Retention
    owner: Owner
    switch: Switch
    budget_row: BudgetRow
    now: Callable[[], datetime] = _now
    jitter: Callable[[], float] = random.random
    deadline: Callable[[], Deadline] = Deadline.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(StorageServices):
    """The services that a step uses.

    Only functions that need most of them, such as a step, take the whole object.
    """

    settings: Settings
    connection: Connection
    budget: CallBudget
    safety: Safety

    @contextmanager
    def conversation(self, client: PartnerCenter | None = None) -> Iterator[PartnerCenter]:
        """Give a client of Partner Center; every use of one belongs inside this context.

        If Partner Center says that the account is not a sandbox, the switch is tripped and Refused
        is raised instead of NotASandbox. Give `client` to use one that was made before.
        """
        with self.safety.tripping_switch():
            yield client or self.client(str(uuid.uuid4()))

    def client(
        self,
        correlation_id: str,
        gate: Gate = reads_only,
        recorder: Recorder = unrecorded,
        rank: Rank = Rank.PERSON,
    ) -> PartnerCenter:
        """Return a client for one conversation, with the step's deadline or one that begins now.

        Whoever writes gives a gate, and a recorder for the history; whoever is not a person, its
        rank in the budget of calls.
        """
        deadline = running_deadline() or self.deadline()
        return PartnerCenter(self.connection, correlation_id, deadline, gate, recorder, rank=rank)


def build(read: Settings) -> Services:
    """Build the services that the settings describe; makes no call yet."""
    stored = build_storage(read, read.partner_center.tenant_id)
    limit = read.partner_center.rate_limit_per_minute
    budget = SharedBudget(stored.budget_row, limit)
    return Services(
        **{each.name: getattr(stored, each.name) for each in fields(stored)},
        connection=connect(read.partner_center, budget),
        budget=budget,
        safety=Safety(read, stored.switch, CustomerList()),
    )


def build_storage(read: BasicSettings, partner: TenantId) -> StorageServices:
    """Build the services that work on the partner account's rows; makes no call yet."""
    tables = table_service(read.storage)
    sandbox = tables.get_table_client(SANDBOX_TABLE)
    records = Records(tables.get_table_client(DELETIONS_TABLE), partner)
    history = History(tables.get_table_client(HISTORY_TABLE), partner, read.history_kept)
    switch = Switch(SwitchRow(sandbox, partner), _now, history.switch_moved)
    return StorageServices(
        settings=read,
        queues=Queues(queue_service(read.storage)),
        records=records,
        rejected=RejectedMessages(sandbox, partner),
        plans=Plans(sandbox, partner),
        sightings=Sightings(sandbox, partner),
        reports=Reports(sandbox, partner),
        sweeps=Sweeps(sandbox, partner),
        history=history,
        retention=Retention(records, sandbox, history, partner),
        owner=Owner(sandbox, partner),
        switch=switch,
        budget_row=BudgetRow(sandbox, partner),
    )


def connect(read: PartnerCenterSettings, budget: CallBudget) -> Connection:
    """Return the connection to Partner Center that the settings describe."""
    return Connection(read.endpoints.base_url, TokenSource(read), budget)


_lock = threading.Lock()
_built: list[Services] = []
_owned: list[bool] = []


def built_services() -> Services:
    """Return the services of this process before anybody knows whose storage account it is.

    For what needs no storage, and for what must work at once. Raises SettingsError on first use.
    """
    with _lock:
        if not _built:
            _built.append(build(settings()))
        return _built[0]


def current_services() -> Services:
    """Return the services of this process.

    Raises SettingsError on first use, ForeignStorage if another partner owns the storage account,
    and AzureError as long as nobody can tell.
    """
    services = built_services()
    if not _owned:
        with limited(services.deadline()):
            _require_owned(services)
        _owned.append(True)
    return services


def _require_owned(services: Services) -> None:
    """Find or note that the storage account is the partner's.

    A partner that nobody has confirmed may be a slip, which must not become the owner.
    """
    read = services.settings
    if read.sandbox_tenant_confirmation == read.partner_center.tenant_id:
        services.owner.claim()
    else:
        services.owner.check()


def current_storage() -> StorageServices:
    """Return the services of this process, or those for queues and tables if settings are wrong.

    Raises the SettingsError about all of them if the storage account or PARTNER_TENANT_ID is one,
    ForeignStorage, or AzureError.
    """
    try:
        return current_services()
    except ForeignStorage:
        raise
    except SettingsError as error:
        with _instead_of(error):
            services = build_storage(read_basic_settings(os.environ), read_partner(os.environ))
    with limited(services.deadline()):
        services.owner.check()
    return services


def current_queues() -> Queues:
    """Return the queues; raises SettingsError if the settings of the storage account are wrong."""
    try:
        return built_services().queues
    except SettingsError as error:
        with _instead_of(error):
            return Queues(queue_service(read_basic_settings(os.environ).storage))


@contextmanager
def _instead_of(everything: SettingsError) -> Iterator[None]:
    """Raise the error that names every setting instead of one about some of them."""
    try:
        yield
    except SettingsError as some:
        raise everything from some
