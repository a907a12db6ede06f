"""One fault of storage, anywhere on the way of bad input, never starts a deletion."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import count
from typing import Any, Final

import pytest
from azure.core.exceptions import (
    AzureError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.storage.queue import QueueMessage as StoredMessage
from hypothesis import settings

from local.simulator import ProductKind, Simulator
from shared.deletion.claims import started
from shared.deletion.deletion import ended
from shared.deletion.messages import DeletionRequest, Parcel
from shared.deletion.submission import abort, submit
from shared.services import build
from shared.storage import clients
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
    POISON_SUFFIX,
    QUEUES,
    REJECTED_ROW_PREFIX,
    TABLES,
)
from shared.storage.outages import is_outage
from shared.storage.records import State
from shared.storage.retention import KEPT_SHORT
from shared.tenants import TenantId
from tests.bench import MAX_DEQUEUE_COUNT, Bench, failing_orders

TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
SECRET = "hunter2"
MANY_CALLS = 90
NO_HEADERS: Final[Mapping[str, str]] = {}


def in_parcels(text: str | bytes, parcels: int) -> str:
    """Put a message in so many parcels, each inside the next."""
    for _ in range(parcels):
        text = Parcel(text if isinstance(text, bytes) else text.encode(), None).sealed()
    return str(text)


FAILING_DRY_RUN = "dry run that fails every time"
BAD_DROPS = {
    "dryRun as text": json.dumps({"tenantId": TENANT, "dryRun": "true"}),
    "dryRun as text in an array": json.dumps([{"tenantId": TENANT, "dryRun": "true"}]),
    "unknown member": json.dumps({"tenantId": TENANT, "dryrun": True}),
    "one of several lines": f"{TENANT}\ncontoso",
    "one of several objects": json.dumps([{"tenantId": TENANT}, {"tenantId": "contoso"}]),
    "secret in a member": json.dumps({"tenantId": TENANT, "password": SECRET}),
    "secret in a line": f"{TENANT}\nuser=ann;{'x' * 60};password={SECRET}",
    "dry run": json.dumps({"tenantId": TENANT, "dryRun": True}),
    FAILING_DRY_RUN: json.dumps({"tenantId": TENANT, "dryRun": True, "requestedBy": "ann"}),
    "impossible time": json.dumps(
        {"putBack": TENANT, "firstInsertedAt": "9999-12-31T23:59:59-14:00"}
    ),
    "parcel in a parcel": in_parcels(TENANT, 2),
    "parcel in two parcels": in_parcels(TENANT, 3),
    "encoded parcel in a parcel": in_parcels(base64.b64encode(in_parcels(TENANT, 1).encode()), 1),
    "trip that is none": json.dumps(
        {"putBack": TENANT, "firstInsertedAt": "", "trip": {"reason": "odd"}}
    ),
    "too large for a parcel": '"' * 40_000,
    "no tenant": "contoso",
}
STEP = json.dumps({"version": 1, "tenantId": TENANT, "generation": 1, "correlationId": "c"})
BAD_STEPS = {
    "tenant ID alone": TENANT,
    "no record": STEP,
    "parcel in a parcel": in_parcels(STEP, 2),
}
INPUTS = {
    **{name: (CUSTOMERS_TO_DELETE, text) for name, text in BAD_DROPS.items()},
    **{
        f"{name} on {queue}": (queue, text)
        for queue in (ORDERS_TO_CHECK, CUSTOMERS_READY)
        for name, text in BAD_STEPS.items()
    },
}


class Death(BaseException):
    """The process dies."""


class Wrong(Enum):
    """What goes wrong with a storage call, and whether it was carried out before."""

    REQUEST_LOST = (ServiceRequestError("not sent"), False)
    CONNECT_TIMEOUT = (ServiceRequestTimeoutError("no connection in time"), False)
    RESPONSE_LOST = (ServiceResponseError("the response was lost"), True)
    READ_TIMEOUT = (ServiceResponseTimeoutError("no response in time"), True)
    ERROR_500 = (500, False)
    ERROR_500_AFTER_EFFECT = (500, True)
    ERROR_503 = (503, False)
    ERROR_503_AFTER_EFFECT = (503, True)
    NOT_THERE = ("NotFound", False)
    NOT_THERE_BY_A_GATEWAY = (404, False)
    DEATH_BEFORE = (Death(), False)
    DEATH_AFTER = (Death(), True)


# `make test-all` tries each fault at each call, other runs some of them in turn.
FAULTS_AT_A_CALL: Final = len(Wrong) if settings().max_examples > 100 else 1


def faults_at(number: int) -> Iterator[Wrong]:
    """Return the faults to try at a call; calls in a row get different ones."""
    kinds = list(Wrong)
    for turn in range(FAULTS_AT_A_CALL):
        yield kinds[(number * FAULTS_AT_A_CALL + turn) % len(kinds)]


class OneFault(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Spoils the call with this number, counted from 0."""

    def __init__(self, spoilt: int, wrong: Wrong) -> None:
        super().__init__()
        self.numbers = count()
        self.spoilt = spoilt
        self.result, self.carried_out = wrong.value
        self.reached = False

    def send(self, request: HttpRequest, **options: Any) -> Any:
        if next(self.numbers) != self.spoilt:
            return super().send(request, **options)
        self.reached = True
        if isinstance(self.result, BaseException):
            if self.carried_out:
                super().send(request, **options)
            raise self.result
        if not self.carried_out:
            # Without its headers it is not authorized, and so not carried out.
            request = HttpRequest("GET", request.url)
        response = super().send(request, **options)
        if isinstance(self.result, int):
            return failed(response, self.result)
        kind = "Queue" if "/messages" in request.url else "Table"
        return failed(response, 404, {"x-ms-error-code": f"{kind}{self.result}"})


