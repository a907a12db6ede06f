"""Deletions wait for a person who repairs the sign-in, and go on by themselves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from local.simulator import Customer, Fault, ProductKind, Simulator
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.partner_center.refusals import BY_CODE
from shared.partner_center.token_refusals import RIGHTS_CODES
from shared.storage.names import QUEUES
from shared.storage.records import State
from tests.bench import UNHURRIED, Bench
from tests.local_budget import LocalBudget
from tests.partner_center.test_refusals import CAUSES

TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
EXPIRED = Fault(
    path="*/token",
    status=401,
    body={"error": "invalid_client", "error_description": "AADSTS7000222: secret expired"},
    times=None,
)


class Clock:
    """A clock in seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def customers(simulator: Simulator) -> list[Customer]:
    customers = [
        simulator.sandbox.add_customer(f"tipdemo{number:03}.onmicrosoft.com") for number in range(5)
    ]
    for customer in customers:
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customers


def tries(simulator: Simulator) -> int:
    return sum(call.path.endswith("/token") for call in simulator.calls)


def with_pause(bench: Bench, clock: Clock) -> None:
    """Give the handlers a sign-in that pauses as it does in Azure."""
    settings = bench.services.settings.partner_center
    tokens = TokenSource(settings, monotonic=clock)
    connection = Connection(settings.endpoints.base_url, tokens, LocalBudget(UNHURRIED))
    bench.put(replace(bench.services, connection=connection))


def test_five_deletions_ask_once_a_minute_and_go_on_by_themselves(
    bench: Bench,
    simulator: Simulator,
    customers: list[Customer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    with_pause(bench, clock)
    simulator.add_fault(EXPIRED)
    for customer in customers:
        bench.drop(customer.tenant_id)

    for minute in range(3):
        clock.now = minute * 60
        bench.pump(passes=4)

    assert tries(simulator) == 3
    assert sum(message.startswith("sign_in_failed ") for message in caplog.messages) == 3
    assert sum(bench.waiting(queue) for queue in QUEUES) == 5
    assert all(bench.record(customer.tenant_id).live for customer in customers)

    simulator.clear_faults()
    bench.pump(passes=2)
    assert tries(simulator) == 3
    clock.now = 180
    bench.pump()

    assert tries(simulator) == 4
    assert all(customer.deleted for customer in customers)
    assert not bench.errors


def test_the_record_says_what_to_do_until_it_is_done(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    tenant = customers[0].tenant_id
    simulator.add_fault(EXPIRED)
    bench.drop(tenant)

    bench.pump(passes=2)

    waiting = bench.record(tenant)
    assert waiting.live
    assert "AADSTS7000222" in waiting.last_error
    assert waiting.remedy.startswith("Create another client secret")

    simulator.clear_faults()
    bench.pump(passes=1)
    assert bench.record(tenant).remedy == ""
    bench.pump()

    assert customers[0].deleted
    assert not bench.errors


def test_a_wrong_tenant_holds_deletions_up_and_is_named(
    bench: Bench, customers: list[Customer], caplog: pytest.LogCaptureFixture
) -> None:
    bench.use(PARTNER_TENANT_ID=TENANT, SANDBOX_TENANT_CONFIRMATION=TENANT)
    bench.drop(customers[0].tenant_id)

    bench.pump(passes=7)

    record = bench.record(customers[0].tenant_id)
    assert record.live
    assert "PARTNER_TENANT_ID" in record.last_error
    held_up = [line for line in caplog.messages if line.startswith("work_held_up ")]
    assert held_up
    assert all(line.startswith("work_held_up cause=sign_in remedy=") for line in held_up)
    assert not bench.errors


def test_throttling_of_the_sign_in_moves_the_deadline(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    tenant = customers[0].tenant_id
    headers = {"Retry-After": "120"}
    simulator.add_fault(Fault(path="*/token", status=429, body="busy", headers=headers))
    bench.drop(tenant)

    bench.pump(passes=7)

    record = bench.record(tenant)
    assert record.live
    assert record.failures == 0
    assert record.parked_since is not None
    assert record.next_check_at is not None
    assert record.next_check_at - bench.services.now() > timedelta(seconds=110)
    assert not bench.errors


def test_an_outage_of_the_sign_in_in_the_middle_of_a_step_moves_the_deadline(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    """Tokens that end at once are renewed before each call."""
    tenant = customers[0].tenant_id
    simulator.behaviour = replace(simulator.behaviour, token_lifetime_seconds=200)
    simulator.add_fault(Fault(path="*/token", delay_seconds=0.001, times=2))
    simulator.add_fault(Fault(path="*/token", status=503, times=None))
    bench.drop(tenant)

    bench.pump(passes=1)

    record = bench.record(tenant)
    assert bench.calls()
    assert record.live
    assert record.parked_since is not None
    assert record.remedy == ""


@pytest.mark.parametrize("auth", ["certificate", "federated", "user"])
def test_throttling_of_the_sign_in_ends_nothing_in_any_mode(
    bench: Bench, simulator: Simulator, customers: list[Customer], auth: str
) -> None:
    bench.use(**simulator.environment(auth=auth))
    headers = {"Retry-After": "0"}
    path = "*/oauth2/v2.0/token"
    simulator.add_fault(Fault(path=path, status=429, body="busy", headers=headers, times=8))
    bench.drop(customers[0].tenant_id)

    bench.pump()

    assert customers[0].deleted
    assert not bench.errors


@pytest.mark.parametrize("auth", ["secret", "certificate", "user"])
def test_a_token_that_expires_in_the_middle_of_a_deletion_is_renewed(
    bench: Bench, simulator: Simulator, customers: list[Customer], auth: str
) -> None:
    """Without federated sign-in: there, azure-identity waits 30 seconds before it renews."""
    bench.use(**simulator.environment(auth=auth))
    simulator.behaviour = replace(simulator.behaviour, token_lifetime_seconds=200)
    bench.drop(customers[0].tenant_id)
    bench.pump(passes=1)
    before = tries(simulator)

    bench.pump()

    assert customers[0].deleted
    assert tries(simulator) > before
    assert not bench.errors


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("auth", ["certificate", "user"])
def test_a_vault_that_goes_away_in_the_middle_of_a_deletion_ends_nothing(
    bench: Bench,
    customers: list[Customer],
    auth: str,
    method: str,
) -> None:
    simulator = bench.simulator
    bench.use(**simulator.environment(auth=auth))
    simulator.behaviour = replace(simulator.behaviour, token_lifetime_seconds=200)
    bench.drop(customers[0].tenant_id)
    bench.pump(passes=1)
    simulator.add_fault(Fault(method=method, path="/secrets/*", status=503, times=None))

    bench.pump()

    assert customers[0].deleted
    assert not bench.errors


def test_a_rejected_token_is_logged_as_one_cause_with_its_remedy(
    bench: Bench, simulator: Simulator, customers: list[Customer], caplog: pytest.LogCaptureFixture
) -> None:
    body = {"code": 900421, "description": "MFA claim missing."}
    simulator.add_fault(Fault(path="/v1/*", status=401, body=body, times=None))
    bench.drop(customers[0].tenant_id)

    bench.pump(passes=1)

    held_up = [line for line in caplog.messages if line.startswith("work_held_up ")]
    assert len(held_up) == 1
    assert held_up[0].startswith('work_held_up cause=token remedy="Require MFA')
    assert not [line for line in caplog.messages if line.startswith("sign_in_failed ")]


FORBIDDEN = {
    900329: ("kind of credential", "PARTNER_CENTER_AUTH=user"),
    900309: ("conditional access", "Exclude the application from the policy"),
}


def forbid_cancellations(simulator: Simulator, customer: Customer, code: int) -> None:
    body = {"code": code, "description": "Not for you."}
    path = f"/v1/customers/{customer.tenant_id}/*"
    for method in ("PATCH", "POST"):
        simulator.add_fault(Fault(method, path, status=403, body=body, times=None))


@pytest.mark.parametrize("code", FORBIDDEN)
@pytest.mark.parametrize(
    "kind", [kind for kind in ProductKind if kind is not ProductKind.SAVINGS_PLAN]
)
def test_a_credential_that_may_not_cancel_is_waited_for(
    bench: Bench, simulator: Simulator, kind: ProductKind, code: int
) -> None:
    customer = simulator.sandbox.add_customer("tipdemo900.onmicrosoft.com")
    customer.add_order(kind)
    forbid_cancellations(simulator, customer, code)
    bench.drop(customer.tenant_id)

    bench.pump(passes=6)

    assert bench.record(customer.tenant_id).live
    assert not bench.calls("DELETE")
    simulator.clear_faults()
    bench.pump()
    assert customer.deleted
    assert not bench.errors


@pytest.mark.parametrize("code", FORBIDDEN)
def test_a_credential_that_may_not_cancel_says_what_to_do_until_it_is_done(
    bench: Bench,
    simulator: Simulator,
    customers: list[Customer],
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    customer, other = customers[:2]
    forbid_cancellations(simulator, customer, code)
    bench.drop(customer.tenant_id)
    bench.drop(other.tenant_id)

    bench.pump(passes=3)

    said, remedy = FORBIDDEN[code]
    waiting = bench.record(customer.tenant_id)
    assert other.deleted
    assert waiting.live
    assert waiting.parked_since is None
    assert said in waiting.last_error
    assert remedy in waiting.remedy
    held_up = [line for line in caplog.messages if line.startswith("work_held_up cause=token ")]
    assert held_up
    assert remedy in held_up[0]

    simulator.clear_faults()
    customer.orders[0].cancel_after_seconds = 200
    bench.pump(passes=1)
    assert bench.record(customer.tenant_id).live
    assert bench.record(customer.tenant_id).remedy == ""
    bench.pump()

    assert customer.deleted
    assert not bench.errors


def test_a_credential_that_may_not_cancel_by_the_deadline_is_what_the_deletion_ends_with(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    customer = customers[0]
    forbid_cancellations(simulator, customer, 900329)
    bench.drop(customer.tenant_id)
    bench.pump(passes=3)
    deadline = bench.record(customer.tenant_id).deadline

    bench.move_clock_to(deadline + timedelta(seconds=1))
    bench.pump(passes=1)
    assert bench.record(customer.tenant_id).live
    bench.pump(passes=1)

    record = bench.record(customer.tenant_id)
    assert record.state is State.STUCK
    assert record.deadline == deadline
    assert "403/900329" in record.reason
    assert "PARTNER_CENTER_AUTH=user" in record.remedy
    assert not bench.calls("DELETE")
    assert not bench.errors


def test_a_purchase_that_the_credential_may_not_cancel_does_not_block_the_others(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    customer = customers[0]
    first = customer.orders[0]
    other = customer.add_order(ProductKind.RESERVED_INSTANCE)
    body = {"code": 900329, "description": "Not for you."}
    path = f"*/orders/{first.id}"
    simulator.add_fault(Fault("PATCH", path, status=403, body=body, times=None))
    bench.drop(customer.tenant_id)

    bench.pump(passes=1)

    assert other.status == "cancelled"
    assert first.status != "cancelled"


@pytest.mark.parametrize("code", RIGHTS_CODES)
@pytest.mark.parametrize("path", ["/v1/customers", "*/orders", "*/subscriptions"])
def test_a_right_that_somebody_gives_in_time_ends_no_deletion(
    bench: Bench, simulator: Simulator, customers: list[Customer], path: str, code: str
) -> None:
    body = {"code": int(code), "description": "Access denied."}
    simulator.add_fault(Fault("GET", path, status=403, body=body, times=None))
    bench.drop(customers[0].tenant_id)

    bench.pump(passes=8)

    waiting = bench.record(customers[0].tenant_id)
    assert waiting.live
    assert waiting.failures == 0
    assert f"403/{code}" in waiting.last_error
    assert "Admin agent" in waiting.remedy
    simulator.clear_faults()
    bench.pump()

    assert customers[0].deleted
    assert not bench.errors


def test_a_right_that_nobody_gives_is_what_the_deletion_ends_with(
    bench: Bench, simulator: Simulator, customers: list[Customer]
) -> None:
    body = {"code": 900308, "description": "Insufficient privileges."}
    simulator.add_fault(Fault("GET", "*/orders", status=403, body=body, times=None))
    tenant = customers[0].tenant_id
    bench.drop(tenant)
    bench.pump(passes=3)

    bench.move_clock_to(bench.record(tenant).deadline + timedelta(seconds=1))
    bench.pump()

    record = bench.record(tenant)
    assert record.state is State.STUCK
    assert "403/900308" in record.reason
    assert "Admin agent" in record.remedy
    assert not bench.errors


@pytest.mark.parametrize("code", [cause[0] for cause in CAUSES])
def test_no_refusal_that_is_repaired_in_time_ends_a_deletion(
    bench: Bench, simulator: Simulator, customers: list[Customer], code: int
) -> None:
    body = {"error": "invalid_grant", "error_description": f"AADSTS{code}: no"}
    simulator.add_fault(Fault(path="*/oauth2/v2.0/token", status=400, body=body, times=None))
    tenant = customers[0].tenant_id
    bench.drop(tenant)

    bench.pump(passes=8)
    bench.move_clock_to(bench.record(tenant).deadline + timedelta(seconds=1))
    bench.pump(passes=2)

    waiting = bench.record(tenant)
    assert waiting.live
    assert f"AADSTS{code}" in waiting.last_error
    assert waiting.remedy == BY_CODE[code].remedy
    simulator.clear_faults()
    bench.pump()

    assert customers[0].deleted
    assert not bench.errors


VAULT = [(status, "/secrets/*") for status in (400, 401, 403, 404, 429, 500)]
IDENTITY = [(status, "/msi/token") for status in (400, 403, 404, 429, 500)]


@pytest.mark.parametrize("auth", ["certificate", "user"])
@pytest.mark.parametrize(("status", "path"), VAULT + IDENTITY)
def test_no_trouble_with_vault_or_identity_ends_a_deletion(
    bench: Bench, customers: list[Customer], auth: str, status: int, path: str
) -> None:
    bench.use(**bench.simulator.environment(auth=auth))
    headers = {"Retry-After": "0"} if status == 429 else {}
    bench.simulator.add_fault(Fault(path=path, status=status, headers=headers, times=None))
    tenant = customers[0].tenant_id
    bench.drop(tenant)

    bench.pump(passes=8)
    bench.move_clock_to(bench.record(tenant).deadline + timedelta(seconds=1))
    bench.pump(passes=2)

    assert bench.record(tenant).live
    bench.simulator.clear_faults()
    bench.pump()

    assert customers[0].deleted
    assert not bench.errors
