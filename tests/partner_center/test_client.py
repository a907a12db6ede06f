"""The client against the simulator: shapes, paging, bodies and meanings."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Behaviour, Fault, ProductKind, Simulator
from local.simulator.state.behaviour import CodeType, ErrorBody
from shared.partner_center import errors, resources
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.deadline import Deadline
from shared.partner_center.resources import UNREADABLE
from tests.partner_center.conftest import Connect


@pytest.mark.parametrize("versioned", [False, True], ids=["/customers", "/v1/customers"])
@pytest.mark.parametrize("page_size", [1, 2, 7, 8, 500])
def test_customers_come_from_all_pages(
    client: PartnerCenter, simulator: Simulator, page_size: int, versioned: bool
) -> None:
    simulator.behaviour = Behaviour(customers_page_size=page_size, next_link_version=versioned)
    added = [simulator.sandbox.add_customer(f"c{n}.onmicrosoft.com") for n in range(7)]

    found = list(client.customers())

    assert [customer.id for customer in found] == [customer.tenant_id for customer in added]
    assert found[0].domain == "c0.onmicrosoft.com"
    assert client.calls == -(-7 // page_size)


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("code", list(CodeType))
@pytest.mark.parametrize("body", list(ErrorBody))
def test_every_form_of_an_error_response_is_read(
    client: PartnerCenter, simulator: Simulator, mark: bool, code: CodeType, body: ErrorBody
) -> None:
    simulator.behaviour = Behaviour(byte_order_mark=mark, error_code_type=code, error_body=body)

    with pytest.raises((errors.NotFound, errors.NoRelationship)) as caught:
        client.customer("99999999-0000-4000-8000-000000000001")

    error_response = caught.value.response
    assert error_response.status == 404
    assert error_response.code == ("60003" if body is ErrorBody.SERVICE else "")
    assert error_response.request_id in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, "", errors.Unauthorized),
        (401, {"code": 6002, "description": "x"}, errors.NotASandbox),
        (403, {"code": "800019", "description": "x"}, errors.NotASandbox),
        (403, {"code": 900329, "description": "x"}, errors.NotForThisCredential),
        (403, {"code": 900159, "description": "x"}, errors.NoRelationship),
        (400, {"code": 800061, "description": "x"}, errors.OrderRouteClosed),
        (400, {"code": "800063", "description": "x"}, errors.OrderRouteClosed),
        (403, {"code": 800077, "description": "x"}, errors.OrderRouteClosed),
        (400, {"code": 900117, "description": "x"}, errors.NotCancellable),
        (400, {"code": 900127, "description": "x"}, errors.NotSupportedHere),
        (400, {"code": 2011, "description": "x"}, errors.AlreadyDeleted),
        (400, {"code": 2055, "description": "x"}, errors.Busy),
        (400, {"code": 800081, "description": "x"}, errors.NotActivated),
        (403, {"code": 900115, "description": "x"}, errors.AzureSubscriptionsActive),
        (404, "<html>not found</html>", errors.NoRoute),
        (404, {"code": 1000, "description": "x"}, errors.NotFound),
        (403, {"code": 800073, "description": "x"}, errors.Busy),
        (403, {"code": 800074, "description": "x"}, errors.Busy),
        (403, {"code": 800075, "description": "x"}, errors.Busy),
        (409, {"code": 900278, "description": "x"}, errors.Busy),
        (400, {"code": 900280, "description": "x"}, errors.Busy),
        (400, {"code": 900311, "description": "x"}, errors.NotCancellable),
        (409, {"code": 800060, "description": "x"}, errors.Busy),
        (409, None, errors.Busy),
        (412, None, errors.Busy),
        (429, {"statusCode": 429, "message": "Rate limit is exceeded."}, errors.Throttled),
        (500, {"code": 800003, "description": "x"}, errors.Unavailable),
        (501, {"code": 0, "description": "x"}, errors.Unavailable),
        (400, ["not", "an", "object"], errors.Rejected),
        (417, {"code": None, "description": None}, errors.Rejected),
    ],
)
def test_error_responses_are_distinguished_by_meaning(
    client: PartnerCenter, simulator: Simulator, status: int, body: Any, meaning: type[Exception]
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=status, body=body, times=2))

    with pytest.raises(meaning) as caught:
        client.orders("c")

    assert type(caught.value) is meaning
    assert f"failed with status {status}" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        '"text"',
        "{}",
        '{"items": null}',
        '{"items": 1}',
        '{"items": {}}',
        '{"items": [], "links": []}',
        '{"items": [], "links": {"next": "/v1/customers"}}',
        '{"items": [], "links": {"next": {"uri": 7}}}',
        '{"items": [], "links": {"next": {"uri": "/x", "headers": {}}}}',
        '{"items": [], "links": {"next": {"uri": "/x", "headers": [null]}}}',
        '{"items": [], "links": {"next": {"uri": "/x", "headers": [{"key": 1, "value": "a"}]}}}',
        '{"items": [], "links": {"next": {"uri": "/x", "headers": [{"key": "\\n"}]}}}',
        '{"items": [' + "9" * 5000 + '], "links": 1}',
        "[" * 20_000,
    ],
    ids=lambda body: body[:60],
)
def test_a_success_of_another_shape_is_an_error_and_not_an_empty_listing(
    client: PartnerCenter, simulator: Simulator, body: str
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=200, body=body))

    with pytest.raises(errors.UnexpectedResponse):
        client.orders("c")


def test_a_listed_resource_without_a_status_is_unreadable(
    client: PartnerCenter, simulator: Simulator
) -> None:
    body = {"items": [{"id": "o"}, {"id": "p", "status": None}]}
    simulator.add_fault(Fault(path="/v1/customers/*", status=200, body=body, times=3))

    for read in (client.orders, client.subscriptions, lambda c: client.azure_subscriptions(c, "s")):
        assert [each.status for each in read("c")] == [UNREADABLE] * 2


def test_a_cancelled_order_without_a_status_is_an_error(
    client: PartnerCenter, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(method="PATCH", status=200, body={"id": "o"}))

    with pytest.raises(errors.UnexpectedResponse, match="order o without a status"):
        client.cancel_order("c", "o")


MEMBERS = st.sampled_from(
    [
        "id",
        "status",
        "lineItems",
        "attributes",
        "productType",
        "quantity",
        "creationDate",
        "referenceOrder",
        "includedEntitlements",
        "companyProfile",
        "friendlyName",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(MEMBERS, JSON))
def test_no_resource_is_too_odd_to_be_read_or_rejected(body: dict[str, Any]) -> None:
    readers: list[Callable[[dict[str, Any]], object]] = [
        resources.customer,
        resources.order,
        resources.subscription,
        resources.listed_entitlements,
    ]
    for read in readers:
        with suppress(errors.UnexpectedResponse):
            read(dict(body))


@given(JSON)
def test_every_row_of_a_listing_is_read_or_says_why_not(row: object) -> None:
    for found in (
        resources.listed_customer(row, 0),
        resources.listed_order(row, 0),
        resources.listed_subscription(row, 0),
        resources.azure_subscription(row, "plan", 0),
    ):
        assert found.id
        assert found.unread or isinstance(row, dict)


def test_endless_pages_are_an_error(client: PartnerCenter, simulator: Simulator) -> None:
    page = {"items": [], "links": {"next": {"uri": "/customers?page=1", "headers": []}}}
    simulator.add_fault(Fault(path="/v1/customers", status=200, body=page, times=None))

    with pytest.raises(errors.UnexpectedResponse, match="more than 100 pages"):
        list(client.customers())


@pytest.mark.parametrize(
    "host", ["https://evil.example", "http://localhost", "https://localhost.evil.example", "//evil"]
)
def test_a_next_link_to_another_host_is_not_followed(
    client: PartnerCenter, simulator: Simulator, host: str
) -> None:
    uri = f"{host}/v1/customers?seekOperation=Next"
    page = {"items": [], "links": {"next": {"uri": uri, "headers": []}}}
    simulator.add_fault(Fault(path="/v1/customers", status=200, body=page))

    with pytest.raises(errors.ForeignLink):
        list(client.customers())


def test_an_absolute_next_link_to_the_same_host_is_followed(
    client: PartnerCenter, simulator: Simulator
) -> None:
    simulator.behaviour = Behaviour(customers_page_size=1, next_link_host=simulator.url)
    for number in range(3):
        simulator.sandbox.add_customer(f"c{number}.onmicrosoft.com")

    assert len(list(client.customers())) == 3


def test_redirects_are_not_followed(client: PartnerCenter, simulator: Simulator) -> None:
    headers = {"Location": "https://evil.example/"}
    simulator.add_fault(Fault(path="*/orders", status=302, body="", headers=headers))

    with pytest.raises(errors.UnexpectedResponse):
        client.orders("c")


def test_identifiers_cannot_leave_their_place_in_the_path(
    client: PartnerCenter, simulator: Simulator
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")

    with pytest.raises(errors.NotFound):
        client.cancel_order(customer.tenant_id, "o?x=1#y")

    call = simulator.calls[-1]
    assert call.query == ""
    assert unquote(call.path).endswith("/orders/o?x=1#y")


def test_a_403_on_entitlements_is_remembered_by_the_connection(
    connect: Connect, simulator: Simulator
) -> None:
    connection = connect()
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")

    for _ in range(3):
        assert PartnerCenter(connection, "c").entitlements(customer.tenant_id) == []

    assert sum("/entitlements" in call.path for call in simulator.calls) == 1


def test_included_entitlements_are_found(client: PartnerCenter, simulator: Simulator) -> None:
    simulator.behaviour = Behaviour(app_only_entitlements=True)
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE, lines=2)

    found = client.entitlements(customer.tenant_id)

    assert {entitlement.order_id for entitlement in found} == {order.id}


def test_a_subscription_goes_back_whole_with_its_etag(
    client: PartnerCenter, simulator: Simulator
) -> None:
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    customer.add_order(ProductKind.LEGACY_LICENCES)
    (subscription,) = client.subscriptions(customer.tenant_id)
    assert subscription.etag

    changed = client.change_subscription(customer.tenant_id, subscription, "suspended")

    assert changed is not None
    assert changed.status == "suspended"
    with pytest.raises(errors.Busy):
        client.change_subscription(customer.tenant_id, subscription, "suspended")


def test_an_accepted_change_reads_as_in_progress(
    client: PartnerCenter, simulator: Simulator
) -> None:
    simulator.behaviour = Behaviour(subscription_patch_accepted=True)
    customer = simulator.sandbox.add_customer("c.onmicrosoft.com")
    customer.add_order(ProductKind.NCE_LICENCES)
    (subscription,) = client.subscriptions(customer.tenant_id)

    assert client.change_subscription(customer.tenant_id, subscription, "deleted") is None


def test_dates_with_seven_fraction_digits_are_read(
    client: PartnerCenter, simulator: Simulator
) -> None:
    item = {"id": "o", "status": "Completed", "creationDate": "2026-01-05T10:11:12.1234567Z"}
    odd = {**item, "creationDate": "yesterday"}
    simulator.add_fault(Fault(path="*/orders", status=200, body={"items": [item, odd]}))

    first, second = client.orders("c")

    assert first.created is not None
    assert first.created.isoformat() == "2026-01-05T10:11:12.123456+00:00"
    assert first.status == "completed"
    assert second.created is None


def test_a_wait_that_the_error_pages_ask_for_counts_unless_the_response_asks_for_another(
    client: PartnerCenter, simulator: Simulator
) -> None:
    body = {"code": 900278, "description": "Pending operation, try after 24 hours."}
    fault = Fault(path="*/orders", status=409, body=body)
    simulator.add_fault(fault)
    simulator.add_fault(replace(fault, headers={"Retry-After": "60"}))

    waits = []
    for _ in range(2):
        with pytest.raises(errors.Busy) as caught:
            client.orders("c")
        waits.append(caught.value.retry_after)

    assert waits == [86_400, 60]


def test_a_client_without_a_gate_sends_no_write(connect: Connect, simulator: Simulator) -> None:
    with pytest.raises(RuntimeError, match="without a gate"):
        PartnerCenter(connect(), "c").delete_customer("c")

    assert not [call for call in simulator.calls if call.is_write]


def test_a_lost_response_is_not_a_rejection(client: PartnerCenter, simulator: Simulator) -> None:
    simulator.add_fault(Fault(method="DELETE", drop=True, times=None))

    with pytest.raises(errors.NoResponse, match="DELETE"):
        client.delete_customer("c")


def test_a_slow_response_times_out(
    client: PartnerCenter, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.partner_center.connection.READ_TIMEOUT_SECONDS", 0.05)
    simulator.add_fault(Fault(path="*/orders", delay_seconds=1, times=None))

    with pytest.raises(errors.NoResponse):
        client.orders("c")


def test_netrc_does_not_replace_the_token(
    client: PartnerCenter,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    simulator.sandbox.add_customer("c.onmicrosoft.com")

    assert len(list(client.customers())) == 1


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(drop=True, times=None)], ids=str)
def test_no_error_shows_token_or_secret(
    connect: Connect, simulator: Simulator, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    connection: Connection = connect()
    token = connection.tokens.token(Deadline.after())
    simulator.add_fault(replace(fault, path="/v1/*"))

    with pytest.raises(errors.PartnerCenterError) as caught:
        PartnerCenter(connection, "c").orders("c")

    for secret in (token, simulator.sandbox.client_secret):
        assert secret not in str(caught.value) + repr(caught.value) + caplog.text
