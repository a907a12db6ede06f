"""The sign-in page, the authorization code and the device code of the simulated Entra ID."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest
import requests

from local.simulator import Simulator
from local.simulator.state.behaviour import SignsIn
from tests.simulator.conftest import token_request

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
REDIRECT_URI = "http://localhost:5005"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def fetch(simulator: Simulator, method: str, path: str, **form: str) -> requests.Response:
    return requests.request(
        method, simulator.url + path, data=form, verify=str(simulator.ca_file), timeout=10
    )


def page(simulator: Simulator, **changes: str) -> requests.Response:
    query = {
        "client_id": simulator.sandbox.client_id,
        "response_type": "code",
        "response_mode": "form_post",
        "redirect_uri": REDIRECT_URI,
        "scope": f"{simulator.scope} offline_access",
        "state": "<s>",
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
        **changes,
    }
    path = f"/{simulator.sandbox.tenant_id}/oauth2/v2.0/authorize?{urlencode(query)}"
    return fetch(simulator, "GET", path)


def members(simulator: Simulator) -> dict[str, str]:
    found = re.findall(r'name="([^"]+)" value="([^"]*)"', page(simulator).text)
    return {name: html.unescape(value) for name, value in found}


def redeem(simulator: Simulator, code: str, **changes: str) -> requests.Response:
    form = {"redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER, **changes}
    return token_request(
        simulator, simulator.sandbox, grant_type="authorization_code", code=code, **form
    )


def number(response: requests.Response) -> int:
    return int(response.json()["error_codes"][0])


def test_a_code_is_redeemed_once(simulator: Simulator) -> None:
    received = members(simulator)

    first = redeem(simulator, received["code"])

    assert received["state"] == "<s>"
    assert {"access_token", "refresh_token", "id_token", "client_info"} <= set(first.json())
    assert number(redeem(simulator, received["code"])) == 54005


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"code_verifier": "w" * 43}, 501481),
        ({"redirect_uri": "http://localhost:1"}, 500112),
        ({"client_secret": "wrong"}, 7000215),
    ],
)
def test_a_code_is_bound_to_its_request(
    simulator: Simulator, changes: dict[str, str], expected: int
) -> None:
    assert number(redeem(simulator, members(simulator)["code"], **changes)) == expected


def test_a_code_expires(simulator: Simulator) -> None:
    code = members(simulator)["code"]
    simulator.advance(601)

    assert number(redeem(simulator, code)) == 70008


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"redirect_uri": "http://evil.example"}, 50011),
        ({"redirect_uri": "https://localhost:5005"}, 50011),
        ({"client_id": "nobody"}, 700016),
        ({"code_challenge_method": "plain"}, 50147),
        ({"response_type": "token"}, 70005),
    ],
)
def test_a_wrong_request_is_shown_and_not_redirected(
    simulator: Simulator, changes: dict[str, str], expected: int
) -> None:
    response = page(simulator, **changes)

    assert response.status_code == 400
    assert f"AADSTS{expected}" in response.text
    assert "<form" not in response.text


def test_a_person_can_decline(simulator: Simulator) -> None:
    simulator.behaviour = replace(simulator.behaviour, signs_in=SignsIn.NOBODY)

    received = members(simulator)

    assert received["error"] == "access_denied"
    assert "code" not in received


def device(simulator: Simulator) -> dict[str, str]:
    account = simulator.sandbox
    path = f"/{account.tenant_id}/oauth2/v2.0/devicecode"
    return dict(fetch(simulator, "POST", path, client_id=account.client_id).json())


def poll(simulator: Simulator, code: str) -> requests.Response:
    return token_request(simulator, simulator.sandbox, grant_type=DEVICE, device_code=code)


def test_a_device_code_is_pending_until_it_is_approved(simulator: Simulator) -> None:
    started = device(simulator)

    assert number(poll(simulator, started["device_code"])) == 70016
    assert fetch(simulator, "GET", "/devicelogin?otc=WRONG").status_code == 400
    fetch(simulator, "GET", f"/devicelogin?otc={started['user_code'].lower()}")

    assert "refresh_token" in poll(simulator, started["device_code"]).json()
    assert number(poll(simulator, started["device_code"])) == 70018


def test_a_device_code_expires(simulator: Simulator) -> None:
    started = device(simulator)
    simulator.advance(901)

    assert number(poll(simulator, started["device_code"])) == 70019
