"""A licence that is stuck until its term ends: the date is kept, shown and acted on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.api.representations import record_members
from functions.pages.status_card import card
from local.simulator import Customer, ProductKind, Simulator
from shared.deletion.reasons import retry_at
from shared.purchases.plan import Plan, make_plan
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.settings import SweepMode
from shared.storage.records import DeletionRecord, State
from shared.storage.retention import KEPT
from shared.sweep.decision import SweepVerdict, remembered
from shared.sweep.run import run_sweep
from tests.bench import Bench
from tests.sweep.customers import PROTECTED, found

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TRIED = frozenset({Action.DELETE_SUBSCRIPTION, Action.SUSPEND_SUBSCRIPTION})


def licence(days_left: float | None, product: Product = Product.NCE) -> Purchase:
    term_end = None if days_left is None else NOW + days_left * DAY
    kind = PurchaseKind.SUBSCRIPTION
    return Purchase(
        kind, f"s{days_left}", "active", product=product, term_end=term_end, rejected=TRIED
    )


def plan(*purchases: Purchase) -> Plan:
    return make_plan(purchases, NOW)


def test_everything_can_be_cancelled_again_once_the_last_term_has_ended() -> None:
    assert retry_at(plan(licence(3), licence(20)), NOW) == NOW + 20 * DAY


@pytest.mark.parametrize(
    "others",
    [
        [licence(None)],
        [licence(-1)],
        [licence(5, Product.SAAS)],
        [Purchase(PurchaseKind.ORDER, "old", "completed", created=NOW - 70 * DAY)],
    ],
    ids=["unknown", "past", "another product", "an order that is too old"],
)
def test_there_is_no_date_if_one_purchase_has_none(others: list[Purchase]) -> None:
    assert len(plan(*others).never) == 1
    assert retry_at(plan(licence(20), *others), NOW) is None


def test_there_is_no_date_if_everything_could_be_cancelled() -> None:
    assert retry_at(plan(), NOW) is None


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    """Give a customer whose licence is past its window, which blocks the DELETE."""
    simulator.behaviour = replace(simulator.behaviour, suspended_nce_blocks=True)
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com")
    customer.add_order(ProductKind.NCE_LICENCES, age_days=20)
    return customer


def test_the_record_the_remedy_and_the_page_say_when_it_can_be_tried_again(
    bench: Bench, customer: Customer
) -> None:
    record = bench.run(customer.tenant_id)

    term_end = (customer.orders[0].created + 365 * DAY).replace(microsecond=0)
    assert record.state is State.STUCK
    assert record.retry_at == term_end
    assert f"{term_end:%Y-%m-%d}" in record.remedy
    members = record_members(record, bench.services.now())
    assert members["retryAt"] == term_end.isoformat()
    assert f"{term_end:%Y-%m-%d %H:%M:%S}" in card(record, None, bench.services.now())


def test_the_sweep_takes_the_customer_up_again_from_that_day_on(
    bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    bench.use(**PROTECTED)
    record = bench.run(customer.tenant_id)
    assert record.retry_at is not None
    # An extended service term can be cancelled on any day.
    simulator.behaviour = replace(simulator.behaviour, nce_window_days=10_000)

    bench.move_clock_to(record.retry_at - timedelta(seconds=1))
    before = found(run_sweep(bench.services, SweepMode.DELETE), customer)
    bench.move_clock_to(record.retry_at)
    bench.redrive()
    after = found(run_sweep(bench.services, SweepMode.DELETE), customer)
    bench.pump()

    assert before.verdict is SweepVerdict.STUCK
    assert f"left alone until {record.retry_at:%Y-%m-%d}" in before.reason
    assert after.verdict is SweepVerdict.DELETE
    assert customer.deleted
    assert bench.record(customer.tenant_id).retry_at is None


@pytest.fixture
def ended(bench: Bench, customer: Customer) -> Callable[[datetime], DeletionRecord]:
    """Give a function that ends a deletion as stuck now, to be tried again at a time."""

    def stuck(again: datetime) -> DeletionRecord:
        record = replace(bench.run(customer.tenant_id), retry_at=again)
        return bench.services.records.replace(record)

    return stuck


def test_a_short_term_is_not_waited_out_for_a_week(
    bench: Bench, ended: Callable[[datetime], DeletionRecord]
) -> None:
    record = ended(bench.services.now() + DAY)

    assert remembered(record, bench.services.now() + DAY) is None


def test_the_record_is_kept_until_the_customer_can_be_tried_again(
    bench: Bench, ended: Callable[[datetime], DeletionRecord]
) -> None:
    record = ended(bench.services.now() + 2 * KEPT)

    bench.move_clock_to(bench.services.now() + 2 * KEPT + DAY)
    bench.redrive()
    assert bench.services.records.get(record.tenant) is not None

    bench.move_clock_to(bench.services.now() + KEPT)
    bench.redrive()
    assert bench.services.records.get(record.tenant) is None
