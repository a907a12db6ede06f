"""One storage account for one sandbox: the app of another partner touches nothing there."""

import json
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import TableClient

from local.simulator import Customer, ProductKind, Simulator
from shared import services as process
from shared.services import current_services, current_storage
from shared.settings import settings
from shared.storage.names import (
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    OWNER_PARTITION,
    OWNER_ROW,
    POISON_SUFFIX,
    SWEEPS_TO_RUN,
)
from shared.storage.owner import ForeignStorage, Owner
from shared.storage.queues import Queues
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import App

OTHER = TenantId("7c0f0c3e-54f9-4a3e-8a50-0a6c1c9f1b11")


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_polls=2)
    return customer


@pytest.fixture(scope="module")
def api() -> App:
    return App()


def start(bench: Bench, **environment: str) -> None:
    """Give the handlers services as a process has them that has just started."""
    bench.use(**environment)
    process._owned.clear()


def start_app_of(bench: Bench, partner: str) -> None:
    start(bench, PARTNER_TENANT_ID=partner, SANDBOX_TENANT_CONFIRMATION=partner)


def partner_of(bench: Bench) -> TenantId:
    return bench.services.settings.partner_center.tenant_id


def owner(bench: Bench) -> dict[str, Any]:
    return dict(bench.sandbox.get_entity(OWNER_PARTITION, OWNER_ROW))


def owned_by(bench: Bench, partner: str) -> None:
    bench.sandbox.create_entity(
        {"PartitionKey": OWNER_PARTITION, "RowKey": OWNER_ROW, "partner": partner}
    )


def test_the_first_app_becomes_the_owner(bench: Bench, customer: Customer) -> None:
    start(bench)

    assert bench.run(customer.tenant_id).state is State.DELETED
    assert owner(bench)["partner"] == partner_of(bench)


def test_an_account_that_was_used_before_goes_to_its_partner(
    bench: Bench, customer: Customer
) -> None:
    bench.run(customer.tenant_id)
    start(bench)

    current_services()

    assert owner(bench)["partner"] == partner_of(bench)


def test_the_owner_starts_again(bench: Bench) -> None:
    for _ in range(2):
        start(bench)
        current_services()

    assert owner(bench)["partner"] == partner_of(bench)


