"""The plan by properties, and by Microsoft's table of what cancels what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.purchases.plan import Entry, Standing, make_plan
from shared.purchases.plan import families as families_of
from shared.purchases.products import Action, Product
from shared.purchases.purchase import UNLISTED, Purchase, PurchaseKind, follow_orders

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ORDER, SUBSCRIPTION, AZURE = PurchaseKind
FINAL = {
    Action.CANCEL_ORDER: "cancelled",
    Action.DELETE_SUBSCRIPTION: "deleted",
    Action.SUSPEND_SUBSCRIPTION: "suspended",
    Action.ACTIVATE_SUBSCRIPTION: "active",
    Action.CANCEL_AZURE_SUBSCRIPTION: "inactive",
}
ORDER_STATUSES = ["completed", "pending", "cancelled", "suspended", "error", UNLISTED]
SUBSCRIPTION_STATUSES = ["active", "pending", "suspended", "expired", "disabled", "deleted"]
MOVES = {
    ORDER: [Action.CANCEL_ORDER],
    SUBSCRIPTION: [
        Action.DELETE_SUBSCRIPTION,
        Action.SUSPEND_SUBSCRIPTION,
        Action.ACTIVATE_SUBSCRIPTION,
    ],
    AZURE: [Action.CANCEL_AZURE_SUBSCRIPTION],
}
ages = st.one_of(st.none(), st.integers(0, 120).map(lambda days: NOW - timedelta(days=days)))


@st.composite
def families(draw: st.DrawFn) -> list[Purchase]:
    """Any orders with any subscriptions and Azure subscriptions, some without a parent."""
    purchases: list[Purchase] = []
    for number in range(draw(st.integers(0, 4))):
        order = Purchase(
            ORDER, f"o{number}", draw(st.sampled_from(ORDER_STATUSES)), created=draw(ages)
        )
        listed = draw(st.booleans())
        purchases += [draw(touched(order))] if listed else []
        for child in range(draw(st.integers(0, 2))):
            subscription = Purchase(
                SUBSCRIPTION,
                f"s{number}{child}",
                draw(st.sampled_from(SUBSCRIPTION_STATUSES)),
                parent=order.id,
                product=draw(st.sampled_from(Product)),
                needs_activation=draw(st.booleans()),
            )
            purchases.append(draw(touched(subscription)))
            if subscription.product is Product.AZURE_PLAN:
                purchases += [
                    draw(touched(Purchase(AZURE, f"a{number}{child}{n}", status, subscription.id)))
                    for n, status in enumerate(
                        draw(st.lists(st.sampled_from(["active", "inactive"]), max_size=2))
                    )
                ]
    return purchases


@st.composite
def touched(draw: st.DrawFn, purchase: Purchase) -> Purchase:
    """Return the purchase as it is, or with actions that were sent or rejected."""
    actions = st.frozensets(st.sampled_from(MOVES[purchase.kind]), max_size=2)
    rejected = draw(actions)
    return replace(purchase, sent=draw(actions) - rejected, rejected=rejected)


def still_cancellable(purchase: Purchase, family: list[Purchase]) -> bool:
    """By Microsoft's table alone: whether a call is known that ends this purchase."""
    if purchase.kind is AZURE:
        return purchase.status == "active" and not purchase.rejected
    if purchase.kind is SUBSCRIPTION:
        azure = [p for p in family if p.kind is AZURE and p.parent == purchase.id]
        blocked = any(p.status == "active" and p.rejected for p in azure)
        return (
            purchase.status in {"active", "pending"}
            and purchase.product is not Product.SAVINGS_PLAN
            and not blocked
            and (Action.SUSPEND_SUBSCRIPTION not in purchase.rejected)
        )
    old = purchase.created is not None and NOW - purchase.created > timedelta(days=60)
    children = [p for p in family if p.kind is SUBSCRIPTION and p.parent == purchase.id]
    return purchase.status != "cancelled" and not old and not purchase.rejected and not children


@pytest.mark.parametrize("parent", ["", "\ufffd", "another"])
def test_no_order_is_cancelled_that_may_hold_a_subscription_that_could_not_be_read(
    parent: str,
) -> None:
    unread = Purchase(SUBSCRIPTION, "u", "unread", parent=parent)
    known = Purchase(SUBSCRIPTION, "s", "active", parent="o", product=Product.LEGACY)
    orders = [Purchase(ORDER, order, "completed") for order in ("o", "p")]

    plan = make_plan([unread, known, *orders], NOW)

    assert [entry.purchase.id for entry in plan.open] == ["o"]
    assert [entry.purchase.id for entry in plan.waiting] == ["u"]
    assert [len(family) for family in families_of([unread, known, *orders])] == [4]
    unread = replace(unread, parent="o")
    plan = make_plan([unread, known, *orders], NOW)
    assert [entry.purchase.id for entry in plan.open] == ["p"]


