"""`/api/deletions`: request, show, list, abort."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from azure.data.tables import TableClient
from azure.storage.queue import QueueServiceClient

from local.simulator import Customer, Fault, Simulator
from shared.deletion.redrive import GRACE
from shared.storage.names import CUSTOMERS_READY, DELETIONS_TABLE, ORDERS_TO_CHECK
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, Records, State
from shared.tenants import TenantId
from tests.bench import Bench, failing_orders
from tests.http.app import ADDRESS, App, Response
from tests.sweep.customers import later
from tests.switch_table import Wire

STRANGER = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def path_of(tenant: str) -> str:
    return f"/api/deletions/{tenant}"


def request(api: App, customer: Customer, **members: object) -> Response:
    return api.post("/api/deletions", {"tenantId": customer.tenant_id, **members})


def tenant_number(number: int) -> TenantId:
    return TenantId(str(UUID(int=number + 1)))


def some_record(tenant: TenantId, state: State = State.CHECKING) -> DeletionRecord:
    return DeletionRecord(
        tenant=tenant,
        state=state,
        generation=1,
        correlation_id="c",
        requested_at=NOW,
        deadline=NOW + timedelta(hours=1),
    )


def test_a_request_is_recorded_before_it_is_accepted(api: App, customer: Customer) -> None:
    accepted = request(api, customer, requestedBy="ann")
    looked_up = api.get(path_of(customer.tenant_id))

    assert (accepted.status, looked_up.status) == (202, 202)
    assert accepted.headers["location"] == ADDRESS + path_of(customer.tenant_id)
    assert accepted.json == looked_up.json
    assert accepted.json["state"] == "requested"
    assert accepted.json["requestedBy"] == "ann"


@contextmanager
def record_unconfirmed(bench: Bench, storage: str) -> Iterator[None]:
    """Lose the response to the write of the record."""
    wire, whole = Wire(), bench.services
    wire.responses_lost = 1
    with TableClient.from_connection_string(
        storage, DELETIONS_TABLE, transport=wire, retry_total=0
    ) as table:
        partner = whole.settings.partner_center.tenant_id
        bench.put(replace(whole, records=Records(table, partner)))
        yield
    bench.put(whole)


@contextmanager
def message_lost(bench: Bench, storage: str) -> Iterator[None]:
    """Lose the message that follows the record."""
    wire, whole = Wire(), bench.services
    wire.writes_fail = True
    with QueueServiceClient.from_connection_string(
        storage, transport=wire, retry_total=0
    ) as service:
        bench.put(replace(whole, queues=Queues(service)))
        yield
    bench.put(whole)


@pytest.mark.parametrize("trouble", [record_unconfirmed, message_lost])
def test_a_503_after_the_record_was_written_says_that_the_deletion_may_still_start(
    api: App,
    bench: Bench,
    storage: str,
    customer: Customer,
    trouble: Callable[[Bench, str], AbstractContextManager[None]],
) -> None:
    with trouble(bench, storage):
        response = request(api, customer)

    assert (response.status, response.problem) == (503, "storage")
    assert f"may still start: look at GET {path_of(customer.tenant_id)}" in response.json["detail"]
    recorded = api.get(path_of(customer.tenant_id))
    repeated = request(api, customer)
    assert (recorded.status, repeated.status) == (202, 202)
    assert repeated.json["correlationId"] == recorded.json["correlationId"]

    later(bench, GRACE)
    bench.redrive()
    bench.pump()

    assert customer.deleted
    assert len(bench.calls("DELETE")) == 1


def test_five_requests_at_once_start_one_deletion(
    api: App, bench: Bench, customer: Customer
) -> None:
    together = Barrier(5)

    def post(_: int) -> Response:
        together.wait()
        return request(api, customer)

    with ThreadPoolExecutor(5) as pool:
        responses = list(pool.map(post, range(5)))

    assert len({(each.status, each.headers["location"], each.content) for each in responses}) == 1
    assert bench.waiting(ORDERS_TO_CHECK) == 1


def test_a_request_during_a_deletion_gets_the_running_one(
    api: App, bench: Bench, customer: Customer
) -> None:
    first = request(api, customer)
    message = bench.take(ORDERS_TO_CHECK)
    assert message is not None
    bench.deliver(ORDERS_TO_CHECK, message)

    second = request(api, customer)

    assert second.status == 202
    assert second.json["correlationId"] == first.json["correlationId"]
    assert second.json["state"] == "checking"


def test_a_deletion_ends_as_200_with_every_purchase(
    api: App, bench: Bench, customer: Customer
) -> None:
    request(api, customer)
    bench.pump()

    ended = api.get(path_of(customer.tenant_id))

    assert customer.deleted
    assert ended.status == 200
    assert ended.json["state"] == "deleted"
    (purchase,) = ended.json["purchases"]
    assert (purchase["kind"], purchase["standing"]) == ("order", "closed")
    assert purchase["id"] == customer.orders[0].id


def test_a_stuck_deletion_is_a_409_with_record_and_remedy(
    api: App, bench: Bench, stuck_customer: Customer
) -> None:
    request(api, stuck_customer)
    bench.pump()

    ended = api.get(path_of(stuck_customer.tenant_id))

    assert (ended.status, ended.problem) == (409, "stuck")
    assert ended.json["state"] == "stuck"
    assert ended.json["detail"] == ended.json["reason"]
    assert stuck_customer.orders[0].id in ended.json["reason"]
    assert "Partner Center" in ended.json["remedy"]


def test_a_stranger_is_refused_by_the_deletion(api: App, bench: Bench) -> None:
    accepted = api.post("/api/deletions", {"tenantId": STRANGER})
    bench.pump()

    ended = api.get(path_of(STRANGER))

    assert accepted.status == 202
    assert (ended.status, ended.problem) == (422, "refused")
    assert "not a customer of this partner" in ended.json["reason"]


def test_the_partner_itself_is_refused_at_once(
    api: App, bench: Bench, simulator: Simulator
) -> None:
    response = api.post("/api/deletions", {"tenantId": simulator.sandbox.tenant_id})

    assert (response.status, response.problem) == (422, "refused")
    assert response.json["state"] == "refused"
    assert "partner's own tenant" in response.json["reason"]
    assert bench.waiting(ORDERS_TO_CHECK) == 0


def test_a_customer_protected_by_id_is_refused_at_once(
    api: App, bench: Bench, customer: Customer
) -> None:
    bench.use(PROTECTED_TENANTS=customer.tenant_id)

    response = request(api, customer)

    assert (response.status, response.problem) == (422, "refused")
    assert "PROTECTED_TENANTS" in response.json["detail"]
    assert bench.services.records.get(TenantId(customer.tenant_id)) is None


def test_an_unconfirmed_account_is_refused_at_once(
    api: App, bench: Bench, customer: Customer
) -> None:
    bench.use(SANDBOX_TENANT_CONFIRMATION=STRANGER)

    assert request(api, customer).problem == "refused"


def test_a_dry_run_returns_the_plan_and_stores_nothing(
    api: App, bench: Bench, customer: Customer
) -> None:
    response = request(api, customer, dryRun=True)

    assert response.status == 200
    assert (response.json["dryRun"], response.json["next"]) == (True, "cancel")
    (purchase,) = response.json["purchases"]
    assert (purchase["standing"], purchase["action"]) == ("open", "cancel_order")
    assert bench.writes() == []
    assert api.get(path_of(customer.tenant_id)).status == 404


def test_a_dry_run_sends_first_what_the_deletion_sends_first(
    api: App, bench: Bench, customer: Customer
) -> None:
    moves = [each["id"] for each in request(api, customer, dryRun=True).json["purchases"]]
    request(api, customer)
    bench.pump()

    cancellations = bench.calls("PATCH")

    assert [call.path.rpartition("/")[2] for call in cancellations] == moves


def test_a_dry_run_of_a_protected_customer_is_refused(
    api: App, bench: Bench, customer: Customer
) -> None:
    bench.use(PROTECTED_DOMAINS="tipdemo*")

    response = request(api, customer, dryRun=True)

    assert (response.status, response.problem) == (422, "refused")
    assert "PROTECTED_DOMAINS" in response.json["remedy"] + response.json["reason"]


def test_a_dry_run_with_production_credentials_trips_the_switch(
    api: App, customer: Customer, simulator: Simulator
) -> None:
    body = {"code": 800019, "description": "Not an integration sandbox."}
    simulator.add_fault(Fault("GET", "/v1/customers*", status=403, body=body))

    response = request(api, customer, dryRun=True)

    assert (response.status, response.problem) == (422, "refused")
    assert api.get("/api/switch").json["tripped"]


def test_a_finished_deletion_can_be_requested_again(
    api: App, bench: Bench, stuck_customer: Customer
) -> None:
    first = request(api, stuck_customer)
    bench.pump()

    again = request(api, stuck_customer)

    assert again.status == 202
    assert again.json["state"] == "requested"
    assert again.json["correlationId"] != first.json["correlationId"]


def test_a_poisoned_deletion_can_be_requested_again(
    api: App, bench: Bench, customer: Customer, simulator: Simulator
) -> None:
    simulator.add_fault(failing_orders())
    request(api, customer)
    bench.pump()
    simulator.clear_faults()
    poisoned = api.get(path_of(customer.tenant_id))

    request(api, customer)
    bench.pump()

    assert (poisoned.status, poisoned.json["state"]) == (409, "stuck")
    assert api.get(path_of(customer.tenant_id)).status == 200


@pytest.mark.parametrize(
    ("until_next_check", "seconds"),
    [
        (timedelta(seconds=119.2), "120"),
        (timedelta(seconds=1), "5"),
        (timedelta(seconds=-600), "5"),
        (None, "5"),
    ],
)
def test_retry_after_follows_the_next_check(
    api: App, bench: Bench, until_next_check: timedelta | None, seconds: str
) -> None:
    """It never falls below CHECK_FIRST_DELAY_SECONDS."""
    checks = replace(bench.services.settings.checks, first_delay=timedelta(seconds=5))
    settings = replace(bench.services.settings, checks=checks)
    bench.put(replace(bench.services, settings=settings, now=lambda: NOW))
    next_check_at = None if until_next_check is None else NOW + until_next_check
    bench.services.records.insert(
        replace(some_record(TenantId(STRANGER)), next_check_at=next_check_at)
    )

    assert api.get(path_of(STRANGER)).headers["retry-after"] == seconds


def test_location_names_the_public_address(api: App, bench: Bench, customer: Customer) -> None:
    bench.use(PUBLIC_BASE_URL="https://gateway.example/")

    response = request(api, customer)

    assert response.headers["location"] == "https://gateway.example" + path_of(customer.tenant_id)


def test_location_repeats_no_key(api: App, customer: Customer) -> None:
    response = api.post("/api/deletions?code=secret", {"tenantId": customer.tenant_id})

    assert response.headers["location"] == ADDRESS + path_of(customer.tenant_id)
    assert b"secret" not in response.content


def test_a_tenant_id_is_read_in_any_case(api: App, customer: Customer) -> None:
    request(api, customer)

    looked_up = api.get(path_of(customer.tenant_id.upper()))

    assert (looked_up.status, looked_up.json["tenantId"]) == (202, customer.tenant_id)


def test_a_customer_without_deletion_is_a_404(api: App) -> None:
    response = api.get(path_of(STRANGER))

    assert (response.status, response.problem) == (404, "no-deletion")


def test_records_are_listed_page_by_page(api: App, bench: Bench) -> None:
    tenants = [tenant_number(number) for number in range(120)]
    for tenant in reversed(tenants):
        bench.services.records.insert(some_record(tenant))

    pages, address = [], "/api/deletions"
    while address:
        response = api.get(address)
        assert response.status == 200
        pages.append([each["tenantId"] for each in response.json["items"]])
        address = (response.json["links"]["next"] or "").removeprefix(ADDRESS)

    assert [len(page) for page in pages] == [50, 50, 20]
    assert [tenant for page in pages for tenant in page] == tenants


def test_a_row_that_cannot_be_read_is_listed_apart_with_its_reason(
    api: App, bench: Bench, customer: Customer, stuck_customer: Customer
) -> None:
    for each in (customer, stuck_customer):
        api.post("/api/deletions", {"tenantId": each.tenant_id})
    bench.make_unreadable(customer.tenant_id)

    listed = api.get("/api/deletions").json
    shown = api.get(f"/api/deletions/{customer.tenant_id}")

    assert [each["tenantId"] for each in listed["items"]] == [stuck_customer.tenant_id]
    assert [each["tenantId"] for each in listed["unreadable"]] == [customer.tenant_id]
    assert "'paused' is not a valid State" in listed["unreadable"][0]["reason"]
    assert shown.status == 503
    assert "cannot be read" in shown.json["detail"]


def test_records_are_listed_by_state_on_every_page(api: App, bench: Bench) -> None:
    states = (State.STUCK, State.DELETED)
    for number in range(120):
        bench.services.records.insert(some_record(tenant_number(number), states[number % 2]))

    first = api.get("/api/deletions?state=stuck").json
    second = api.get(first["links"]["next"].removeprefix(ADDRESS)).json

    assert (len(first["items"]), len(second["items"])) == (50, 10)
    assert {each["state"] for each in first["items"] + second["items"]} == {"stuck"}
    assert second["links"]["next"] is None


def test_a_deletion_is_aborted_with_a_name(api: App, bench: Bench, customer: Customer) -> None:
    request(api, customer)

    aborted = api.delete(path_of(customer.tenant_id) + "?requestedBy=ann")
    bench.pump()

    assert aborted.status == 200
    assert (aborted.json["state"], aborted.json["reason"]) == ("aborted", "aborted by ann")
    assert api.get(path_of(customer.tenant_id)).problem == "aborted"


def test_two_aborts_at_once_stop_the_deletion_once(api: App, customer: Customer) -> None:
    request(api, customer)
    together = Barrier(2)

    def abort(_: int) -> Response:
        together.wait()
        return api.delete(path_of(customer.tenant_id))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(abort, range(2))

    assert (first.status, second.status) == (200, 200)
    assert first.json == second.json


def test_there_is_nothing_to_abort(api: App) -> None:
    response = api.delete(path_of(STRANGER))

    assert (response.status, response.problem) == (404, "no-deletion")


def test_a_deletion_that_has_sent_its_delete_cannot_be_aborted(
    api: App, bench: Bench, customer: Customer, simulator: Simulator
) -> None:
    simulator.add_fault(Fault("DELETE", "*", status=503, times=None))
    request(api, customer)
    for queue in (ORDERS_TO_CHECK, CUSTOMERS_READY):
        message = bench.take(queue)
        assert message is not None
        bench.deliver(queue, message)

    response = api.delete(path_of(customer.tenant_id))

    assert (response.status, response.problem) == (409, "not-abortable")
    assert "deleting" in response.json["detail"]


def test_an_ended_deletion_cannot_be_aborted(api: App, bench: Bench, customer: Customer) -> None:
    request(api, customer)
    bench.pump()

    assert api.delete(path_of(customer.tenant_id)).status == 409
