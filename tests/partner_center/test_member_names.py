"""Members of a response are found whatever the letter case of their names, also where it counts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local.simulator import Fault, Simulator
from shared.partner_center import errors
from shared.partner_center.client import PartnerCenter
from shared.partner_center.members import Members
from shared.partner_center.resources import customer, listed_subscription, order, subscription

SUBSCRIPTION = {
    "id": "s",
    "orderId": "o",
    "status": "active",
    "productType": {"id": "Azure", "subType": {"id": "SavingsPlan"}},
    "quantity": 400,
    "billingType": "license",
    "unitType": "Licenses",
    "isMicrosoftProduct": False,
    "creationDate": "2026-11-01T00:00:00Z",
    "commitmentEndDate": "2027-11-01T00:00:00Z",
    "attributes": {"etag": "e"},
}
CASES = [str.upper, str.lower, str.title]


def renamed(value: Any, case: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [renamed(each, case) for each in value]
    if isinstance(value, dict):
        return {case(name): renamed(member, case) for name, member in value.items()}
    return value


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("read", "body"),
    [
        (subscription, SUBSCRIPTION),
        (order, {"id": "o", "status": "completed", "lineItems": [{"friendlyName": "n"}]}),
        (
            customer,
            {
                "id": "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10",
                "companyProfile": {"domain": "d.example", "companyName": "D"},
            },
        ),
    ],
)
def test_a_resource_reads_the_same_in_any_letter_case(
    read: Callable[[object], object], body: dict[str, Any], case: Callable[[str], str]
) -> None:
    assert read(renamed(body, case)) == read(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"a": 1, "A": 2}, 1),
        ({"A": 2, "a": 1}, 1),
        ({"a": None, "A": 2}, 2),
        ({"A": None}, None),
        ({"a": 0, "A": 2}, 0),
        ({}, None),
    ],
)
def test_the_exact_name_comes_first_unless_it_is_null(body: dict[str, Any], value: object) -> None:
    assert Members(body, "x").value("a") == value


@pytest.mark.parametrize("case", CASES)
def test_a_listing_is_read_whole_in_any_letter_case(
    client: PartnerCenter, simulator: Simulator, case: Callable[[str], str]
) -> None:
    path = "/v1/customers/x/subscriptions"
    links = {"next": {"uri": f"{path}?page=2", "headers": []}}
    for page in ({"items": [SUBSCRIPTION], "links": links}, {"items": [], "totalCount": 1}):
        simulator.add_fault(Fault(path=path, status=200, body=renamed(page, case)))

    assert client.subscriptions("x") == [subscription(SUBSCRIPTION)]


@pytest.mark.parametrize("case", CASES)
def test_a_listing_with_too_few_items_is_an_error_in_any_letter_case(
    client: PartnerCenter, simulator: Simulator, case: Callable[[str], str]
) -> None:
    page = renamed({"items": [], "totalCount": 402}, case)
    simulator.add_fault(Fault(path="/v1/customers/x/orders", status=200, body=page))

    with pytest.raises(errors.UnexpectedResponse, match="totalCount 402"):
        client.orders("x")


@pytest.mark.parametrize("case", CASES)
def test_a_subscription_goes_back_with_one_status(
    client: PartnerCenter,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    case: Callable[[str], str],
) -> None:
    path = "/v1/customers/x/subscriptions/s"
    simulator.add_fault(Fault(method="PATCH", path=path, status=200, body=SUBSCRIPTION))
    sent: list[Any] = []
    send = requests.Session.send

    def noting(
        self: requests.Session, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        if request.method == "PATCH":
            sent.append(json.loads(request.body or ""))
        return send(self, request, **options)  # type: ignore[arg-type] # options of any kind

    monkeypatch.setattr(requests.Session, "send", noting)
    body = renamed(SUBSCRIPTION, case)

    client.change_subscription("x", subscription(body), "suspended")

    del body[case("status")]
    assert sent == [{**body, "status": "suspended"}]


@pytest.mark.parametrize("case", [*CASES, str])
def test_an_unread_subscription_shows_its_subtype_and_count(case: Callable[[str], str]) -> None:
    body = {**SUBSCRIPTION, "friendlyName": "n", "orderId": 7}

    found = listed_subscription(renamed(body, case), 0)

    assert found.unread
    assert (found.product_subtype, found.quantity, found.name) == ("SavingsPlan", 400, "n")
