"""Each row of the safety rules: what is refused, and that not one write was sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from local.simulator import Behaviour, Customer, Fault, ProductKind, Simulator
from local.simulator.state.behaviour import ProductionDelete
from shared.deletion import put_back
from shared.deletion.submission import abort
from shared.partner_center.client import PartnerCenter
from shared.settings import settings
from shared.storage.names import CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK, POISON_SUFFIX
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench
from tests.switch_table import Wire, switch_behind, with_switch

OTHER_TENANT = TenantId("99999999-0000-4000-8000-000000000001")


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is put back be visible at once."""
    monkeypatch.setattr(put_back, "_SHORTEST", timedelta(0))
    monkeypatch.setattr(put_back, "_LONGEST", timedelta(0))
    monkeypatch.setattr("functions.record_poison._POISON_DELAY", timedelta(0))


@pytest.fixture
def unheard(bench: Bench, storage: str, simulator: Simulator, customer: Customer) -> None:
    """Trip the switch in the step of a process that cannot store it and then ends.

    Partner Center says only once that this is no sandbox.
    """
    body = {"code": 800019, "description": "x"}
    simulator.add_fault(Fault("PATCH", "*/orders/*", 403, body, times=1))
    bench.drop(customer.tenant_id)
    pump_without_writes(bench, storage)
    assert len(bench.writes()) == 1
    assert not bench.services.switch.read().tripped


def pump_without_writes(bench: Bench, storage: str) -> None:
    """Let another process take what is visible; it can write no trip, and then it ends."""
    wire, others = Wire(), bench.services
    wire.writes_fail = True
    with switch_behind(bench, storage, wire) as switch:
        bench.put(with_switch(others, switch))
        bench.pump(passes=1)
    bench.put(others)


@pytest.mark.parametrize(
    ("environment", "finding"),
    [
        ({"SANDBOX_TENANT_CONFIRMATION": OTHER_TENANT}, "SANDBOX_TENANT_CONFIRMATION"),
        ({"PROTECTED_DOMAINS": "keep-*; tipdemo*"}, "matches tipdemo*"),
    ],
)
def test_a_rule_of_the_settings_refuses(
    bench: Bench,
    customer: Customer,
    environment: dict[str, str],
    finding: str,
) -> None:
    bench.use(**environment)

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert finding in record.reason
    assert record.remedy
    assert not bench.writes()


def test_a_protected_tenant_is_refused_without_a_call(bench: Bench, customer: Customer) -> None:
    protected = "{" + customer.tenant_id.upper() + "}"
    bench.use(PROTECTED_TENANTS=f"{OTHER_TENANT},{protected}")

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert "PROTECTED_TENANTS" in record.reason
    assert not bench.simulator.calls


def test_a_customer_without_domain_is_refused_while_patterns_protect(
    bench: Bench, simulator: Simulator
) -> None:
    customer = simulator.sandbox.add_customer("", company_name="Nameless")
    bench.use(PROTECTED_DOMAINS="keep-*")

    assert bench.run(customer.tenant_id).state is State.REFUSED
    assert not bench.writes()


def test_a_token_of_another_tenant_is_refused(bench: Bench, customer: Customer) -> None:
    partner = bench.services.settings.partner_center
    moved = replace(
        bench.services.settings,
        partner_center=replace(partner, tenant_id=OTHER_TENANT),
        sandbox_tenant_confirmation=OTHER_TENANT,
    )
    bench.put(bench.with_settings(moved))

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert bench.simulator.sandbox.tenant_id in record.reason
    assert not bench.calls()


def test_production_credentials_send_not_one_write(bench: Bench, simulator: Simulator) -> None:
    """Even when the production tenant has been confirmed by mistake."""
    simulator.reset("production")
    victim = simulator.production.customers[0]
    environment = simulator.environment(simulator.production)
    bench.use(**environment)

    record = bench.run(victim.tenant_id)

    assert record.state is State.REFUSED
    assert "more than 75 customers" in record.reason
    assert not bench.writes()