@pytest.mark.parametrize("queue", [CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK])
@pytest.mark.parametrize("poison", ["", POISON_SUFFIX])
def test_the_app_of_another_partner_leaves_a_message_to_the_owner(
    bench: Bench,
    customer: Customer,
    queue: str,
    poison: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(bench)
    mine = partner_of(bench)
    current_services()
    text = customer.tenant_id
    if queue == ORDERS_TO_CHECK:
        bench.drop(text)
        message = bench.take(CUSTOMERS_TO_DELETE)
        assert message is not None
        bench.deliver(CUSTOMERS_TO_DELETE, message)
        check = bench.take(queue)
        assert check is not None
        bench.forget(queue, check)
        text = check.content
    bench.drop(text, queue + poison)

    start_app_of(bench, OTHER)
    sent: list[tuple[str, str]] = []
    message = bench.take(queue + poison)
    assert message is not None
    with monkeypatch.context() as patch:
        patch.setattr(Queues, "send", lambda _, *arguments: sent.append(arguments[:2]))
        bench.deliver(queue + poison, message)

    [(name, put_back)] = sent
    assert name == queue + poison
    assert list(bench.services.records.all()) == []
    start_app_of(bench, mine)
    bench.drop(put_back, queue)
    bench.pump()
    assert customer.deleted


@pytest.mark.parametrize("poison", ["", POISON_SUFFIX])
def test_the_app_of_another_partner_leaves_a_sweep_to_the_owner(
    bench: Bench, api: App, poison: str
) -> None:
    start(bench)
    mine = partner_of(bench)
    address = api.post("/api/sweeps", {"mode": "report"}).headers["location"]
    message = bench.take(SWEEPS_TO_RUN)
    assert message is not None
    bench.forget(SWEEPS_TO_RUN, message)
    bench.drop(message.content, SWEEPS_TO_RUN + poison)
    again = bench.take(SWEEPS_TO_RUN + poison)
    assert again is not None

    start_app_of(bench, OTHER)
    bench.deliver(SWEEPS_TO_RUN + poison, again)

    assert bench.calls() == []
    assert bench.services.rejected.all() == []
    start_app_of(bench, mine)
    assert api.get(address).json["state"] == "requested"
    assert bench.waiting(SWEEPS_TO_RUN + poison) == 1


def test_the_app_of_another_partner_is_refused_with_a_sentence(bench: Bench, api: App) -> None:
    owned_by(bench, OTHER)
    start(bench)

    response = api.get("/api/deletions")

    assert (response.status, response.problem) == (503, "settings")
    assert f"holds the deletions of partner {OTHER}" in response.json["detail"]
    assert "an app of its own" in response.json["detail"]


def test_redrive_of_another_partner_sends_nothing(bench: Bench) -> None:
    owned_by(bench, OTHER)
    start(bench)

    with pytest.raises(ForeignStorage):
        bench.redrive()


def test_settings_that_are_wrong_do_not_hide_another_owner(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    owned_by(bench, OTHER)
    monkeypatch.setattr(process, "_built", [])
    monkeypatch.setattr(process, "_owned", [])
    monkeypatch.setenv("AzureWebJobsStorage", storage)
    monkeypatch.setenv("PARTNER_TENANT_ID", partner_of(bench))
    settings.cache_clear()

    with pytest.raises(ForeignStorage):
        current_storage()


def test_a_partner_that_nobody_confirmed_does_not_become_the_owner(bench: Bench) -> None:
    start(bench, SANDBOX_TENANT_CONFIRMATION=OTHER)

    current_services()

    with pytest.raises(HttpResponseError):
        owner(bench)


def test_of_two_apps_that_start_at_once_one_becomes_the_owner(bench: Bench) -> None:
    mine = partner_of(bench)
    late = Owner(RacedTable(bench.sandbox, OTHER), mine)  # type: ignore[arg-type]

    with pytest.raises(ForeignStorage, match=OTHER):
        late.claim()
    assert owner(bench)["partner"] == OTHER


def test_two_processes_of_one_app_start_at_once(bench: Bench) -> None:
    mine = partner_of(bench)

    Owner(RacedTable(bench.sandbox, mine), mine).claim()  # type: ignore[arg-type]

    assert owner(bench)["partner"] == mine


def test_a_table_in_trouble_makes_nobody_the_owner(bench: Bench) -> None:
    table = RacedTable(bench.sandbox, "")

    with pytest.raises(ResourceExistsError):
        Owner(table, partner_of(bench)).claim()  # type: ignore[arg-type]


class RacedTable:
    """A table in which another app is faster between a look and an insertion."""

    def __init__(self, table: TableClient, faster: str) -> None:
        self._table = table
        self._faster = faster

    def get_entity(self, *arguments: Any, **options: Any) -> Any:
        return self._table.get_entity(*arguments, **options)

    def create_entity(self, entity: dict[str, Any]) -> Any:
        if not self._faster:
            raise ResourceExistsError
        self._table.create_entity({**entity, "partner": self._faster})
        return self._table.create_entity(entity)


@pytest.mark.parametrize("row", [{}, {"partner": 1}, {"partner": ""}], ids=json.dumps)
def test_a_row_that_cannot_be_read_refuses_everybody(bench: Bench, row: dict[str, Any]) -> None:
    bench.sandbox.create_entity({"PartitionKey": OWNER_PARTITION, "RowKey": OWNER_ROW, **row})
    start(bench)

    with pytest.raises(ForeignStorage):
        current_services()


def test_the_switch_can_be_tripped_before_the_owner_is_known(bench: Bench, api: App) -> None:
    owned_by(bench, OTHER)
    start(bench)

    response = api.put("/api/switch", {"requestedBy": "ann", "reason": "Stop"})

    assert response.json["tripped"] is True


def test_steps_do_not_ask_again_whose_account_it_is(bench: Bench, customer: Customer) -> None:
    start(bench)
    bench.run(customer.tenant_id)
    bench.sandbox.delete_entity(OWNER_PARTITION, OWNER_ROW)
    bench.put(replace(bench.services))

    current_services()

    with pytest.raises(HttpResponseError):
        owner(bench)
