"""Plans in real table storage."""

from dataclasses import replace
from datetime import UTC, datetime

from shared.deletion.dry_run_result import DryRunResult, Outcome
from shared.purchases.plan import Entry, Standing
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.tenants import TenantId
from tests.bench import Bench

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
ORDER = Purchase(PurchaseKind.ORDER, "", "completed", created=NOW, name="One year term licence")
SUBSCRIPTION = Purchase(PurchaseKind.SUBSCRIPTION, "", "active", product=Product.NCE)


def scattered(number: int) -> str:
    """Return an ID that compresses no better than a real one."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def test_the_plan_of_a_huge_customer_comes_back_as_it_was_stored(bench: Bench) -> None:
    """As many orders and subscriptions as the memory of a deletion is measured for."""
    plan = [
        Entry(replace(purchase, id=scattered(2 * number + which)), standing, action, "x" * 40)
        for number in range(2_000)
        for which, (purchase, standing, action) in enumerate(
            (
                (ORDER, Standing.FOLLOWS, None),
                (SUBSCRIPTION, Standing.OPEN, Action.DELETE_SUBSCRIPTION),
            )
        )
    ]
    result = DryRunResult(TENANT, Outcome.CANCEL, NOW, "ann", "d", "c", entries=tuple(plan))

    bench.services.plans.keep(TENANT, result.to_json(), NOW)

    text = bench.services.plans.last(TENANT, str)
    assert text is not None
    assert DryRunResult.from_json(text) == result


def test_a_customer_has_only_its_last_plan(bench: Bench) -> None:
    for text in ("first", "second"):
        bench.services.plans.keep(TENANT, text, NOW)

    assert bench.services.plans.last(TENANT, str) == "second"
