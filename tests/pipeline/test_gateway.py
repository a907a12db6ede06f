"""Responses that something in front of Partner Center may have made: the deletion waits."""

from dataclasses import replace

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.deletion.submission import NotAbortable, abort
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

HTML = "<html><body>Service unavailable</body></html>"
ODD = [
    Fault(method="GET", status=status, body=body)
    for status, body in [
        (200, ""),
        (200, HTML),
        (200, "{}"),
        (302, ""),
        (403, HTML),
        (404, HTML),
        (404, None),
    ]
]
NAMES = ["empty", "html", "object", "302", "403-html", "404-html", "404-gateway"]
MFA = {"code": 900421, "description": "MFA claim missing."}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


def outlasts(bench: Bench, simulator: Simulator, customer: Customer, fault: Fault) -> None:
    """Check that a lasting fault fails no try, and that the deletion goes on after it."""
    simulator.add_fault(replace(fault, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=8)

    record = bench.record(customer.tenant_id)
    assert record.live
    assert record.failures == 0
    assert record.last_error
    assert not bench.errors
    assert not bench.calls("DELETE")

    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("path", ["*/orders", "*/subscriptions"])
@pytest.mark.parametrize("odd", ODD, ids=NAMES)
def test_an_odd_listing_of_a_customer_is_waited_out(
    bench: Bench, simulator: Simulator, customer: Customer, path: str, odd: Fault
) -> None:
    outlasts(bench, simulator, customer, replace(odd, path=path))


@pytest.mark.parametrize("path", ["/v1/customers", "*/orders"])
def test_a_listing_that_links_to_another_host_ends_as_stuck_and_names_it(
    bench: Bench, simulator: Simulator, customer: Customer, path: str
) -> None:
    """A person has to look at it: waiting would not make the link any better."""
    links = {"next": {"uri": "https://evil.example/v1/customers"}}
    body = {"items": [], "links": links}
    simulator.add_fault(Fault("GET", path, 200, body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "evil.example" in record.reason
    assert record.needs_attention
    assert not bench.writes()


@pytest.mark.parametrize("odd", ODD, ids=NAMES)
def test_a_customer_that_the_listing_lacks_is_not_refused_for_an_odd_response(
    bench: Bench, simulator: Simulator, customer: Customer, odd: Fault
) -> None:
    simulator.add_fault(Fault(path="/v1/customers", status=200, body={"items": []}))
    simulator.add_fault(replace(odd, path=f"/v1/customers/{customer.tenant_id}"))
    bench.drop(customer.tenant_id)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert not bench.errors


def test_a_customer_that_no_listing_shows_is_refused_after_a_404_without_a_code(
    bench: Bench, simulator: Simulator
) -> None:
    unknown = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
    simulator.add_fault(Fault(path=f"/v1/customers/{unknown}", status=404, body=HTML, times=None))

    assert bench.run(unknown).state is State.REFUSED
    assert len(bench.calls("GET", "/v1/customers")) == 3


def test_a_404_with_a_code_on_the_orders_of_a_listed_customer_is_waited_out(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 1000, "description": "Not found."}
    fault = Fault(method="GET", path="*/orders", status=404, body=body)
    outlasts(bench, simulator, customer, fault)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body=""),
        Fault(status=200, body=HTML),
        Fault(status=400, body={"code": 3000, "description": "Invalid."}),
        Fault(status=401),
        Fault(status=403, body={"code": 2032, "description": "Access denied."}),
        Fault(status=403, body=HTML),
        Fault(status=404, body={"code": 1000, "description": "Not found."}),
        Fault(status=404, body=HTML),
        Fault(status=500, body={"code": 800003, "description": "Failed."}),
        Fault(status=503),
    ],
)
def test_entitlements_that_cannot_be_read_stop_nothing_else(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
) -> None:
    caplog.set_level("INFO", "tipsweep")
    simulator.add_fault(replace(fault, path="*/entitlements", times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert not bench.errors
    event = "entitlements_forbidden" if fault.status == 403 else "entitlements_unread"
    assert event in caplog.text


def test_a_401_with_a_code_on_the_entitlements_is_a_token_that_is_not_accepted(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    fault = Fault(path="*/entitlements", status=401, body=MFA)
    outlasts(bench, simulator, customer, fault)
    assert "work_held_up cause=token" in caplog.text


def test_a_429_on_the_entitlements_puts_the_step_back(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    fault = Fault(path="*/entitlements", status=429, headers={"Retry-After": "0"})
    simulator.add_fault(fault)
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    assert not bench.calls("PATCH")
    assert "429" in bench.record(customer.tenant_id).last_error


@pytest.mark.parametrize("lost", [False, True], ids=["alone", "after a lost DELETE"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401, body=MFA, times=2),
        Fault(status=403, body=HTML),
        Fault(status=404, body=HTML),
        Fault(status=400, body=HTML),
        Fault(status=409),
    ],
    ids=lambda fault: str(fault.status),
)
def test_only_a_delete_that_was_certainly_not_done_can_be_aborted(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault, lost: bool
) -> None:
    """None of these is Partner Center's word on the DELETE that got no response before."""
    tenant = TenantId(customer.tenant_id)
    bench.drop(tenant)
    bench.pump(passes=1)
    if lost:
        simulator.add_fault(Fault(method="DELETE", drop=True))
    simulator.add_fault(replace(fault, method="DELETE"))

    bench.pump(passes=1)

    assert bench.record(tenant).state is (State.DELETING if lost else State.CHECKING)
    if lost:
        with pytest.raises(NotAbortable):
            abort(bench.services, tenant, "ann")
    else:
        abort(bench.services, tenant, "ann")
        assert bench.record(tenant).state is State.ABORTED


def seen(bench: Bench, customer: Customer) -> str:
    """Start a deletion that waits; return the glob of the customer's URLs."""
    customer.orders[0].cancel_after_seconds = 100
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    assert bench.record(customer.tenant_id).seen
    return f"/v1/customers/{customer.tenant_id}*"


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("listed", [False, True], ids=["new listing", "old listing"])
def test_a_seen_customer_that_is_gone_ends_as_deleted_without_a_code(
    bench: Bench, simulator: Simulator, customer: Customer, status: int, listed: bool
) -> None:
    """With the old listing, its orders are the first that respond so."""
    urls = seen(bench, customer)
    customer.deleted = True
    simulator.add_fault(Fault(path=urls, status=status, body=HTML, times=None))
    if not listed:
        bench.forget_customer_list()

    bench.pump(passes=2)

    record = bench.record(customer.tenant_id)
    assert (record.state, record.reason) == (State.DELETED, "the customer was already gone")
    assert not bench.calls("DELETE")


@pytest.mark.parametrize("status", [403, 404])
def test_a_delete_whose_response_was_lost_is_confirmed_without_a_code(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method="DELETE", drop=True, performed=True, times=None))
    url = f"/v1/customers/{customer.tenant_id}"
    simulator.add_fault(Fault(method="GET", path=url, status=status, body=HTML, times=None))

    bench.pump(passes=3)

    record = bench.record(customer.tenant_id)
    assert (record.state, record.reason) == (State.DELETED, "the customer was already gone")


@pytest.mark.parametrize(
    "listing",
    [
        None,
        Fault(path="/v1/customers", status=204, body="", times=None),
        Fault(path="/v1/customers", status=200, body={"items": [None]}, times=None),
        Fault(path="/v1/customers", status=403, body=HTML, times=None),
    ],
    ids=["lists it", "204", "cannot be read as a whole", "403"],
)
def test_a_seen_customer_is_not_gone_unless_a_listing_of_all_lacks_it(
    bench: Bench, simulator: Simulator, customer: Customer, listing: Fault | None
) -> None:
    urls = seen(bench, customer)
    simulator.add_fault(Fault(path=urls, status=403, body=HTML, times=None))
    if listing:
        simulator.add_fault(listing)
    bench.forget_customer_list()

    bench.pump(passes=3)

    assert bench.record(customer.tenant_id).live
    assert not bench.errors
    simulator.clear_faults()
    bench.pump()
    assert bench.record(customer.tenant_id).state is State.DELETED


def test_a_seen_customer_with_a_403_is_not_gone_for_a_listing_that_ends_after_76(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    urls = seen(bench, customer)
    simulator.add_fault(Fault(path=urls, status=403, body=HTML, times=None))
    rows = [{"id": f"5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c{n}"} for n in range(10, 86)]
    simulator.add_fault(Fault(path="/v1/customers", status=200, body={"items": rows}, times=None))

    bench.pump(passes=2)

    assert bench.record(customer.tenant_id).state is not State.DELETED


def test_a_customer_that_was_never_seen_is_not_refused_for_a_403_without_a_code(
    bench: Bench, simulator: Simulator
) -> None:
    unknown = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
    simulator.add_fault(Fault(path=f"/v1/customers/{unknown}", status=403, body=HTML, times=None))
    bench.drop(unknown)
    bench.pump(passes=4)

    assert bench.record(unknown).live


def test_a_403_with_a_code_does_not_make_a_seen_customer_gone(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    urls = seen(bench, customer)
    customer.deleted = True
    body = {"code": 2032, "description": "Access denied."}
    simulator.add_fault(Fault(path=urls, status=403, body=body, times=None))
    bench.forget_customer_list()

    bench.pump(passes=3)

    assert bench.record(customer.tenant_id).state is State.REFUSED
