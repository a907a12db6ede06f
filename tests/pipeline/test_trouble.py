"""Throttling, failures and lost responses: a deletion waits, goes on, or says why it ended."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.simulator import Behaviour, Customer, Fault, ProductKind, Simulator
from local.simulator.state.behaviour import BlockedDelete, ErrorBody, UnknownDelete
from shared.deletion.deletion import Deletion, first_message
from shared.deletion.submission import NotAbortable, abort
from shared.purchases.plan import make_plan
from shared.settings import CheckSettings
from shared.storage.names import CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
PENDING_OPERATION = {"code": 900278, "description": "Pending operation, try after 24 hours."}


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.mark.parametrize("call", [("GET", "*/orders"), ("PATCH", "*"), ("GET", "*/customers")])
def test_a_429_puts_the_message_back_with_its_delay(
    bench: Bench, simulator: Simulator, customer: Customer, call: tuple[str, str]
) -> None:
    method, path = call
    headers = {"Retry-After": "42"}
    simulator.add_fault(Fault(method=method, path=path, status=429, headers=headers))
    bench.drop(customer.tenant_id)

    assert bench.pump() == 1

    record = bench.record(customer.tenant_id)
    assert record.live
    assert not bench.errors
    assert bench.waiting(ORDERS_TO_CHECK) == 1
    assert record.next_check_at is not None
    wait = record.next_check_at - bench.services.now()
    assert timedelta(seconds=40) < wait < timedelta(seconds=54)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="GET", path="*/orders", status=503, times=3),
        Fault(method="PATCH", status=500, body={"code": 800003, "description": "x"}),
        Fault(method="PATCH", drop=True, times=3),
        Fault(method="PATCH", performed=True, drop=True, times=3),
        Fault(method="DELETE", drop=True, times=3),
        Fault(method="DELETE", performed=True, drop=True, times=3),
        Fault(method="GET", path="/v1/customers", status=404, times=7),
        Fault(method="GET", path="*/orders", status=403, body={"code": 800073, "description": "x"}),
        Fault(method="DELETE", performed=True, status=504, times=3),
        Fault(method="PATCH", status=409, body={"code": 800060, "description": "x"}),
        Fault(method="PATCH", status=412),
        Fault(path="*/token", drop=True, times=3),
    ],
    ids=lambda fault: f"{fault.method}-{fault.status or 'lost'}-{fault.performed}",
)
def test_trouble_passes_and_the_customer_is_deleted(
    bench: Bench, simulator: Simulator, customer: Customer, fault: Fault
) -> None:
    simulator.add_fault(fault)

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert customer.deleted
    assert not bench.errors


def test_a_failure_of_one_order_does_not_stop_the_others(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    first = customer.orders[0]
    body = {"code": 3000, "description": "Invalid property."}
    simulator.add_fault(Fault(path=f"*/orders/{first.id}", status=400, body=body))

    record = bench.run(customer.tenant_id)

    assert other.status == "cancelled"
    assert record.state is State.STUCK
    assert "400/3000" in record.reason


def test_short_retries_keep_the_request_id_and_all_calls_the_correlation_id(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=502, times=2))

    record = bench.run(customer.tenant_id)

    patches = bench.calls("PATCH")
    assert [call.status for call in patches] == [502, 502, 200]
    assert len({call.request_id for call in patches}) == 1
    assert len({call.request_id for call in bench.calls()}) == len(bench.calls()) - 2
    assert {call.correlation_id for call in bench.calls()} == {record.correlation_id}


def test_the_next_try_after_a_401_uses_a_new_token(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=401))

    record = bench.run(customer.tenant_id)

    tokens = [call for call in simulator.calls if call.path.endswith("/token")]
    assert record.state is State.DELETED
    assert len(tokens) == 2
    assert not bench.errors


@pytest.mark.parametrize(
    ("method", "code"),
    # A 403 on the PATCH of one purchase is no verdict on the credential.
    [("GET", 900421), ("PATCH", 900421), ("DELETE", 900421), ("GET", 900329), ("DELETE", 900329)],
)
def test_a_token_that_is_not_accepted_waits_for_a_person_past_the_deadline(
    bench: Bench, simulator: Simulator, customer: Customer, method: str, code: int
) -> None:
    status = 401 if code == 900421 else 403
    body = {"code": code, "description": "not accepted"}
    simulator.add_fault(Fault(method=method, path="/v1/*", status=status, body=body, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=8)
    bench.move_clock_to(bench.record(customer.tenant_id).deadline + SECOND)
    bench.pump(passes=2)

    waiting = bench.record(customer.tenant_id)
    assert waiting.live
    assert "not accepted" in waiting.last_error
    assert waiting.remedy
    simulator.clear_faults()
    bench.pump()

    assert customer.deleted
    assert bench.record(customer.tenant_id).state is State.DELETED
    assert not bench.errors


def test_deletions_wait_while_partner_center_stays_down_until_the_deadline(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(path="/v1/*", status=500, times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=8)
    assert bench.record(customer.tenant_id).live

    late = bench.record(customer.tenant_id).deadline + timedelta(seconds=1)
    bench.move_clock_to(late)
    bench.pump(passes=2)

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert record.remedy
    assert not bench.errors


def test_a_cancellation_that_never_ends_is_stuck_at_the_deadline(
    bench: Bench, customer: Customer
) -> None:
    slow = customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_polls=10_000)
    bench.drop(customer.tenant_id)
    bench.pump(passes=10)

    bench.move_clock_to(bench.record(customer.tenant_id).deadline)
    bench.pump()

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert slow.id in record.reason
    assert not bench.calls("DELETE")


@pytest.mark.parametrize("behaviour", list(BlockedDelete))
@pytest.mark.parametrize("body", list(ErrorBody))
def test_a_blocked_delete_sends_the_customer_back_to_checking(
    bench: Bench,
    simulator: Simulator,
    customer: Customer,
    behaviour: BlockedDelete,
    body: ErrorBody,
) -> None:
    simulator.behaviour = Behaviour(
        blocked_delete=behaviour, error_body=body, order_list_lag_seconds=70
    )
    customer.add_order(ProductKind.RESERVED_INSTANCE, age_days=0)

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert bench.calls("DELETE")[-1].status == 204


@pytest.mark.parametrize("behaviour", list(UnknownDelete))
def test_a_customer_deleted_by_somebody_else_meanwhile_is_success(
    bench: Bench, simulator: Simulator, customer: Customer, behaviour: UnknownDelete
) -> None:
    simulator.behaviour = Behaviour(unknown_delete=behaviour)
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    bench.deliver(CUSTOMERS_TO_DELETE, message)
    customer.deleted = True

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


@pytest.mark.parametrize("body", [None, {"code": 1000, "description": "Not found."}])
def test_a_404_on_an_order_is_not_taken_for_a_deleted_customer(
    bench: Bench, simulator: Simulator, customer: Customer, body: dict[str, Any] | None
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=404, body=body, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=8)

    assert bench.record(customer.tenant_id).live
    assert len(bench.calls("PATCH")) == 8
    assert not bench.errors
    assert not bench.calls("DELETE")


def test_a_wrong_base_url_is_not_taken_for_a_deleted_customer(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    bench.deliver(CUSTOMERS_TO_DELETE, message)
    bench.forget_customer_list()
    simulator.add_fault(Fault(path="/v1/*", status=404, times=None))

    bench.pump(passes=8)
    assert bench.record(customer.tenant_id).live
    bench.move_clock_to(bench.record(customer.tenant_id).deadline + SECOND)
    bench.pump()

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert "PARTNER_CENTER_BASE_URL" in record.reason
    assert not bench.errors


def test_a_customer_that_may_no_longer_be_read_is_not_taken_for_deleted(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=404, times=None))
    denied = {"code": 2032, "description": "Access denied."}
    path = f"/v1/customers/{customer.tenant_id}"
    simulator.add_fault(Fault(method="GET", path=path, status=403, body=denied, times=None))
    bench.run(simulator.sandbox.add_customer("other.onmicrosoft.com").tenant_id)
    simulator.add_fault(Fault(path="/v1/customers", status=200, body={"items": []}))

    record = bench.run(customer.tenant_id)

    assert record.state is State.REFUSED
    assert "Partner Center does not show tenant" in record.reason
    assert not customer.deleted


def test_a_cancellation_that_was_accepted_and_dropped_is_sent_again_after_a_long_wait(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    order = customer.orders[0]
    accepted = {"id": order.id, "status": "completed"}
    simulator.add_fault(Fault(method="PATCH", status=200, body=accepted, times=1))
    bench.drop(customer.tenant_id)
    bench.pump(passes=5)
    assert len(bench.calls("PATCH")) == 1
    assert bench.record(customer.tenant_id).live

    bench.give_checks_no_patience()
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert len(bench.calls("PATCH")) == 2


@pytest.mark.parametrize("status", [202, 302, 307])
def test_an_undocumented_response_to_a_delete_is_not_taken_for_deleted(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    simulator.add_fault(Fault(method="DELETE", status=status, body="", times=None))
    bench.drop(customer.tenant_id)
    bench.pump(passes=8)
    assert bench.record(customer.tenant_id).state is State.DELETING
    assert not bench.errors

    bench.move_clock_to(bench.record(customer.tenant_id).deadline)
    bench.pump(passes=3)

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert str(status) in record.reason


def test_an_outage_of_a_route_is_not_taken_for_a_deleted_customer(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(path="/v1/customers/*", status=404, times=None))
    bench.pump(passes=8)
    assert bench.record(customer.tenant_id).live
    assert not bench.errors

    simulator.clear_faults()
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


def test_throttling_while_a_deletion_is_confirmed_uses_no_try(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    customer.deleted = True
    headers = {"Retry-After": "0"}
    path = f"/v1/customers/{customer.tenant_id}"
    simulator.add_fault(Fault(method="GET", path=path, status=429, headers=headers, times=7))

    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert not bench.errors


def test_a_delete_with_a_lost_response_cannot_be_aborted_even_after_a_429(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    headers = {"Retry-After": "0"}
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method="DELETE", drop=True, performed=True, times=3))
    bench.pump(passes=1)
    bench.forget_customer_list()
    path = "/v1/customers"
    simulator.add_fault(Fault(method="GET", path=path, status=429, headers=headers, times=1))
    bench.pump(passes=1)

    with pytest.raises(NotAbortable):
        abort(bench.services, TenantId(customer.tenant_id), "ann")
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


def test_a_delete_that_is_busy_after_a_lost_response_still_cannot_be_aborted(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    """The first DELETE may be what is in progress."""
    busy = {"code": 800060, "description": "in progress"}
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method="DELETE", status=503, times=1))
    simulator.add_fault(Fault(method="DELETE", status=409, body=busy, times=1))
    bench.pump(passes=1)

    with pytest.raises(NotAbortable):
        abort(bench.services, TenantId(customer.tenant_id), "ann")
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED


def test_what_a_step_has_learned_survives_a_401(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    slow = customer.orders[0]
    slow.cancel_after_seconds = 200
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    simulator.add_fault(Fault(method="PATCH", path=f"*/{other.id}", status=401, times=2))

    record = bench.run(customer.tenant_id)

    assert record.state is State.DELETED
    assert [call.status for call in bench.calls("PATCH", slow.id)] == [200]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": 800094, "description": "Update failed."}),
        (403, {"code": 900308, "description": "Insufficient privileges."}),
    ],
)
def test_one_purchase_that_always_fails_does_not_block_the_others(
    bench: Bench, simulator: Simulator, customer: Customer, status: int, body: dict[str, Any]
) -> None:
    first = customer.orders[0]
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    fault = Fault(method="PATCH", path=f"*/{first.id}", status=status, body=body, times=None)
    simulator.add_fault(fault)

    bench.drop(customer.tenant_id)
    bench.pump(passes=4)

    assert other.status == "cancelled"


def test_a_403_on_one_purchase_still_leads_to_one_delete(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.AZURE_PLAN)
    body = {"code": 900308, "description": "Insufficient privileges."}
    simulator.add_fault(Fault(method="POST", path="*/cancel", status=403, body=body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "900308" in record.reason
    assert len(bench.calls("DELETE")) == 1


@pytest.mark.parametrize("header", ["0", "1"])
def test_a_short_retry_after_that_comes_again_backs_off(
    bench: Bench, simulator: Simulator, customer: Customer, header: str
) -> None:
    fault = Fault(path="*/orders", status=429, headers={"Retry-After": header}, times=None)
    simulator.add_fault(fault)
    bench.use()
    settings = replace(bench.services.settings, checks=CheckSettings(SECOND, 300 * SECOND, DAY))
    bench.put(bench.with_settings(settings))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)

    record = replace(bench.record(customer.tenant_id), attempt=9)
    delay = Deletion.of(bench.services, record).delay(float(header))

    assert bench.record(customer.tenant_id).attempt == 1
    assert delay > timedelta(seconds=30)


def test_an_endless_retry_after_is_limited(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    headers = {"Retry-After": "9" * 20}
    simulator.add_fault(Fault(path="*/orders", status=429, headers=headers))
    bench.drop(customer.tenant_id)

    bench.pump()

    record = bench.record(customer.tenant_id)
    assert record.next_check_at is not None
    assert record.next_check_at - bench.services.now() < timedelta(hours=31)
    assert not bench.errors


def test_an_order_that_is_not_found_once_is_read_again(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 20000, "description": "Order not found."}
    simulator.add_fault(Fault(method="PATCH", status=404, body=body))

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_busy_delete_is_not_a_final_rejection(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.NCE_LICENCES, age_days=20)
    body = {"code": 800060, "description": "In progress."}
    simulator.add_fault(Fault(method="DELETE", status=409, body=body))

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_azure_subscriptions_that_show_up_late_are_found(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.AZURE_PLAN)
    simulator.add_fault(Fault(path="*/azureEntitlements", status=200, body={"items": []}))

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_an_azure_plan_without_a_way_to_cancel_below_it_is_not_tried(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    customer.add_order(ProductKind.AZURE_PLAN, azure_subscriptions=1)
    body = {"code": 900307, "description": "Invalid reason."}
    simulator.add_fault(Fault(method="POST", path="*/cancel", status=400, body=body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert not bench.calls("PATCH", "/subscriptions/")


def test_a_short_loss_of_the_right_to_entitlements_is_forgotten(
    bench: Bench, simulator: Simulator, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    simulator.add_fault(Fault(path="*/entitlements", status=401))

    bench.run(customer.tenant_id)

    assert not bench.services.connection.tokens.entitlements_forbidden
    assert "entitlements_forbidden" not in caplog.text


@pytest.mark.parametrize("code", [2032, 900309])
def test_a_403_on_the_entitlements_of_one_customer_leaves_those_of_the_others_readable(
    bench: Bench, simulator: Simulator, customer: Customer, code: int
) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=True)
    other = simulator.sandbox.add_customer("other.onmicrosoft.com")
    body = {"code": code, "description": "Access denied."}
    path = f"*/{customer.tenant_id}/entitlements"
    simulator.add_fault(Fault(path=path, status=403, body=body, times=None))

    bench.run(customer.tenant_id)
    bench.run(other.tenant_id)

    assert [call.status for call in bench.calls("GET", f"{other.tenant_id}/entitlements")] == [200]


def test_an_operation_that_blocks_for_24_hours_is_not_repeated_before(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    blocked = customer.orders[0]
    path = f"*/{blocked.id}"
    fault = Fault(method="PATCH", path=path, status=409, body=PENDING_OPERATION, times=None)
    simulator.add_fault(fault)
    bench.drop(customer.tenant_id)

    bench.pump()

    record = bench.record(customer.tenant_id)
    assert record.live
    assert record.next_check_at is not None
    assert record.next_check_at - bench.services.now() > timedelta(hours=23, minutes=59)
    assert len(bench.calls("PATCH", blocked.id)) == 1
    assert other.status == "cancelled"


def test_an_order_that_was_updated_too_often_is_not_updated_again(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"code": 900311, "description": "Updated too many times, contact support."}
    simulator.add_fault(Fault(method="PATCH", status=400, body=body, times=None))

    record = bench.run(customer.tenant_id)

    assert record.state is State.STUCK
    assert "900311" in record.reason
    assert len(bench.calls("PATCH")) == 1


BLOCKED = "<html><title>The request is blocked.</title></html>"


@pytest.mark.parametrize("status", [400, 403, 405, 409, 412, 415, 451])
@pytest.mark.parametrize("kind", [ProductKind.RESERVED_INSTANCE, ProductKind.NCE_LICENCES])
def test_a_cancellation_that_got_a_4xx_without_a_code_is_sent_again(
    bench: Bench, simulator: Simulator, kind: ProductKind, status: int
) -> None:
    """Something in front of Partner Center may have made it."""
    customer = simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com")
    customer.add_order(kind)
    simulator.add_fault(Fault(method="PATCH", status=status, body=BLOCKED, times=2))

    record = bench.run(customer.tenant_id)

    assert [call.status for call in bench.calls("PATCH")] == [status, status, 200]
    assert record.state is State.DELETED
    assert not bench.errors


def test_a_name_is_no_code_of_partner_center(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    body = {"error": {"code": "RequestBlocked", "message": "Blocked by policy."}}
    simulator.add_fault(Fault(method="PATCH", status=403, body=body))

    assert bench.run(customer.tenant_id).state is State.DELETED


def test_a_lasting_4xx_without_a_code_ends_at_the_deadline_with_a_true_reason(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    path = f"*/orders/{customer.orders[0].id}"
    simulator.add_fault(Fault("PATCH", path, status=403, body=BLOCKED, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=4)
    before = bench.record(customer.tenant_id)
    bench.move_clock_to(before.deadline + SECOND)
    bench.pump()

    record = bench.record(customer.tenant_id)
    assert before.live
    assert other.status == "cancelled"
    assert record.state is State.STUCK
    assert "403" in record.reason
    assert not bench.calls("DELETE")


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirected_cancellation_is_sent_again_at_the_next_check(
    bench: Bench, simulator: Simulator, customer: Customer, status: int
) -> None:
    slow = customer.add_order(ProductKind.RESERVED_INSTANCE, cancel_after_seconds=200)
    redirected = customer.orders[0]
    path = f"*/orders/{redirected.id}"
    simulator.add_fault(Fault(method="PATCH", path=path, status=status, body="", times=2))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)
    entry = make_plan(bench.record(customer.tenant_id).purchases, bench.services.now()).open[0]
    bench.pump()

    assert entry.purchase.id == redirected.id
    assert str(status) in entry.reason
    assert [call.status for call in bench.calls("PATCH", redirected.id)] == [status, status, 200]
    assert [call.status for call in bench.calls("PATCH", slow.id)] == [200]
    assert bench.record(customer.tenant_id).state is State.DELETED


def check_at(bench: Bench, tenant: str, timestamp: datetime) -> None:
    """Take the next step at this time, although its message is still invisible."""
    bench.move_clock_to(timestamp)
    bench.drop(first_message(bench.record(tenant)).to_json(), ORDERS_TO_CHECK)
    bench.pump(passes=1)


def test_a_wait_of_24_hours_is_kept_while_another_order_fails(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    blocked = customer.orders[0]
    failing = customer.add_order(ProductKind.RESERVED_INSTANCE)
    for order, status, body in [(blocked, 409, PENDING_OPERATION), (failing, 503, None)]:
        path = f"*/{order.id}"
        simulator.add_fault(Fault(method="PATCH", path=path, status=status, body=body, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=20)
    before = len(bench.calls("PATCH", blocked.id))
    bench.move_clock_to(bench.services.now() + DAY + SECOND)
    bench.pump(passes=1)

    assert before == 1
    assert len(bench.calls("PATCH", failing.id)) >= 20
    assert len(bench.calls("PATCH", blocked.id)) == 2


def test_each_order_is_sent_again_when_its_own_wait_is_over(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    short, long = customer.orders[0], customer.add_order(ProductKind.RESERVED_INSTANCE)
    headers = {"Retry-After": "5"}
    simulator.add_fault(Fault(path=f"*/{short.id}", status=409, headers=headers))
    simulator.add_fault(Fault(path=f"*/{long.id}", status=409, body=PENDING_OPERATION))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)
    first = bench.record(customer.tenant_id)
    assert first.next_check_at is not None
    check_at(bench, customer.tenant_id, first.next_check_at + SECOND)
    second = bench.record(customer.tenant_id)
    patches = [len(bench.calls("PATCH", order.id)) for order in (short, long)]
    assert second.next_check_at is not None
    check_at(bench, customer.tenant_id, second.next_check_at)

    assert first.next_check_at - first.requested_at < timedelta(seconds=60)
    assert patches == [2, 1]
    assert second.next_check_at - first.requested_at >= DAY
    assert [call.status for call in bench.calls("PATCH", long.id)] == [409, 200]
    assert DAY <= second.granted - first.granted == second.deadline - first.deadline


def test_a_retry_after_of_0_on_one_order_waits_for_the_next_check(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    headers = {"Retry-After": "0"}
    simulator.add_fault(Fault(method="PATCH", status=409, headers=headers, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=3)

    assert len(bench.calls("PATCH")) == 3


def test_of_two_failures_the_longer_retry_after_is_kept(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    for order, seconds in [(customer.orders[0], "600"), (other, "5")]:
        headers = {"Retry-After": seconds}
        simulator.add_fault(Fault(path=f"*/{order.id}", status=503, headers=headers))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    record = bench.record(customer.tenant_id)
    assert record.next_check_at is not None
    assert record.next_check_at - bench.services.now() > timedelta(seconds=590)


def test_a_wait_that_a_delete_asks_for_moves_the_deadline(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="DELETE", status=409, body=PENDING_OPERATION))

    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    before = bench.record(customer.tenant_id)
    bench.pump()
    waiting = bench.record(customer.tenant_id)
    assert waiting.next_check_at is not None
    check_at(bench, customer.tenant_id, waiting.next_check_at)
    bench.pump()

    assert bench.record(customer.tenant_id).state is State.DELETED
    assert DAY <= waiting.granted == waiting.deadline - before.deadline


def test_a_wait_that_a_delete_asks_for_after_the_deadline_is_kept(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(Fault(method="DELETE", status=409, body=PENDING_OPERATION, times=2))
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    bench.move_clock_to(bench.record(customer.tenant_id).deadline + SECOND)

    bench.pump()
    waiting = bench.record(customer.tenant_id)
    assert waiting.next_check_at is not None
    check_at(bench, customer.tenant_id, waiting.next_check_at)
    bench.pump()

    assert [call.status for call in bench.calls("DELETE")] == [409, 409]
    assert bench.record(customer.tenant_id).live
