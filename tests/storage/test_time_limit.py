"""Storage calls of a step share its deadline."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport

from local.simulator import ProductKind, Simulator
from shared.partner_center.deadline import Deadline, limited, running_deadline
from shared.services import build
from shared.storage import clients
from shared.storage.names import CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.outages import is_outage
from shared.storage.records import Records, State
from shared.tenants import TenantId
from tests.bench import Bench
from tests.trickling import BEGUN, TricklingServer

TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
A_MOMENT = 0.2
KEY = "a2V5"


class HangingTable:
    """Accepts connections and never responds."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connection_string(self) -> str:
        port = self._listener.getsockname()[1]
        return (
            f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={KEY};"
            f"TableEndpoint=http://127.0.0.1:{port}/a;QueueEndpoint=http://127.0.0.1:{port}/a;"
        )

    def close(self) -> None:
        self._listener.close()
        for each in self.connections:
            each.close()

    def _accept(self) -> None:
        try:
            while True:
                self.connections.append(self._listener.accept()[0])
        except OSError:
            return


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingTable]:
    monkeypatch.setattr(clients, "SHORTEST_TRY_SECONDS", A_MOMENT)
    table = HangingTable()
    yield table
    table.close()


def records_on(bench: Bench, table: HangingTable) -> Records:
    settings = bench.services.settings
    storage = replace(settings.storage, connection_string=table.connection_string)
    return build(replace(settings, storage=storage)).records


def test_after_the_deadline_a_hanging_table_is_tried_once(
    bench: Bench, hanging: HangingTable
) -> None:
    records = records_on(bench, hanging)

    with limited(Deadline.after(0)), pytest.raises(AzureError) as caught:
        records.get(TENANT)

    assert is_outage(caught.value)
    assert len(hanging.connections) == 1


def test_a_hanging_table_is_not_tried_beyond_the_deadline(
    bench: Bench, hanging: HangingTable
) -> None:
    """The first try takes all the time there is."""
    records = records_on(bench, hanging)

    with limited(Deadline.after(3 * A_MOMENT)), pytest.raises(AzureError):
        records.etag(TENANT)

    assert len(hanging.connections) == 1


def test_a_table_whose_response_trickles_is_tried_no_longer_than_the_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time for the read timeout of the library."""
    monkeypatch.setattr(clients, "SHORTEST_TRY_SECONDS", A_MOMENT)
    settings = bench.services.settings
    with TricklingServer(BEGUN) as server:
        services = ";".join(
            f"{each}Endpoint=https://{server.address}/a" for each in ("Table", "Queue")
        )
        string = f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};{services}"
        storage = replace(settings.storage, connection_string=string)
        records = build(replace(settings, storage=storage)).records

        with limited(Deadline.after(0)), pytest.raises(AzureError) as caught:
            records.get(TENANT)

    assert is_outage(caught.value)
    assert server.requests == 1


def test_each_storage_call_of_a_step_gets_no_more_than_what_is_left(
    bench: Bench, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    original = RequestsTransport.send
    timeouts: list[float] = []

    def send(transport: RequestsTransport, request: Any, **options: Any) -> Any:
        if isinstance(transport, clients.LimitedTransport):
            timeouts.append(options["read_timeout"])
        return original(transport, request, **options)

    monkeypatch.setattr(RequestsTransport, "send", send)
    bench.put(replace(bench.services, deadline=lambda: Deadline(7.0, lambda: 0.0)))
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None

    bench.deliver(CUSTOMERS_TO_DELETE, message)

    # The claim, the gate, the next message and the history are among them.
    assert len(timeouts) >= 6
    assert set(timeouts) == {7.0}
    assert running_deadline() is None


def test_a_step_whose_record_hangs_at_the_gate_is_put_back(
    bench: Bench, simulator: Simulator, hanging: HangingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step's time ends while the customer is read."""
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    etag = records_on(bench, hanging).etag

    def after_the_deadline(tenant: TenantId) -> str:
        with limited(Deadline.after(0)):
            return etag(tenant)

    monkeypatch.setattr(bench.services.records, "etag", after_the_deadline)
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    record = bench.record(customer.tenant_id)
    assert len(hanging.connections) == 1
    assert not bench.writes()
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert record.last_error.startswith("storage failed")
    assert record.failures == 0


def test_a_deletion_whose_gate_is_slow_is_parked_and_not_stuck(
    bench: Bench,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is looked at again and again, and is no nearer to its deadline."""
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    with monkeypatch.context() as slow:
        slow.setattr("shared.deletion.deletion._FRESH_SECONDS", -1.0)
        bench.drop(customer.tenant_id)
        bench.pump(passes=2)
        bench.move_clock_to(bench.record(customer.tenant_id).deadline + timedelta(hours=1))
        bench.pump(passes=4)
        waiting = bench.record(customer.tenant_id)

    assert waiting.live
    assert waiting.parked_since is not None
    assert not bench.writes()
    assert "work_held_up cause=storage" in caplog.text

    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED
