"""Bad messages start nothing, end in the poison queue at once, and leave their reason."""

import base64
import json
import os
from collections.abc import Callable

import pytest
from azure.functions.queue import QueueMessage

from functions.cancel_orders import cancel_orders
from local.simulator import Customer, ProductKind, Simulator
from shared.deletion.messages import DeletionRequest, Parcel, StepMessage
from shared.deletion.submission import submit
from shared.environment import SettingsError
from shared.settings import settings
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_SUFFIX,
    QUEUES,
)
from shared.storage.records import DeletionRecord, State
from shared.tenants import TenantId
from tests.bench import Bench, failing_orders

GOOD = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
NOISE = base64.b85encode(os.urandom(39_000)).decode()[:48_000].replace("<", "x").replace("&", "x")

BAD = {
    "not a GUID": "contoso.onmicrosoft.com",
    "GUID without hyphens": GOOD.replace("-", ""),
    "empty GUID": "00000000-0000-0000-0000-000000000000",
    "blank": "   ",
    "empty JSON string": '""',
    "noise": NOISE,
    "empty array": "[]",
    "array in an array": f'[["{GOOD}"]]',
    "number": "42",
    "no tenantId": "{}",
    "tenantId of wrong type": '{"tenantId": 7}',
    "repeated member": f'{{"tenantId": "{GOOD}", "tenantId": "{GOOD}"}}',
    "broken JSON": '{"tenantId": ',
    "deep JSON": "[" * 20_000,
    "GUID with a tail": GOOD + "/orders",
}
BAD_WITH_TENANT = {
    "unknown member": f'{{"tenantId": "{GOOD}", "force": true}}',
    "requestedBy of wrong type": f'{{"tenantId": "{GOOD}", "requestedBy": 1}}',
    "long requestedBy": json.dumps({"tenantId": GOOD, "requestedBy": "x" * 201}),
}
BAD_DRY_RUN: dict[str, dict[str, object]] = {
    "dry run with requestedBy of wrong type": {"dryRun": True, "requestedBy": 5},
    "dry run with an unknown member": {"dryRun": True, "force": True},
    "dryRun as text": {"dryRun": "true"},
    "dryRun as null": {"dryRun": None},
    "dryRun in lower case": {"dryrun": True},
    "dry run that we forward": {
        "version": 1,
        "dryRun": True,
        "requestedBy": "",
        "droppedAt": None,
        "attempt": -1,
    },
}
BAD_DRY_RUNS = {
    name: json.dumps({"tenantId": GOOD, **members}) for name, members in BAD_DRY_RUN.items()
}
EVERY = {**BAD, **BAD_WITH_TENANT, **BAD_DRY_RUNS}


@pytest.mark.parametrize("text", EVERY.values(), ids=EVERY.keys())
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_a_bad_message_ends_in_the_record_of_poison_with_its_reason(
    bench: Bench, caplog: pytest.LogCaptureFixture, text: str, encoded: bool
) -> None:
    sent = base64.b64encode(text.encode()).decode() if encoded else text
    bench.drop(sent[:65_000])

    bench.pump()

    (row,) = bench.poisoned()
    assert row["queue"] == CUSTOMERS_TO_DELETE
    assert row["reason"]
    assert row["body"] == sent[:500]
    assert "message_rejected" in caplog.text
    assert "message_poisoned" in caplog.text
    assert not bench.simulator.calls
    assert not bench.errors


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00bad", base64.b64encode(b"\xff\xfe bad")])
def test_what_is_not_text_is_kept_too(bench: Bench, body: bytes) -> None:
    cancel_orders(QueueMessage(id="m", body=body))

    bench.pump()

    (row,) = bench.poisoned()
    assert row["reason"]


@pytest.mark.parametrize("text", BAD_WITH_TENANT.values(), ids=BAD_WITH_TENANT.keys())
def test_a_bad_message_that_names_its_tenant_leaves_a_refused_record(
    bench: Bench, text: str
) -> None:
    record = None
    bench.drop(text)
    bench.pump()

    record = bench.record(GOOD)
    assert record.state is State.REFUSED
    assert record.reason == bench.poisoned()[0]["reason"]


@pytest.mark.parametrize("text", BAD_DRY_RUNS.values(), ids=BAD_DRY_RUNS.keys())
@pytest.mark.parametrize(
    "form",
    [str, lambda text: f"[{text}]", lambda text: base64.b64encode(text.encode()).decode()],
    ids=["plain", "array", "base64"],
)
def test_a_bad_message_that_may_be_a_dry_run_is_listed_and_leaves_no_record(
    bench: Bench, text: str, form: Callable[[str], str]
) -> None:
    bench.drop(form(text))

    bench.pump()

    (row,) = bench.poisoned()
    assert row["tenant"] == GOOD
    assert row["reason"]
    assert bench.services.records.get(TenantId(GOOD)) is None
    (entry,) = bench.services.history.page(TenantId(GOOD), "", 10)
    assert entry.kind == "rejected"


def test_a_bad_message_that_asks_for_no_dry_run_leaves_a_refused_record(bench: Bench) -> None:
    bench.drop(json.dumps({"tenantId": GOOD, "dryRun": False, "requestedBy": 5}))

    bench.pump()

    assert bench.record(GOOD).state is State.REFUSED


def test_a_bad_message_does_not_touch_a_deletion_in_progress(
    bench: Bench, simulator: Simulator
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=GOOD)
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=50)
    bench.drop(GOOD)
    bench.pump(passes=1)

    bench.drop(BAD_WITH_TENANT["unknown member"])
    bench.pump()

    assert bench.record(GOOD).state is State.DELETED


@pytest.mark.parametrize(
    "text",
    [
        GOOD.upper(),
        "{" + GOOD + "}",
        f"  {GOOD}\r\n",
        f'"{GOOD}"',
        "\ufeff" + GOOD,
        json.dumps({"tenantId": GOOD.upper(), "requestedBy": "ann", "dryRun": False}),
    ],
)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_every_form_of_a_tenant_id_is_accepted(
    bench: Bench, simulator: Simulator, text: str, encoded: bool
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=GOOD)
    bench.drop(base64.b64encode(text.encode()).decode() if encoded else text)

    bench.pump()

    assert bench.record(GOOD).state is State.DELETED
    assert customer.deleted


@pytest.mark.parametrize("queue", [ORDERS_TO_CHECK, CUSTOMERS_READY])
@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "noise",
        "{}",
        f'{{"version": 2, "tenantId": "{GOOD}", "generation": 1, "correlationId": "c"}}',
        f'{{"version": 1, "tenantId": "{GOOD}", "generation": 0, "correlationId": "c"}}',
        f'{{"version": 1, "tenantId": "{GOOD}", "generation": true, "correlationId": "c"}}',
    ],
)
def test_a_foreign_message_on_our_own_queues_is_set_aside(
    bench: Bench, queue: str, text: str
) -> None:
    bench.drop(text, queue)

    bench.pump()

    assert [row["queue"] for row in bench.poisoned()] == [queue]
    assert not bench.simulator.calls


@pytest.mark.parametrize("queue", QUEUES)
def test_a_rejected_parcel_is_not_opened_any_further(
    bench: Bench, customer_in_progress: Customer, queue: str
) -> None:
    record = bench.record(customer_in_progress.tenant_id)
    inner = GOOD if queue == CUSTOMERS_TO_DELETE else step_of(record, record.generation)
    bench.simulator.sandbox.add_customer("d.onmicrosoft.com", tenant_id=GOOD)
    for _ in range(2):
        inner = Parcel(inner.encode(), bench.services.now()).sealed()
    bench.drop(inner, queue)
    *_, message = iter(lambda: bench.take(queue), None)

    bench.deliver(queue, message)
    waiting = [bench.waiting(each) for each in QUEUES]
    bench.pump(passes=1)

    (row,) = bench.poisoned()
    assert "was not put back itself" in row["reason"]
    assert bench.services.records.get(TenantId(GOOD)) is None
    assert [bench.waiting(each) for each in QUEUES] == waiting


def test_missing_settings_are_named_at_first_use_and_the_message_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services._built", [])
    for name in ("PARTNER_TENANT_ID", "SANDBOX_TENANT_CONFIRMATION", "PARTNER_CENTER_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SWEEP_MODE", "all")
    settings.cache_clear()
    bench.drop(GOOD)

    bench.pump(passes=7)

    error = str(bench.errors[0])
    assert isinstance(bench.errors[0], SettingsError)
    for name in ("PARTNER_TENANT_ID", "PARTNER_CENTER_CLIENT_SECRET", "SWEEP_MODE"):
        assert name in error
    assert bench.waiting(CUSTOMERS_TO_DELETE + POISON_SUFFIX) == 1