@given(families())
def test_no_delete_while_something_cancellable_is_open(family: list[Purchase]) -> None:
    plan = make_plan(family, NOW)

    if any(still_cancellable(purchase, family) for purchase in family):
        assert not plan.clear


@given(families(), st.randoms(use_true_random=False))
def test_the_order_of_purchases_does_not_matter(family: list[Purchase], chance: object) -> None:
    shuffled = list(family)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert set(make_plan(family, NOW).entries) == set(make_plan(shuffled, NOW).entries)


@given(families())
def test_an_open_action_was_neither_sent_nor_rejected(family: list[Purchase]) -> None:
    for entry in make_plan(family, NOW).open:
        assert entry.action is not None
        assert entry.action not in entry.purchase.sent | entry.purchase.rejected


@given(families())
def test_what_follows_depends_on_something_that_has_not_ended(family: list[Purchase]) -> None:
    """So that nothing can wait for ever without an open or waiting root, or a stated reason."""
    plan = make_plan(family, NOW)

    follows = [entry for entry in plan.entries if entry.standing is Standing.FOLLOWS]
    assert not follows or plan.open or plan.waiting or plan.never


@given(families(), st.data())
def test_every_run_ends(family: list[Purchase], data: st.DataObject) -> None:
    """Whatever the response: an action is accepted, finished at once, or rejected for good."""
    purchases = tuple(replace(purchase, sent=frozenset()) for purchase in family)
    for _ in range(4 * len(family) + 1):
        plan = make_plan(purchases, NOW)
        if not plan.open:
            break
        entry = data.draw(st.sampled_from(plan.open))
        changed = respond(entry, data.draw(st.sampled_from(["done", "accepted", "rejected"])))
        purchases = merged(purchases, changed)
    assert not make_plan(purchases, NOW).open


@given(families(), st.data())
def test_complete_responses_make_the_plan_clear(
    family: list[Purchase], data: st.DataObject
) -> None:
    purchases = tuple(replace(p, sent=frozenset()) for p in family)
    while (plan := make_plan(purchases, NOW)).open:
        changed = respond(data.draw(st.sampled_from(plan.open)), "done")
        purchases = merged(purchases, changed)

    assert plan.clear


def merged(purchases: tuple[Purchase, ...], changed: Purchase) -> tuple[Purchase, ...]:
    ended = {changed.id} if changed.status == "cancelled" else set()
    return follow_orders((changed if p.key == changed.key else p for p in purchases), ended)


def respond(entry: Entry, kind: str) -> Purchase:
    purchase, action = entry.purchase, entry.action
    assert action is not None
    if kind == "rejected":
        return replace(purchase, rejected=purchase.rejected | {action}, reason="no")
    status = FINAL[action] if kind == "done" else purchase.status
    return replace(purchase, sent=purchase.sent | {action}, status=status, needs_activation=False)


@given(families())
def test_the_plan_is_the_same_every_time(family: list[Purchase]) -> None:
    assert make_plan(family, NOW) == make_plan(list(family), NOW)


@given(families())
def test_each_purchase_that_can_never_be_cancelled_has_a_reason_or_was_rejected(
    family: list[Purchase],
) -> None:
    for entry in make_plan(family, NOW).never:
        assert entry.reason or entry.purchase.rejected


@pytest.mark.parametrize(
    ("product", "order_move", "subscription_move"),
    [
        (None, Action.CANCEL_ORDER, None),
        (Product.SOFTWARE, Action.CANCEL_ORDER, None),
        (Product.LEGACY, Action.CANCEL_ORDER, None),
        (Product.OTHER, Action.CANCEL_ORDER, None),
        (Product.NCE, None, Action.DELETE_SUBSCRIPTION),
        (Product.SAAS, None, Action.DELETE_SUBSCRIPTION),
        (Product.AZURE_PLAN, None, Action.SUSPEND_SUBSCRIPTION),
    ],
)
def test_the_first_action_follows_microsofts_table(
    product: Product | None, order_move: Action | None, subscription_move: Action | None
) -> None:
    family = [Purchase(ORDER, "o", "completed")]
    if product:
        family.append(Purchase(SUBSCRIPTION, "s", "active", parent="o", product=product))

    plan = make_plan(family, NOW)

    assert [entry.action for entry in plan.open] == [
        action for action in (order_move, subscription_move) if action
    ]


