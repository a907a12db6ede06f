"""Links and redirections that Partner Center sends: which are followed, and none is too odd."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Fault, Simulator
from shared.inputs import retry_after_seconds
from shared.partner_center import errors
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from tests.local_budget import LocalBudget
from tests.partner_center.conftest import Connect

FOLLOWED = "/v1/customers/x/orders"


def page(uri: object, headers: object = ()) -> dict[str, Any]:
    return {"items": [], "links": {"next": {"uri": uri, "headers": list(headers)}}}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "link",
    [
        "{url}/v1/customers/x/orders?page=2",
        "HTTPS://LOCALHOST:{port}/v1/customers/x/orders?page=2",
        "https://LocalHost:{port}/v1/customers/x/orders?page=2",
        " {url}/v1/customers/x/orders?page=2\n",
        "/v1/customers/x/orders?page=2",
        "customers/x/orders?page=2",
        "{url}/V1/customers/x/orders?page=2",
        "/V1/customers/x/orders?page=2",
        "V1/customers/x/orders?page=2",
        "?page=2",
    ],
)
def test_a_link_to_the_same_origin_is_followed(
    client: PartnerCenter, simulator: Simulator, link: str
) -> None:
    uri = link.format(url=simulator.url, port=simulator.port)
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body=page(uri)))
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body={"items": []}))

    assert client.orders("x") == []

    assert [call.query for call in simulator.calls if call.path == FOLLOWED] == ["", "page=2"]


def test_a_query_alone_asks_the_page_that_it_stands_on_again(
    client: PartnerCenter, simulator: Simulator
) -> None:
    for uri in (f"{simulator.url}{FOLLOWED}?page=2&size=1", "?page=3"):
        simulator.add_fault(Fault(path=FOLLOWED, status=200, body=page(uri)))
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body={"items": []}))

    assert client.orders("x") == []

    asked = [call.query for call in simulator.calls if call.path == FOLLOWED]
    assert asked == ["", "page=2&size=1", "page=3"]


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://api.example", "https://api.example:443/v1/customers"),
        ("https://api.example", "https://API.Example/v1/customers"),
        ("https://api.example:443", "https://api.example/v1/customers"),
        ("https://API.example", "https://api.example:0443/v1/customers"),
    ],
)
def test_the_port_of_the_scheme_and_capitals_make_no_other_origin(
    connect: Connect, base: str, link: str
) -> None:
    connection = Connection(base, connect().tokens, LocalBudget(1))

    assert connection._resolve(link) == f"{base}/v1/customers"


@pytest.mark.parametrize(
    "link",
    [
        "http://api.example/v1/customers",
        "https://api.example:8443/v1/customers",
        "https://api.example:80/v1/customers",
        "https://api.example.evil/v1/customers",
        "https://evil/https://api.example/",
        "https://api.example@evil/v1/customers",
        "https://evil@api.example/v1/customers",
        "//evil/v1/customers",
        "ftp:customers",
        "https://[",
        "https://api.example:x/v1",
        "https://api.example:99999/v1",
        "https://\uff41pi.example/v1",
    ],
)
def test_a_link_to_another_origin_is_not_followed(connect: Connect, link: str) -> None:
    connection = Connection("https://api.example", connect().tokens, LocalBudget(1))

    with pytest.raises(errors.ForeignLink):
        connection._resolve(link)


@given(st.text())
def test_no_link_leaves_the_origin(link: str) -> None:
    connection = Connection("https://api.example", _NO_TOKENS, LocalBudget(1))
    try:
        resolved = connection._resolve(link)
    except errors.ForeignLink:
        return
    assert resolved.startswith("https://api.example/")


_NO_TOKENS: TokenSource = object()  # type: ignore[assignment]


def test_only_headers_of_partner_center_are_taken_from_a_link(
    client: PartnerCenter, simulator: Simulator
) -> None:
    headers = [
        {"key": "MS-ContinuationToken", "value": "t"},
        {"key": "Host", "value": "evil"},
        {"key": "Authorization", "value": "none"},
        {"key": "Transfer-Encoding", "value": "chunked"},
    ]
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body=page("/customers/x/orders", headers)))
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body={"items": []}))

    assert client.orders("x") == []


@pytest.mark.parametrize(
    "location", ["https://\xff\xfe/", "\x80", "https://[", "//", "", "https://e:x/", "\xe4" * 3000]
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_with_odd_bytes_is_a_redirection(
    client: PartnerCenter, simulator: Simulator, location: str, status: int
) -> None:
    headers = {"Location": location}
    simulator.add_fault(Fault(path=FOLLOWED, status=status, body="", headers=headers))

    with pytest.raises(errors.Redirected):
        client.orders("x")


@pytest.mark.parametrize("name", ["Retry-After", "WWW-Authenticate", "Content-Type", "Set-Cookie"])
@pytest.mark.parametrize("value", ["\xff\xfe", "\xb2", "9" * 400, ";=,\xe4=", '"', ""])
def test_no_header_is_too_odd(
    client: PartnerCenter, simulator: Simulator, name: str, value: str
) -> None:
    simulator.add_fault(Fault(path=FOLLOWED, status=400, body="{}", headers={name: value}))

    with pytest.raises(errors.Rejected):
        client.orders("x")


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
        "Mon, 99 Jan 2026 00:00:00 GMT",
        "\xb2",
        "-1",
        "1e3",
        "nan",
        "",
    ],
)
def test_a_wait_that_cannot_be_read_is_none(header: str) -> None:
    assert retry_after_seconds(header) is None


def test_a_204_is_an_empty_listing(client: PartnerCenter, simulator: Simulator) -> None:
    simulator.add_fault(Fault(path="/v1/customers/*", status=204, body="", times=None))

    assert client.orders("x") == []
    assert client.subscriptions("x") == []
    assert client.entitlements("x") == []
    assert client.azure_subscriptions("x", "p") == []


def test_a_204_for_a_page_that_is_announced_is_an_error(
    client: PartnerCenter, simulator: Simulator
) -> None:
    simulator.add_fault(Fault(path=FOLLOWED, status=200, body=page("/customers/x/orders")))
    simulator.add_fault(Fault(path=FOLLOWED, status=204, body=""))

    with pytest.raises(errors.UnexpectedResponse, match="expected page 2"):
        client.orders("x")
