"""The server that receives the response of the sign-in turns everything else away."""

import socket
from collections.abc import Iterator

import pytest
import requests

from local.consent.loopback import Loopback, NoResponseArrived, listening

STATE = "the-state"


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with listening(0) as loopback:
        loopback.expect(STATE)
        yield loopback


def post(loopback: Loopback, body: object, **headers: str) -> int:
    with requests.Session() as session:
        url = f"http://127.0.0.1:{loopback.port}/"
        return session.post(url, data=body, headers=headers, timeout=5).status_code  # type: ignore[arg-type]


def test_the_response_with_the_state_is_received(loopback: Loopback) -> None:
    assert post(loopback, {"state": STATE, "code": "c"}) == 200
    assert loopback.wait(5) == {"state": STATE, "code": "c"}


@pytest.mark.parametrize(
    "body",
    [
        {"state": "another", "code": "c"},
        {"code": "c"},
        {"state": "", "code": "c"},
        {"state": "st\u00e4te", "code": "c"},
        b"\xff\xfe",
        b"",
        b"x" * 70_000,
    ],
)
def test_another_response_is_turned_away_and_the_wait_goes_on(
    loopback: Loopback, body: object
) -> None:
    assert post(loopback, body) == 400
    assert post(loopback, {"state": STATE, "code": "c"}) == 200
    assert loopback.wait(5)["code"] == "c"


def test_a_foreign_host_name_is_turned_away(loopback: Loopback) -> None:
    assert post(loopback, {"state": STATE, "code": "c"}, Host="evil.example") == 400


def test_nothing_is_received_before_a_state_is_expected() -> None:
    with listening(0) as loopback:
        assert post(loopback, {"state": "", "code": "c"}) == 400


def test_a_get_is_turned_away(loopback: Loopback) -> None:
    with requests.Session() as session:
        url = f"http://127.0.0.1:{loopback.port}/?state={STATE}&code=c"
        assert session.get(url, timeout=5).status_code == 404
    with pytest.raises(NoResponseArrived):
        loopback.wait(0)


def test_a_connection_that_says_nothing_holds_nobody_up(loopback: Loopback) -> None:
    with socket.create_connection(("127.0.0.1", loopback.port)):
        assert post(loopback, {"state": STATE, "code": "c"}) == 200


def test_other_machines_cannot_reach_it(loopback: Loopback) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", loopback.port), timeout=5)