@pytest.mark.parametrize("known", [False, True], ids=["without record", "with record"])
def test_a_message_that_fails_every_time_ends_as_stuck_with_its_reason(
    bench: Bench, simulator: Simulator, known: bool
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=GOOD)
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=50)
    if known:
        bench.drop(GOOD)
        bench.pump(passes=1)
    simulator.add_fault(failing_orders())

    record = bench.run(GOOD)

    assert record.state is State.STUCK
    assert "items" in record.reason
    assert order.status != "cancelled" or known
    assert len(bench.errors) == 5


def test_a_poisoned_deletion_can_be_requested_again(bench: Bench, simulator: Simulator) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com", tenant_id=GOOD)
    simulator.add_fault(failing_orders(times=5))
    assert bench.run(GOOD).state is State.STUCK

    submit(bench.services, DeletionRequest(TenantId(GOOD)))
    bench.pump()

    assert bench.record(GOOD).state is State.DELETED
    assert customer.deleted


def test_a_poisoned_message_of_an_older_generation_leaves_the_deletion_alone(
    bench: Bench, customer_in_progress: Customer
) -> None:
    record = bench.record(customer_in_progress.tenant_id)
    stale = {
        "version": 1,
        "tenantId": record.tenant,
        "generation": record.generation - 1,
        "correlationId": record.correlation_id,
    }
    bench.drop(json.dumps(stale), ORDERS_TO_CHECK + POISON_SUFFIX)

    bench.pump()

    assert bench.record(record.tenant).state is State.DELETED


NOT_SENT = {
    "2 to the 63rd": 2**63,
    "2 to the 31st": 2**31,
    "the highest": 2**31 - 1,
    "a hundred digits": 10**100,
    "nought": 0,
    "negative": -1,
    "true": True,
    "false": False,
    "float": 2.0,
    "text": "2",
    "null": None,
    "array": [2],
    "far ahead": 1_000,
    "ten ahead": 12,
}


@pytest.mark.parametrize("generation", NOT_SENT.values(), ids=NOT_SENT)
@pytest.mark.parametrize("queue", [ORDERS_TO_CHECK, CUSTOMERS_READY + POISON_SUFFIX])
def test_a_generation_that_was_never_sent_is_recorded_and_the_deletion_goes_on(
    bench: Bench, customer_in_progress: Customer, queue: str, generation: object
) -> None:
    record = bench.record(customer_in_progress.tenant_id)
    assert record.generation == 2
    forged = {
        "version": 1,
        "tenantId": record.tenant,
        "generation": generation,
        "correlationId": record.correlation_id,
    }
    bench.drop(json.dumps(forged), queue)

    bench.pump()

    (row,) = bench.poisoned()
    assert (row["queue"], row["tenant"]) == (queue.removesuffix(POISON_SUFFIX), record.tenant)
    assert "generation" in row["reason"]
    assert not bench.errors
    ended = bench.record(record.tenant)
    assert (ended.state, ended.correlation_id) == (State.DELETED, record.correlation_id)
    assert len(bench.calls("DELETE")) == 1
    assert ended.generation < 10


def step_of(record: DeletionRecord, generation: int) -> str:
    return StepMessage(record.tenant, generation, record.correlation_id).to_json()


def test_a_generation_two_ahead_does_not_make_the_true_message_stale(
    bench: Bench, customer_in_progress: Customer
) -> None:
    record = bench.record(customer_in_progress.tenant_id)
    true = bench.take(ORDERS_TO_CHECK)
    bench.drop(step_of(record, record.generation + 2), ORDERS_TO_CHECK)
    forged = bench.take(ORDERS_TO_CHECK)
    assert true is not None
    assert forged is not None

    bench.deliver(ORDERS_TO_CHECK, forged)
    assert bench.record(record.tenant) == record
    bench.deliver(ORDERS_TO_CHECK, true)

    assert bench.record(record.tenant).generation == record.generation + 1
    assert len(bench.poisoned()) == 1


def test_a_generation_that_was_never_sent_does_not_stay_unseen_after_the_end(
    bench: Bench, customer_in_progress: Customer
) -> None:
    bench.pump()
    record = bench.record(customer_in_progress.tenant_id)
    bench.drop(step_of(record, record.generation + 2), ORDERS_TO_CHECK)

    bench.pump()

    assert len(bench.poisoned()) == 1
    assert bench.record(record.tenant) == record


@pytest.fixture
def customer_in_progress(bench: Bench, simulator: Simulator) -> Customer:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=50)
    bench.drop(customer.tenant_id)
    bench.pump(passes=1)
    return customer