@pytest.mark.parametrize(
    ("orders", "quantity", "finding"),
    [(6, 1, "6 active subscriptions"), (1, 26, "26 licences")],
)
def test_a_customer_past_the_sandbox_limits_is_refused(
    bench: Bench, simulator: Simulator, orders: int, quantity: int, finding: str
) -> None:
    customer = simulator.sandbox.add_customer("big.onmicrosoft.com")
    for _ in range(orders):
        customer.add_order(ProductKind.NCE_LICENCES, quantity=quantity)

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert finding in record.reason
    assert not bench.writes()


@pytest.mark.parametrize(
    ("members", "finding"),
    [
        ({"quantity": "400", "billingType": "license"}, "400 licences"),
        ({"quantity": None, "billingType": "license"}, "missing or no number"),
        ({"quantity": {"value": 1}, "unitType": "Licenses"}, "missing or no number"),
        ({"unitType": "Licenses"}, "missing or no number"),
        ({"quantity": 1000}, "1000 units that may be licences"),
        ({"quantity": 1000, "productType": {"id": "OnlineServicesNCE"}}, "1000 units"),
    ],
)
def test_a_quantity_that_may_be_more_than_25_licences_is_refused(
    bench: Bench, simulator: Simulator, customer: Customer, members: dict[str, Any], finding: str
) -> None:
    odd = {"id": "odd", "orderId": "o", "status": "active", **members}
    body = {"items": [odd]}
    simulator.add_fault(Fault(path="*/subscriptions", status=200, body=body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert finding in record.reason
    assert record.remedy
    assert not bench.writes()


@pytest.mark.parametrize(("customers", "state"), [(75, State.DELETED), (76, State.REFUSED)])
def test_75_customers_are_a_sandbox_and_76_are_not(
    bench: Bench, customer: Customer, customers: int, state: State
) -> None:
    for number in range(customers - 1):
        bench.simulator.sandbox.add_customer(f"other{number}.onmicrosoft.com")

    assert bench.run(customer.tenant_id).state is state


@pytest.mark.parametrize(("customers", "state"), [(75, State.DELETED), (402, State.REFUSED)])
def test_rows_that_repeat_where_pages_meet_change_nothing_about_that(
    bench: Bench, customer: Customer, customers: int, state: State
) -> None:
    bench.simulator.behaviour = Behaviour(customers_page_size=30, customers_page_overlap=7)
    for number in range(customers - 1):
        bench.simulator.sandbox.add_customer(f"other{number}.onmicrosoft.com")

    record = bench.run(customer.tenant_id)

    assert record.state is state
    assert bool(bench.writes()) is (state is State.DELETED)


@pytest.mark.parametrize("domain", ["keep-it.onmicrosoft.com", ""])
def test_a_customer_is_protected_by_each_row_that_lists_it(
    bench: Bench, customer: Customer, domain: str
) -> None:
    bench.use(PROTECTED_DOMAINS="keep-*")
    repeated = bench.simulator.sandbox.add_customer(domain, tenant_id=customer.tenant_id)
    repeated.domain = domain

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert "PROTECTED_DOMAINS" in record.reason
    assert not bench.writes()


@pytest.mark.parametrize("odd", [{"domain": 7}, {"domain": ["x"]}, "odd", {"domain": "x" * 400}])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("domain", ["keep-it.onmicrosoft.com", ""])
def test_a_customer_stays_protected_by_one_row_if_another_cannot_be_read(
    bench: Bench, customer: Customer, odd: Any, domain: str, last: bool
) -> None:
    bench.use(PROTECTED_DOMAINS="keep-*")
    rows = [
        {"id": customer.tenant_id, "companyProfile": {"domain": domain}},
        {"id": customer.tenant_id, "companyProfile": odd},
    ]
    body = {"items": rows if last else rows[::-1]}
    bench.simulator.add_fault(Fault(path="/v1/customers", status=200, body=body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert "PROTECTED_DOMAINS" in record.reason
    assert not bench.writes()


def test_a_customer_whose_only_row_cannot_be_read_has_the_domain_of_its_own_url(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.use(PROTECTED_DOMAINS="keep-*")
    row = {"id": customer.tenant_id, "companyProfile": {"domain": 7}}
    body = {"items": [row, row]}
    simulator.add_fault(Fault(path="/v1/customers", status=200, body=body, times=None))

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_small_production_account_trips_the_switch_at_its_first_rejection(
    bench: Bench, simulator: Simulator
) -> None:
    first, second = (simulator.production.add_customer(f"c{n}.example") for n in range(2))
    for customer in (first, second):
        customer.add_order(ProductKind.RESERVED_INSTANCE)
    bench.use(**simulator.environment(simulator.production))

    bench.drop(first.tenant_id)
    bench.drop(second.tenant_id)
    bench.pump(passes=3)

    assert [call.code for call in bench.writes()] == [800019]
    assert bench.services.switch.read().tripped
    assert bench.record(first.tenant_id).state is State.REFUSED
    assert bench.record(second.tenant_id).live


@pytest.mark.parametrize("behaviour", list(ProductionDelete)[:1])
def test_a_delete_that_this_environment_does_not_know_trips_the_switch(
    bench: Bench,
    simulator: Simulator,
    behaviour: ProductionDelete,
) -> None:
    simulator.behaviour = Behaviour(production_delete=behaviour)
    customer = simulator.production.add_customer("c.example")
    bench.use(**simulator.environment(simulator.production))

    assert bench.run(customer.tenant_id).state is State.REFUSED
    assert bench.services.switch.read().tripped


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, {"code": 800019, "description": "x"}), (401, {"code": "6002", "description": "x"})],
)
def test_partner_centers_alarm_trips_the_switch_from_any_call(
    bench: Bench, simulator: Simulator, customer: Customer, status: int, body: dict[str, Any]
) -> None:
    simulator.add_fault(Fault(method="GET", path="*/orders", status=status, body=body))

    record = bench.run(customer.tenant_id)

    state = bench.services.switch.read()
    assert record.state is State.REFUSED
    assert state.tripped
    assert state.requested_by == "tipsweep"
    assert not bench.writes()


@pytest.mark.parametrize("failing", [1, 2, 4])
@pytest.mark.usefixtures("impatient")
def test_a_trip_whose_write_fails_is_written_again_at_each_step(
    bench: Bench, storage: str, simulator: Simulator, customer: Customer, failing: int
) -> None:
    """The deletion that got the response comes back, and every step asks the switch first."""
    body = {"code": 800019, "description": "x"}
    simulator.add_fault(Fault(method="GET", path="*/orders", status=403, body=body))
    wire = Wire()
    with switch_behind(bench, storage, wire) as switch:
        bench.put(with_switch(bench.services, switch))
        wire.writes_fail = True
        bench.drop(customer.tenant_id)
        bench.pump(passes=failing)
        wire.writes_fail = False
        bench.pump(passes=3)

    assert not bench.errors
    assert bench.switch_of_another_process().read().tripped
    assert len(bench.calls("GET", "/orders")) == 1
    assert bench.record(customer.tenant_id).live
    assert not bench.writes()


@pytest.mark.usefixtures("unheard")
def test_a_trip_outlives_a_process_that_ends_before_it_could_store_it(
    bench: Bench, customer: Customer
) -> None:
    bench.pump(passes=3)

    state = bench.switch_of_another_process().read()
    assert state.tripped
    assert "403/800019" in state.reason
    assert len(bench.writes()) == 1
    assert bench.record(customer.tenant_id).live


@pytest.mark.usefixtures("unheard")
def test_the_process_that_stores_a_trip_for_another_tells_of_it_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    caplog.set_level("INFO")

    bench.pump(passes=3)

    lines = [each for each in caplog.messages if each.startswith("switch_tripped ")]
    entries = bench.services.history.account_page("", 10)
    assert len(lines) == 1
    assert "403/800019" in lines[0]
    assert [each.detail for each in entries if each.kind == "switch_tripped"] == [
        bench.services.switch.read().reason
    ]


@pytest.mark.usefixtures("impatient", "unheard")
def test_a_message_keeps_its_trip_until_it_is_stored_and_no_try_counts(
    bench: Bench, storage: str
) -> None:
    for _ in range(7):
        pump_without_writes(bench, storage)
        assert not bench.services.switch.read().tripped

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped
    assert not bench.errors
    assert len(bench.writes()) == 1


@pytest.mark.usefixtures("impatient", "unheard")
def test_a_message_that_may_do_nothing_any_more_stores_its_trip(
    bench: Bench, customer: Customer
) -> None:
    abort(bench.services, TenantId(customer.tenant_id), "ann")

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped


@pytest.mark.usefixtures("impatient", "unheard")
def test_a_message_on_the_poison_queue_keeps_its_trip_until_it_is_stored(
    bench: Bench, storage: str
) -> None:
    """Whoever moved it there."""
    message = bench.take(ORDERS_TO_CHECK)
    assert message
    bench.drop(message.content, ORDERS_TO_CHECK + POISON_SUFFIX)
    bench.forget(ORDERS_TO_CHECK, message)
    pump_without_writes(bench, storage)
    assert not bench.services.switch.read().tripped

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped
    assert not bench.errors


@pytest.mark.usefixtures("impatient", "unheard")
def test_a_message_stores_its_trip_while_settings_are_wrong(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that follows carries none."""
    for name, value in {**bench._environment, "PARTNER_CENTER_CLIENT_SECRET": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("shared.services._built", [])
    settings.cache_clear()

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped
    assert not bench.errors


@pytest.mark.usefixtures("impatient")
def test_a_dry_run_carries_a_trip_that_its_process_could_not_store(
    bench: Bench, storage: str, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 800019, "description": "x"}
    simulator.add_fault(Fault("GET", "*/orders", 403, body, times=1))
    bench.drop(f'{{"tenantId": "{customer.tenant_id}", "dryRun": true}}')
    pump_without_writes(bench, storage)

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped
    assert not bench.errors


def test_a_trip_that_one_process_cannot_store_stops_the_others_after_its_next_step(
    bench: Bench, storage: str, simulator: Simulator, customer: Customer
) -> None:
    other = simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    other.add_order(ProductKind.PERPETUAL_SOFTWARE)
    healthy = bench.services
    wire = Wire()
    with switch_behind(bench, storage, wire) as switch:
        wire.writes_fail = True
        with pytest.raises(AzureError):
            switch.trip("tipsweep", "403/800019")
        wire.writes_fail = False
        bench.put(with_switch(healthy, switch))
        bench.drop(customer.tenant_id)
        bench.pump(passes=1)

    bench.put(healthy)
    bench.drop(other.tenant_id)
    bench.pump(passes=3)

    assert not bench.calls()
    assert "403/800019" in bench.record(other.tenant_id).reason


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("queue", [CUSTOMERS_TO_DELETE, CUSTOMERS_TO_DELETE + POISON_SUFFIX])
def test_a_drop_of_several_carries_a_trip_that_its_process_could_not_store(
    bench: Bench, storage: str, simulator: Simulator, customer: Customer, queue: str
) -> None:
    other = simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    bench.drop(f"{customer.tenant_id},{other.tenant_id}", queue)
    healthy, wire = bench.services, Wire()
    with switch_behind(bench, storage, wire) as switch:
        wire.writes_fail = True
        with pytest.raises(AzureError):
            switch.trip("tipsweep", "403/800019")
        bench.put(with_switch(healthy, switch))
        message = bench.take(queue)
        assert message
        bench.deliver(queue, message)
    bench.put(healthy)
    assert not bench.services.switch.read().tripped

    bench.pump(passes=1)

    assert bench.services.switch.read().tripped
    assert not bench.calls()


def test_a_trip_that_fails_between_two_writes_keeps_the_second_from_leaving(
    bench: Bench, storage: str, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    wire = Wire()
    with switch_behind(bench, storage, wire) as switch:
        bench.put(with_switch(bench.services, switch))

        def trip() -> None:
            wire.writes_fail = True
            with pytest.raises(AzureError):
                switch.trip("ann", "looks odd")

        during(monkeypatch, "cancel_order", trip)
        bench.drop(customer.tenant_id)
        bench.pump(passes=1)

    assert [call.method for call in bench.writes()] == ["PATCH"]


def test_a_tripped_switch_parks_deletions_until_a_person_resets_it(
    bench: Bench, customer: Customer
) -> None:
    bench.services.switch.trip("alice", "looks odd")
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)
    parked = bench.record(customer.tenant_id)
    assert parked.live
    assert "looks odd" in parked.reason
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert not bench.simulator.calls

    bench.services.switch.reset("alice", "was nothing")
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


def test_a_switch_tripped_before_the_delete_holds_it_back(bench: Bench, customer: Customer) -> None:
    bench.drop(customer.tenant_id)
    message = bench.take("customers-to-delete")
    assert message is not None
    bench.deliver("customers-to-delete", message)
    bench.services.switch.trip("alice", "stop")

    bench.pump(passes=3)

    assert not bench.calls("DELETE")
    assert bench.record(customer.tenant_id).live


def test_a_switch_tripped_elsewhere_stops_the_remaining_writes(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process trips it while the first PATCH is under way."""
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    elsewhere = bench.switch_of_another_process()
    during(monkeypatch, "cancel_order", lambda: elsewhere.trip("ann", "looks odd"))

    bench.drop(customer.tenant_id)
    bench.pump(passes=3)

    assert [call.method for call in bench.writes()] == ["PATCH"]
    assert bench.record(customer.tenant_id).live


def test_an_abort_stops_the_remaining_writes(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    tenant = TenantId(customer.tenant_id)
    during(
        monkeypatch,
        "cancel_order",
        lambda: abort(bench.services, tenant, "ann"),
    )

    record = bench.run(customer.tenant_id)

    assert [call.method for call in bench.writes()] == ["PATCH"]
    assert record.state is State.ABORTED


def test_a_switch_tripped_while_the_rules_are_checked_holds_the_delete_back(
    bench: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = bench.switch_of_another_process()
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    during(monkeypatch, "token_tenant", lambda: elsewhere.trip("ann", "stop"))

    bench.pump(passes=3)

    assert not bench.calls("DELETE")
    assert bench.record(customer.tenant_id).state is State.CHECKING


def during(patch: pytest.MonkeyPatch, method: str, event: Callable[[], object]) -> None:
    """Make something happen elsewhere while the response to a call of the client is under way."""
    original = getattr(PartnerCenter, method)

    def call(*arguments: object) -> object:
        response = original(*arguments)
        event()
        return response

    patch.setattr(PartnerCenter, method, call)


def test_the_partners_own_tenant_is_refused(bench: Bench) -> None:
    record = bench.run(bench.simulator.sandbox.tenant_id)

    assert record.state is State.REFUSED
    assert "own tenant" in record.reason
    assert not bench.simulator.calls


def test_a_customer_of_somebody_else_is_refused(bench: Bench, simulator: Simulator) -> None:
    foreign = simulator.production.add_customer("foreign.example")

    record = bench.run(foreign.tenant_id)

    assert record.state is State.REFUSED
    assert "not a customer of this partner" in record.reason
    assert not bench.writes()


@pytest.mark.parametrize("tenant", [OTHER_TENANT])
def test_an_unknown_tenant_is_refused(bench: Bench, tenant: str) -> None:
    record = bench.run(tenant)

    assert record.state is State.REFUSED
    assert "not a customer of this partner" in record.reason


def test_next_links_to_another_host_are_not_followed(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.sandbox.add_customer("other.onmicrosoft.com")
    simulator.behaviour = Behaviour(customers_page_size=1, next_link_host="https://evil.example")

    bench.run(customer.tenant_id)

    assert "evil.example" in str(bench.errors[0])
    assert bench.record(customer.tenant_id).state is State.STUCK
    assert not bench.writes()