def failed(response: Any, status: int, headers: Mapping[str, str] = NO_HEADERS) -> Any:
    """Turn a response into one of a failing gateway, or of storage if it has its headers."""
    # Nobody reads what the response really holds, so its connection is given back here.
    response.internal_response.close()
    response.status_code = response.internal_response.status_code = status
    response.headers.clear()
    response.headers.update(headers)
    response.content_type = ""
    response.internal_response._content = b""
    return response


@pytest.fixture
def _customer(simulator: Simulator) -> None:
    """Give a customer that would be deleted if anything asked for it."""
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=TENANT)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)


def spoil(bench: Bench, patch: pytest.MonkeyPatch, number: int, wrong: Wrong) -> OneFault:
    """Give the app's own storage clients a transport that spoils one call, and no retries."""
    transport = OneFault(number, wrong)
    for options in (clients._SHORT_RETRIES, clients._SHORT_QUEUE_RETRIES):
        patch.setitem(options, "transport", transport)
        patch.setitem(options, "retry_total", 0)
    built = build(bench.services.settings)
    bench.put(replace(built, connection=bench.services.connection))
    return transport


def run(bench: Bench, transport: OneFault) -> None:
    """Deliver everything, with the redeliveries after a failure, and redrive long after."""
    while deliver_all(bench):
        assert_nothing_runs(bench)
    now = bench.services.now() + KEPT_SHORT / 2
    bench.put(replace(bench.services, now=lambda: now))
    try:
        bench.redrive()
    except (AzureError, Death):
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
        except (Exception, Death):  # noqa: BLE001 - the host survives any error
            come_back(bench, queue, message)
    return len(taken)


def come_back(bench: Bench, queue: str, message: StoredMessage) -> None:
    """Make a message visible again, or move it after its last try, as the host does."""
    client = bench.queues.get_queue_client(queue)
    if queue in QUEUES and (message.dequeue_count or 0) >= MAX_DEQUEUE_COUNT:
        bench.drop(message.content, queue + POISON_SUFFIX)
        client.delete_message(message)
    else:
        client.update_message(message, visibility_timeout=0)


def assert_nothing_runs(bench: Bench) -> None:
    assert not bench.writes()
    rows = bench.tables.get_table_client("deletions").list_entities()
    assert {row["state"] for row in rows} <= {State.REFUSED, State.ABORTED}


