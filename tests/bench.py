"""A workbench: the app's real handlers on a simulator and an emulator, without waiting."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from azure.data.tables import TableServiceClient
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest
from azure.storage.queue import QueueMessage as StoredMessage
from azure.storage.queue import QueueServiceClient

from functions import (
    cancel_orders,
    check_orders,
    delete_customer,
    record_poison,
    run_requested_sweep,
)
from functions.redrive import redrive
from local.provision import provision
from local.simulator import Call, Fault, Simulator
from shared import services as process
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.customer_list import CustomerList
from shared.safety.rules import Safety
from shared.safety.switch import Switch
from shared.services import Services, build
from shared.settings import Settings, read_settings
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    DELETIONS_TABLE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
    POISON_SUFFIX,
    QUEUES,
    REJECTED_ROW_PREFIX,
    SANDBOX_TABLE,
    SWEEPS_TO_RUN,
    SWITCH_ROW,
)
from shared.storage.records import DeletionRecord
from shared.storage.switch import SwitchRow
from shared.tenants import TenantId
from tests.local_budget import LocalBudget

MAX_DEQUEUE_COUNT = 5
LEASE_SECONDS = 300
# As many as Queue storage hands out in one call.
MOST_AT_ONCE = 32
DOUBLED = 0.4
UNHURRIED = 600_000
A_MOMENT = timedelta(microseconds=1)
LONGEST_PAUSE_SECONDS = 2

HANDLERS: Mapping[str, Callable[[QueueMessage], None]] = {
    CUSTOMERS_TO_DELETE: cancel_orders.cancel_orders,
    ORDERS_TO_CHECK: check_orders.check_orders,
    CUSTOMERS_READY: delete_customer.delete_customer,
    SWEEPS_TO_RUN: run_requested_sweep.run_requested_sweep,
    CUSTOMERS_TO_DELETE + POISON_SUFFIX: record_poison.record_poison_requests,
    ORDERS_TO_CHECK + POISON_SUFFIX: record_poison.record_poison_checks,
    CUSTOMERS_READY + POISON_SUFFIX: record_poison.record_poison_deletes,
    SWEEPS_TO_RUN + POISON_SUFFIX: record_poison.record_poison_sweeps,
}

BACKWARDS = (*POISON_QUEUES, *reversed(QUEUES))


class Bench:
    """Drops messages, delivers them to the handlers, and shows what came of them."""

    def __init__(self, simulator: Simulator, storage: str, **settings: str) -> None:
        provision(storage)
        self.simulator = simulator
        self.services: Services
        self.queues = QueueServiceClient.from_connection_string(storage)
        self.tables = TableServiceClient.from_connection_string(storage)
        self.sandbox = self.tables.get_table_client(SANDBOX_TABLE)
        self._environment = {**simulator.environment(), "AzureWebJobsStorage": storage}
        self.budget = LocalBudget(UNHURRIED)
        self.use(**settings)
        self.errors: list[Exception] = []

    def drop(self, text: str, queue: str = CUSTOMERS_TO_DELETE) -> None:
        """Put a message on a queue, as any tool would."""
        self.queues.get_queue_client(queue).send_message(text)

    def take(self, queue: str, lease_seconds: int = LEASE_SECONDS) -> StoredMessage | None:
        """Take the next visible message as the host does."""
        client = self.queues.get_queue_client(queue)
        return client.receive_message(visibility_timeout=lease_seconds)

    def deliver(self, queue: str, message: StoredMessage) -> None:
        """Pass a message to its function; an error is raised and leaves the message."""
        HANDLERS[queue](delivered(message))
        self.queues.get_queue_client(queue).delete_message(message)

    def redeliver(self, queue: str, message: StoredMessage) -> None:
        """Pass a message to its function again, as after a lost lease."""
        HANDLERS[queue](delivered(message))

    def forget(self, queue: str, message: StoredMessage) -> None:
        """Take a message off its queue."""
        self.queues.get_queue_client(queue).delete_message(message)

    def run(self, tenant: str) -> DeletionRecord:
        """Drop a tenant ID, run everything that follows, and return the record."""
        self.drop(tenant)
        self.pump()
        return self.record(tenant)

    def pump(self, passes: int = 60, advance_seconds: float = 30) -> int:
        """Deliver visible messages until there are none, with the host's retries and poison queues.

        A pass takes each deletion one step on; then the simulator's clock moves on. Returns how
        many messages were delivered.
        """
        count = 0
        for _ in range(passes):
            delivered_now = sum(self._empty(queue) for queue in BACKWARDS)
            if not delivered_now:
                break
            count += delivered_now
            self.simulator.advance(advance_seconds)
        return count

    def pump_wildly(self, chance: Random) -> None:
        """Deliver messages in any order, some of them twice, until none are left."""
        kept: list[tuple[str, StoredMessage]] = []
        for _ in range(400):
            queues = [*QUEUES, *POISON_QUEUES]
            kept += [(q, m) for q in queues for m in iter(lambda q=q: self.take(q), None)]  # type: ignore[misc]
            if not kept:
                return
            queue, message = kept.pop(chance.randrange(len(kept)))
            self.deliver(queue, message)
            if chance.random() < DOUBLED:
                self.redeliver(queue, message)
            self.simulator.advance(5)
        raise AssertionError(kept)

    def redrive(self) -> None:
        """Run the redrive timer."""
        redrive(TimerRequest(past_due=False))

    def switch_of_another_process(self) -> Switch:
        """Return the switch as another process sees it."""
        partner = self.services.settings.partner_center.tenant_id
        return Switch(SwitchRow(self.sandbox, partner), self.services.now)

    def record(self, tenant: str) -> DeletionRecord:
        """Return the record of a customer, which must exist."""
        record = self.services.records.get(TenantId(tenant))
        assert record is not None, f"no record of {tenant}"
        return record

    def ended_at(self, tenant: str) -> datetime:
        """Return when a deletion ended, by the clock of the storage account."""
        ended_at = self.record(tenant).ended_at
        assert ended_at is not None, f"the deletion of {tenant} has not ended"
        return ended_at

    def move_clock_to(self, timestamp: datetime) -> None:
        """Set the app's clock to this time."""
        self.put(replace(self.services, now=lambda: timestamp))

    def remove_record(self, tenant: str) -> None:
        """Remove a customer's record, as a person could."""
        partner = self.services.settings.partner_center.tenant_id
        self.tables.get_table_client(DELETIONS_TABLE).delete_entity(partner, tenant)

    def make_unreadable(self, tenant: str) -> None:
        """Give a customer's record a state of a later version."""
        table = self.tables.get_table_client(DELETIONS_TABLE)
        row = table.get_entity(self.services.settings.partner_center.tenant_id, tenant)
        table.update_entity({**row, "state": "paused"})

    def remove_switch(self) -> None:
        """Remove the switch's row, as if it had never been written."""
        partner = self.services.settings.partner_center.tenant_id
        self.sandbox.delete_entity(partner, SWITCH_ROW)

    def give_checks_no_patience(self) -> None:
        """Make every check count as one at the longest delay."""
        settings = self.services.settings
        checks = replace(settings.checks, max_delay=timedelta(0))
        self.put(self.with_settings(replace(settings, checks=checks)))

    def with_settings(self, settings: Settings) -> Services:
        """Return the services under other settings, with the customers not listed yet."""
        safety = Safety(settings, self.services.switch, CustomerList())
        return replace(self.services, settings=settings, safety=safety)

    def forget_customer_list(self) -> None:
        """Make the app list the customers again."""
        self.put(self.with_settings(self.services.settings))

    def use(self, **environment: str) -> None:
        """Give the handlers services with other settings on the same storage."""
        settings = read_settings({**self._environment, **environment})
        self.put(unhurried(settings, budget=self.budget))

    def put(self, services: Services) -> None:
        """Give the handlers these services."""
        self.services = services
        process._built[:] = [services]
        # The storage account is not asked again whose it is, before each first message.
        process._owned[:] = [True]

    def waiting(self, queue: str) -> int:
        """Return how many messages a queue holds, including invisible ones."""
        properties = self.queues.get_queue_client(queue).get_queue_properties()
        return properties.approximate_message_count or 0

    def poisoned(self) -> list[dict[str, Any]]:
        """Return what was recorded from the poison queues."""
        return [
            dict(row)
            for row in self.sandbox.list_entities()
            if row["RowKey"].startswith(REJECTED_ROW_PREFIX)
        ]

    def calls(self, method: str = "", part: str = "") -> list[Call]:
        """Return the calls to Partner Center with this method and this part in the path."""
        return [
            call
            for call in self.simulator.calls
            if call.path.startswith("/v1/") and method in {"", call.method} and part in call.path
        ]

    def writes(self) -> list[Call]:
        """Return the calls that change something."""
        return [call for call in self.calls() if call.is_write]

    def _empty(self, queue: str) -> int:
        messages = self._visible(queue)
        for message in messages:
            try:
                self.deliver(queue, message)
            except Exception as error:  # noqa: BLE001 - the host survives any error
                self.errors.append(error)
                self._put_back(queue, message)
        return len(messages)

    def _visible(self, queue: str) -> list[StoredMessage]:
        """Take every visible message, in as few calls as possible."""
        client = self.queues.get_queue_client(queue)
        found: list[StoredMessage] = []
        while len(found) % MOST_AT_ONCE == 0:
            pages = client.receive_messages(
                messages_per_page=MOST_AT_ONCE, visibility_timeout=LEASE_SECONDS
            ).by_page()
            page = list(next(pages, ()))
            if not page:
                break
            found += page
        return found

    def _put_back(self, queue: str, message: StoredMessage) -> None:
        client = self.queues.get_queue_client(queue)
        if queue.endswith(POISON_SUFFIX):
            return
        if (message.dequeue_count or 0) >= MAX_DEQUEUE_COUNT:
            self.drop(message.content, queue + POISON_SUFFIX)
            client.delete_message(message)
        else:
            client.update_message(message, visibility_timeout=0)


