"""Listings that are empty, odd or failing: what counts, what is left alone, and who is gone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from local.simulator.state.behaviour import AppOnlyEntitlements
from shared.partner_center.resources import UNREAD
from shared.safety.rules import Refused
from shared.storage.records import State
from shared.sweep.decision import SweepVerdict
from shared.sweep.run import preview_sweep
from tests.bench import Bench

ROWS: dict[str, Any] = {
    "null": None,
    "text": "odd",
    "no id": {},
    "id of another type": {"id": 7},
    "id that is no tenant": {"id": "contoso"},
}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    return simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")


def row(customer: Customer, **members: Any) -> dict[str, Any]:
    profile = {"domain": customer.domain, "companyName": customer.company_name}
    return {"id": customer.tenant_id, "companyProfile": profile, **members}


def list_as(simulator: Simulator, items: list[Any]) -> None:
    fault = Fault(path="/v1/customers", status=200, body={"items": items}, times=None)
    simulator.add_fault(fault)


def list_nothing(simulator: Simulator) -> None:
    simulator.add_fault(Fault(path="/v1/customers", status=204, body="", times=None))


@pytest.mark.parametrize("odd", ROWS.values(), ids=ROWS.keys())
def test_a_row_that_cannot_be_read_counts_as_a_customer(
    bench: Bench, simulator: Simulator, odd: Any
) -> None:
    rows = [row(simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com")) for n in range(74)]
    list_as(simulator, [odd, *rows])
    assert preview_sweep(bench.services).customers == 75

    simulator.clear_faults()
    list_as(simulator, [odd, *rows, odd])
    with pytest.raises(Refused, match="more than 75 customers"):
        preview_sweep(bench.services)


@pytest.mark.parametrize("profile", ["text", [], 7, {"domain": 7}, {"domain": ["a"]}])
def test_a_sweep_leaves_alone_a_customer_that_cannot_be_read(
    bench: Bench, simulator: Simulator, customer: Customer, profile: Any
) -> None:
    bench.use(PROTECTED_DOMAINS="none")
    list_as(simulator, [row(customer, companyProfile=profile), None])

    candidates = preview_sweep(bench.services).candidates

    assert [each.verdict for each in candidates] == [SweepVerdict.PROTECTED] * 2
    assert all("cannot be read" in each.reason for each in candidates)
    assert not bench.calls("GET", "/orders")


def test_a_deletion_reads_a_customer_with_an_odd_row_by_its_own_url(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    list_as(simulator, [row(customer, companyProfile="text")])

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_an_odd_row_of_one_customer_stops_no_other_deletion(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    list_as(simulator, [None, row(customer)])

    assert bench.run(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize(
    "listing",
    [list_nothing, lambda simulator: list_as(simulator, [None])],
    ids=["204", "a row that cannot be read"],
)
def test_a_listing_that_does_not_show_everybody_makes_no_customer_gone(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    listing: Callable[[Simulator], None],
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=100)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    assert bench.record(customer.tenant_id).seen
    listing(simulator)
    body = {"code": 60003, "description": "Not found."}
    path = f"/v1/customers/{customer.tenant_id}"
    simulator.add_fault(Fault(method="GET", path=path, status=404, body=body, times=None))
    bench.forget_customer_list()

    bench.pump(passes=3)

    record = bench.record(customer.tenant_id)
    assert record.live
    assert "the list of customers cannot be read as a whole" in record.last_error
    assert not bench.calls("DELETE")
    assert not bench.errors

    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 206, "body": {"items": []}},
        {"status": 202, "body": {"items": []}},
        {"status": 200, "body": {"totalCount": 402, "items": []}},
        {"status": 200, "body": {"totalCount": "76", "items": [{"id": "x"}]}},
    ],
    ids=["206", "202", "402 of them", "76 of them"],
)
@pytest.mark.parametrize("part", ["/v1/customers", "*/subscriptions", "*/orders"])
def test_a_deletion_waits_while_a_listing_does_not_show_everything(
    bench: Bench, simulator: Simulator, customer: Customer, fault: dict[str, Any], part: str
) -> None:
    if fault["status"] == 204 and part != "/v1/customers":
        pytest.skip("an empty listing")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    simulator.add_fault(Fault(path=part, times=None, **fault))
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)

    assert bench.record(customer.tenant_id).live
    assert "expected" in bench.record(customer.tenant_id).last_error
    assert not bench.writes()
    assert not bench.errors

    simulator.clear_faults()
    bench.forget_customer_list()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


def test_a_deletion_waits_while_a_204_does_not_list_its_customer(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    list_nothing(simulator)
    bench.drop(customer.tenant_id)
    bench.pump(passes=4)

    assert bench.record(customer.tenant_id).live
    assert "expected it to be listed" in bench.record(customer.tenant_id).last_error
    assert not bench.writes()


@pytest.mark.parametrize("total", [1, 0, None, "1", "many", -1, {}])
def test_a_total_that_the_items_reach_or_that_says_nothing_changes_nothing(
    bench: Bench, simulator: Simulator, customer: Customer, total: Any
) -> None:
    body = {"totalCount": total, "items": [row(customer)]}
    simulator.add_fault(Fault(path="/v1/customers", status=200, body=body, times=None))

    assert bench.run(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize(("listed", "state"), [(74, State.DELETED), (75, State.REFUSED)])
def test_a_customer_that_only_its_own_url_shows_counts(
    bench: Bench, simulator: Simulator, customer: Customer, listed: int, state: State
) -> None:
    others = [simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(listed)]
    list_as(simulator, [row(other) for other in others])

    record = bench.run(customer.tenant_id)

    assert record.state is state
    assert bool(bench.writes()) is (state is State.DELETED)


def test_a_new_customer_is_no_76th_once_a_listed_one_is_gone(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    others = [simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(75)]
    fault = Fault(path="/v1/customers", status=200, body={"items": list(map(row, others))})
    simulator.add_fault(fault)
    for other in others:
        other.deleted = True

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_sweep_of_a_sandbox_that_lists_nobody_finds_nothing(
    bench: Bench, simulator: Simulator
) -> None:
    simulator.behaviour = replace(simulator.behaviour, empty_lists_without_content=True)

    assert preview_sweep(bench.services).candidates == ()


def test_a_customer_whose_lists_are_all_204_is_deleted(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.behaviour = replace(
        simulator.behaviour, empty_lists_without_content=True, app_only_entitlements=True
    )

    assert bench.run(customer.tenant_id).state is State.DELETED
    assert {call.status for call in bench.calls("GET", customer.tenant_id)} == {204}


def test_an_app_goes_on_without_entitlements_that_always_fail(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.behaviour = replace(
        simulator.behaviour, app_only_entitlements_error=AppOnlyEntitlements.UNEXPECTED
    )
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)

    assert order.status == "cancelled"
    (waiting,) = [
        each for each in bench.record(customer.tenant_id).purchases if each.status == UNREAD
    ]
    assert "500/800003" in waiting.trouble

    bench.pump()
    record = bench.record(customer.tenant_id)
    assert record.state is State.DELETED
    assert record.last_error.startswith("goes on without what cannot be read: GET")
    assert "entitlements_unread tenant=" in caplog.text
    assert len(bench.calls("GET", "/entitlements")) >= 4
    assert not bench.errors


@pytest.mark.parametrize(
    "entitlement",
    [
        None,
        "text",
        {"referenceOrder": "text", "quantity": 1},
        {"referenceOrder": {"id": 7}, "quantity": 1},
        {"referenceOrder": {"id": "x"}, "quantity": 1, "includedEntitlements": "text"},
        {"referenceOrder": {"id": "x"}, "quantity": 1, "includedEntitlements": [None]},
    ],
)
def test_an_odd_entitlement_holds_the_delete_back_for_some_looks(
    bench: Bench, simulator: Simulator, customer: Customer, entitlement: Any
) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    body = {"items": [entitlement]}
    simulator.add_fault(Fault(path="*/entitlements", status=200, body=body, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=2)

    assert order.status == "cancelled"
    assert bench.record(customer.tenant_id).live
    assert not bench.calls("DELETE")
    assert not bench.errors

    bench.pump()
    record = bench.record(customer.tenant_id)
    assert record.state is State.DELETED
    assert "cannot be read" in record.last_error


@pytest.mark.parametrize("alternate", [False, True], ids=["id", "alternate id"])
@pytest.mark.parametrize("kind", ProductKind)
def test_references_in_capitals_change_nothing(
    bench: Bench, simulator: Simulator, kind: ProductKind, alternate: bool
) -> None:
    sent = []
    for capitals in (False, True):
        simulator.behaviour = replace(
            simulator.behaviour,
            app_only_entitlements=True,
            references_in_capitals=capitals,
            references_by_alternate_id=alternate,
        )
        customer = simulator.sandbox.add_customer(f"capitals-{capitals}.onmicrosoft.com")
        customer.add_order(kind)
        before = len(bench.writes())
        state = bench.run(customer.tenant_id).state
        calls = bench.writes()[before:]
        sent.append((state, [(call.method, call.requested_status, call.code) for call in calls]))

    assert sent[0] == sent[1]


@pytest.mark.parametrize("kind", [ProductKind.NCE_LICENCES, ProductKind.MARKETPLACE_SAAS])
def test_calls_are_sent_as_their_pages_print_them(
    bench: Bench, simulator: Simulator, customer: Customer, kind: ProductKind
) -> None:
    simulator.behaviour = replace(simulator.behaviour, calls_as_printed=True)
    customer.add_order(kind, activated=False)

    assert bench.run(customer.tenant_id).state is State.DELETED