def assert_no_secret(bench: Bench) -> None:
    """Only the beginning of the body is kept, as it was dropped."""
    for table in TABLES:
        for row in bench.tables.get_table_client(table).list_entities():
            kept = {"body"} if row["RowKey"].startswith(REJECTED_ROW_PREFIX) else set()
            assert SECRET not in str({name: row[name] for name in row.keys() - kept})


def abort_earlier(bench: Bench) -> None:
    """Leave a deletion of the customer that a person has aborted."""
    now, deadline = bench.services.now(), bench.services.settings.checks.deadline
    record = started(DeletionRequest(TENANT), None, now=now, deadline=deadline)
    bench.services.records.insert(ended(record, State.ABORTED, "by ann", "", now))


@pytest.mark.slow
@pytest.mark.usefixtures("_customer")
@pytest.mark.parametrize(
    ("given", "before"),
    [
        *((given, "unknown") for given in INPUTS),
        ("dryRun as text", "aborted"),
        ("one of several lines", "aborted"),
        ("secret in a member", "aborted"),
        ("impossible time", "aborted"),
    ],
)
def test_input_that_may_not_run_never_leads_to_a_live_record(
    bench: Bench,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    before: str,
) -> None:
    queue, text = INPUTS[given]
    if given == FAILING_DRY_RUN:
        simulator.add_fault(failing_orders())
    number, reached = 0, True
    while reached:
        for wrong in faults_at(number):
            clear(bench)
            if before == "aborted":
                abort_earlier(bench)
            bench.drop(text, queue)
            with monkeypatch.context() as patch:
                transport = spoil(bench, patch, number, wrong)
                run(bench, transport)
            bench.use()
            reached = transport.reached
            assert_no_secret(bench)
        number += 1
    assert 3 < number < MANY_CALLS


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [Wrong.NOT_THERE, Wrong.NOT_THERE_BY_A_GATEWAY])
def test_a_deletion_survives_a_table_or_queue_that_is_not_there_for_one_call(
    bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    number, reached = 0, True
    while reached:
        clear(bench)
        customer = simulator.sandbox.add_customer(f"c{number}.onmicrosoft.com")
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=5)
        bench.drop(customer.tenant_id)
        with monkeypatch.context() as patch:
            transport = spoil(bench, patch, number, wrong)
            while deliver_all(bench):
                simulator.advance(10)
        bench.use()
        reached = transport.reached
        assert customer.deleted, f"storage call {number}"
        number += 1
    assert 10 < number < MANY_CALLS


@pytest.mark.usefixtures("_customer")
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("wrong", [Wrong.NOT_THERE, Wrong.NOT_THERE_BY_A_GATEWAY])
def test_an_abort_without_the_table_is_no_abort_of_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, wrong: Wrong
) -> None:
    submit(bench.services, DeletionRequest(TENANT))
    with monkeypatch.context() as patch:
        spoil(bench, patch, number, wrong)
        with pytest.raises(AzureError) as error:
            abort(bench.services, TENANT, "ann")

    assert is_outage(error.value)
    assert abort(bench.services, TENANT, "ann").state is State.ABORTED


def clear(bench: Bench) -> None:
    """Start over as on an unused storage account."""
    for table in TABLES:
        client = bench.tables.get_table_client(table)
        for row in client.list_entities():
            client.delete_entity(row)
    for queue in (*QUEUES, *POISON_QUEUES):
        bench.queues.get_queue_client(queue).clear_messages()


def test_a_live_record_would_be_noticed(bench: Bench, simulator: Simulator) -> None:
    simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=TENANT)
    bench.drop(TENANT)
    deliver_all(bench)

    with pytest.raises(AssertionError):
        assert_nothing_runs(bench)


def test_a_secret_in_a_reason_would_be_noticed(bench: Bench) -> None:
    bench.drop(f"{TENANT}\n{SECRET}")
    deliver_all(bench)
    deliver_all(bench)

    with pytest.raises(AssertionError):
        assert_no_secret(bench)