def failing_orders(times: int | None = None) -> Fault:
    """Return a fault that fails a try for good: its code has no meaning that passes."""
    body = {"code": 3000, "description": "Invalid items."}
    return Fault("GET", "*/orders", 400, body, times=times)


def unhurried(settings: Settings, **changes: Any) -> Services:
    """Build services that wait neither for checks nor for their own rate limit."""
    checks = replace(settings.checks, first_delay=timedelta(0), max_delay=A_MOMENT)
    settings = replace(settings, checks=checks)
    tokens = TokenSource(settings.partner_center, refused_pause=0)
    base_url = settings.partner_center.endpoints.base_url
    budget = changes.pop("budget", None) or LocalBudget(UNHURRIED)
    connection = Connection(base_url, tokens, budget, sleep=_nap)
    return replace(build(settings), connection=connection, budget=budget, **changes)


def delivered(message: StoredMessage) -> QueueMessage:
    """Return a stored message as the worker passes it to a function."""
    return QueueMessage(
        id=message.id,
        body=str(message.content).encode(),
        pop_receipt=message.pop_receipt,
        dequeue_count=message.dequeue_count,
        insertion_time=message.inserted_on,
        expiration_time=message.expires_on,
        time_next_visible=message.next_visible_on,
    )


def _nap(seconds: float) -> None:
    """Pass over the pause before a repeat; a longer one would hold a thread of the worker."""
    assert seconds <= LONGEST_PAUSE_SECONDS, f"A handler would sleep for {seconds} s"
