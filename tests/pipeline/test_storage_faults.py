"""One failed storage call, anywhere on the way of a bad drop, never starts a deletion."""

import json
from dataclasses import replace
from enum import StrEnum
from itertools import count
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.storage.queue import QueueMessage as StoredMessage

from local.simulator import ProductKind, Simulator
from shared.services import build
from shared.storage import clients
from shared.storage.names import POISON_QUEUES, QUEUES
from shared.storage.records import State
from shared.storage.retention import KEPT_SHORT
from shared.tenants import TenantId
from tests.bench import Bench

TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
MANY_CALLS = 60
BAD_DROPS = {
    "dryRun as text": json.dumps({"tenantId": TENANT, "dryRun": "true"}),
    "unknown member": json.dumps({"tenantId": TENANT, "dryrun": True}),
    "one of several": f"{TENANT}\ncontoso",
    "dry run": json.dumps({"tenantId": TENANT, "dryRun": True}),
    "no tenant": "contoso",
}


class Loss(StrEnum):
    """What becomes of a storage call."""

    NOT_SENT = "not sent"
    NO_RESPONSE = "carried out, response lost"
    PROCESS_DIES = "carried out, then the process dies"


class Death(BaseException):
    """The process dies."""


class LosingOneCall(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Loses the call with this number, counted from 0."""

    def __init__(self, lost: int, how: Loss) -> None:
        super().__init__()
        self.numbers = count()
        self.lost = lost
        self.how = how
        self.reached = False

    def send(self, request: HttpRequest, **options: Any) -> Any:
        if next(self.numbers) != self.lost:
            return super().send(request, **options)
        self.reached = True
        if self.how is Loss.NOT_SENT:
            raise ServiceRequestError("not sent")
        super().send(request, **options)
        if self.how is Loss.NO_RESPONSE:
            raise ServiceResponseError("the response was lost")
        raise Death


@pytest.fixture
def _customer(simulator: Simulator) -> None:
    """Give a customer that would be deleted if anything asked for it."""
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=TENANT)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)


def lose(bench: Bench, patch: pytest.MonkeyPatch, number: int, how: Loss) -> LosingOneCall:
    """Give the app's own storage clients a transport that loses one call, and no retries."""
    transport = LosingOneCall(number, how)
    for options in (clients._SHORT_RETRIES, clients._SHORT_QUEUE_RETRIES):
        patch.setitem(options, "transport", transport)
        patch.setitem(options, "retry_total", 0)
    built = build(bench.services.settings)
    bench.put(replace(built, connection=bench.services.connection))
    return transport


def run(bench: Bench, transport: LosingOneCall) -> None:
    """Deliver everything, with the redeliveries after a failure, and redrive long after."""
    while deliver_all(bench):
        assert_nothing_runs(bench)
    now = bench.services.now() + KEPT_SHORT / 2
    bench.put(replace(bench.services, now=lambda: now))
    try:
        bench.redrive()
    except (ServiceRequestError, ServiceResponseError, Death):
        assert transport.reached
    deliver_all(bench)
    assert_nothing_runs(bench)


def deliver_all(bench: Bench) -> int:
    """Deliver what is visible; what fails comes back. Return how many messages there were."""
    taken: list[tuple[str, StoredMessage]] = []
    for queue in (*POISON_QUEUES, *QUEUES):
        taken += [(queue, each) for each in iter(lambda q=queue: bench.take(q), None)]  # type: ignore[misc]
    for queue, message in taken:
        try:
            bench.deliver(queue, message)
        except (ServiceRequestError, ServiceResponseError, Death):
            client = bench.queues.get_queue_client(queue)
            client.update_message(message, visibility_timeout=0)
    return len(taken)


def assert_nothing_runs(bench: Bench) -> None:
    assert not bench.writes()
    rows = bench.tables.get_table_client("deletions").list_entities()
    assert {row["state"] for row in rows} <= {State.REFUSED}


@pytest.mark.slow
@pytest.mark.usefixtures("_customer")
@pytest.mark.parametrize("how", list(Loss))
@pytest.mark.parametrize("text", BAD_DROPS.values(), ids=BAD_DROPS)
def test_a_drop_that_may_not_run_never_leads_to_a_live_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, text: str, how: Loss
) -> None:
    for number in range(MANY_CALLS):
        clear(bench)
        bench.drop(text)
        with monkeypatch.context() as patch:
            transport = lose(bench, patch, number, how)
            run(bench, transport)
        bench.use()
        if not transport.reached:
            break
    assert 3 < number < MANY_CALLS - 1


def clear(bench: Bench) -> None:
    """Start over as on an unused storage account."""
    for record in bench.services.records.all():
        bench.remove_record(record.tenant)
    for row in bench.sandbox.list_entities():
        bench.sandbox.delete_entity(row)
    for queue in (*QUEUES, *POISON_QUEUES):
        bench.queues.get_queue_client(queue).clear_messages()


def test_a_live_record_would_be_noticed(bench: Bench, simulator: Simulator) -> None:
    simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=TENANT)
    bench.drop(TENANT)
    deliver_all(bench)

    with pytest.raises(AssertionError):
        assert_nothing_runs(bench)
