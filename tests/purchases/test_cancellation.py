"""How much work it takes to decide what to send, and how much is lost to an error."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

import pytest

from shared.partner_center.errors import ErrorResponse, Unavailable
from shared.purchases import cancellation
from shared.purchases.cancellation import Sender, carry_out
from shared.purchases.plan import Plan, make_plan
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MANY = 2_000
# Once for each response, once to find nothing left, once for the result.
MOST_DECISIONS_FOR_EACH = 4
ENDS = {
    Action.CANCEL_ORDER: "cancelled",
    Action.DELETE_SUBSCRIPTION: "deleted",
    Action.SUSPEND_SUBSCRIPTION: "suspended",
}


@dataclass
class Accepting:
    """Accepts every action, apart from the failures that it is given for orders."""

    failures: dict[str, Unavailable] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def send(self, purchase: Purchase, action: Action) -> Purchase:
        if failure := self.failures.get(purchase.id):
            raise failure
        self.sent.append(purchase.id)
        return replace(purchase, sent=purchase.sent | {action}, status=ENDS[action])

    def now(self) -> datetime:
        return NOW

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


def accepting(**failures: Unavailable) -> tuple[Sender, Accepting]:
    fake = Accepting(failures)
    return cast("Sender", fake), fake


def order(number: int) -> Purchase:
    return Purchase(PurchaseKind.ORDER, f"o{number}", "completed")


def unavailable(retry_after: float | None) -> Unavailable:
    return Unavailable(ErrorResponse("PATCH", "/", 503, "", "", retry_after, "r"))


def test_each_of_very_many_purchases_is_decided_on_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided = 0

    def counted(purchases: Collection[Purchase], now: datetime) -> Plan:
        nonlocal decided
        decided += len(purchases)
        return make_plan(purchases, now)

    monkeypatch.setattr(cancellation, "make_plan", counted)
    products = (Product.NCE, Product.SOFTWARE)
    purchases = [order(number) for number in range(MANY)] + [
        Purchase(
            PurchaseKind.SUBSCRIPTION,
            f"s{number}",
            "active",
            parent=f"o{number}",
            product=products[number % 2],
        )
        for number in range(MANY)
    ]
    sender, fake = accepting()

    result = carry_out(sender, purchases, NOW)

    assert result.plan.clear
    assert len(fake.sent) == MANY
    assert decided <= MOST_DECISIONS_FOR_EACH * len(purchases)
    assert [each.key for each in result.purchases] == [each.key for each in purchases]


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(30, None, 30), (None, 30, 30), (5, 30, 30), (None, None, None)]
)
def test_of_two_failures_the_longer_wait_is_kept_and_the_rest_is_not_tried(
    first: float | None, second: float | None, kept: float | None
) -> None:
    sender, fake = accepting(o1=unavailable(first), o3=unavailable(second))

    result = carry_out(sender, [order(number) for number in range(6)], NOW)

    assert isinstance(result.interruption, Unavailable)
    assert result.interruption.retry_after == kept
    assert fake.sent == ["o0", "o2"]
