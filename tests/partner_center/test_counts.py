"""Counts of a response: text that is a number is read, and what is no count is not 0."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.partner_center.resources import listed_entitlements, listed_subscription

SUBSCRIPTION = {"id": "s", "status": "active"}
ENTITLEMENT = {"referenceOrder": {"id": "o"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def counts(value: object) -> set[int | None]:
    """Return the count that a subscription and an entitlement with this quantity have."""
    (entitled,) = listed_entitlements({**ENTITLEMENT, "quantity": value})
    subscription = listed_subscription({**SUBSCRIPTION, "quantity": value}, 0)
    return {subscription.quantity, entitled.quantity}


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (25, 25),
        (400, 400),
        (25.0, 25),
        (25.2, 26),
        ("400", 400),
        (" 400\n", 400),
        ("+7", 7),
        ("0", 0),
        ("25.0", 25),
        ("0400", 400),
    ],
)
def test_a_number_is_read_also_from_text(value: object, count: int) -> None:
    assert counts(value) == {count}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        "",
        " ",
        "many",
        "1,000",
        "1.000",
        "1.00",
        "25.5",
        "1.000.000",
        "1'000",
        "1000.",
        "4e2",
        "1 000",
        "1_000",
        "0x19",
        "-1",
        -1,
        -0.5,
        "\u0664\u0660\u0660",
        "nan",
        "inf",
        "1e999",
        "9" * 5000,
        float("nan"),
        float("inf"),
        10**30,
        {},
        {"value": 400},
        [],
        [400],
    ],
    ids=repr,
)
def test_what_is_no_count_is_unknown(value: object) -> None:
    assert counts(value) == {None}


def test_a_missing_count_is_unknown() -> None:
    (entitled,) = listed_entitlements(ENTITLEMENT)

    assert listed_subscription(SUBSCRIPTION, 0).quantity is None
    assert entitled.quantity is None


@given(JSON)
def test_no_json_is_read_as_0_but_0(value: object) -> None:
    (count,) = counts(value)

    assert count != 0 or (not isinstance(value, bool) and float(str(value)) == 0)


@pytest.mark.parametrize(("depth", "read"), [(50, True), (200, False), (930, False)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}")])
def test_a_subscription_that_is_nested_deeply_cannot_be_sent_back(
    depth: int, read: bool, opening: str, closing: str
) -> None:
    odd = json.loads(f"{opening * depth}7{closing * depth}")

    assert (not listed_subscription({**SUBSCRIPTION, "odd": odd}, 0).unread) is read