@pytest.mark.parametrize("days", [60, 61])
def test_an_order_can_be_cancelled_for_60_days(days: int) -> None:
    created = NOW - timedelta(days=days)

    plan = make_plan([Purchase(ORDER, "o", "completed", created=created)], NOW)

    assert bool(plan.open) is (days == 60)
    assert bool(plan.never) is (days == 61)


def test_an_old_order_of_software_falls_back_to_its_subscription() -> None:
    created = NOW - timedelta(days=61)
    subscription = Purchase(SUBSCRIPTION, "s", "active", parent="o", product=Product.SOFTWARE)

    plan = make_plan([Purchase(ORDER, "o", "completed", created=created), subscription], NOW)

    assert [entry.action for entry in plan.open] == [Action.SUSPEND_SUBSCRIPTION]


def test_a_suspended_licence_that_may_still_be_deleted_is_deleted() -> None:
    licence = Purchase(SUBSCRIPTION, "s", "suspended", product=Product.NCE)

    assert [entry.action for entry in make_plan([licence], NOW).open] == [
        Action.DELETE_SUBSCRIPTION
    ]


def test_an_order_that_becomes_too_old_while_it_is_cancelled_is_waited_for() -> None:
    created = NOW - timedelta(days=61)
    sent = frozenset({Action.CANCEL_ORDER})
    order = Purchase(ORDER, "o", "pending", created=created, sent=sent)
    subscription = Purchase(SUBSCRIPTION, "s", "active", parent="o", product=Product.SOFTWARE)

    plan = make_plan([order, subscription], NOW)

    assert [entry.purchase.id for entry in plan.waiting] == ["o"]
    assert not plan.open
    assert not plan.clear


def test_a_purchase_that_asked_for_a_wait_is_open_again_once_it_is_over() -> None:
    hour = timedelta(hours=1)
    order = Purchase(ORDER, "o", "completed", wait_until=NOW + hour)

    assert make_plan([order], NOW).wait_until == NOW + hour
    assert not make_plan([order], NOW).open
    assert make_plan([order], NOW + hour).open


def test_a_plan_does_not_wait_for_one_purchase_while_another_is_unfinished() -> None:
    waits = Purchase(ORDER, "o", "completed", wait_until=NOW + timedelta(hours=1))
    accepted = Purchase(ORDER, "p", "pending", sent=frozenset({Action.CANCEL_ORDER}))

    assert make_plan([waits, accepted], NOW).wait_until is None


@given(families())
def test_the_plan_of_each_family_is_its_part_of_the_whole_plan(purchases: list[Purchase]) -> None:
    whole = {entry.purchase.key: entry for entry in make_plan(purchases, NOW).entries}

    parts = [make_plan(family, NOW).entries for family in families_of(purchases)]

    assert {entry.purchase.key: entry for part in parts for entry in part} == whole
    assert sum(map(len, parts)) == len(purchases)


@pytest.mark.parametrize(
    "status", ["active", "active ", "enabled", "warned", "pastdue", "pending", "active\u200b", "x"]
)
def test_an_azure_subscription_that_may_still_run_is_cancelled_before_its_plan(
    status: str,
) -> None:
    plan = Purchase(SUBSCRIPTION, "p", "active", product=Product.AZURE_PLAN)
    azure = Purchase(AZURE, "a", status, parent="p")

    (entry,) = make_plan([plan, azure], NOW).open

    assert (entry.purchase, entry.action) == (azure, Action.CANCEL_AZURE_SUBSCRIPTION)


@pytest.mark.parametrize(
    "status",
    [
        "inactive",
        "cancelled",
        "canceled",
        "deleted",
        "expired",
        "disabled",
        "suspended",
        " deleted",
    ],
)
def test_an_azure_subscription_that_has_ended_needs_no_call(status: str) -> None:
    plan = Purchase(SUBSCRIPTION, "p", "active", product=Product.AZURE_PLAN)
    azure = Purchase(AZURE, "a", status, parent="p")

    (entry,) = make_plan([plan, azure], NOW).open

    assert (entry.purchase, entry.action) == (plan, Action.SUSPEND_SUBSCRIPTION)
