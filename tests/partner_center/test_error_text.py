"""The code and the description of an error, in every form that the services around write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Fault, Simulator
from shared.partner_center import errors
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import error_text

SAID = "Order cannot be canceled."
CODE = 800061


@pytest.mark.parametrize(
    "body",
    [
        {"code": CODE, "description": SAID},
        {"code": str(CODE), "message": SAID},
        {"code": f" {CODE} ", "description": f"  {SAID}\r\n"},
        {"code": float(CODE), "description": SAID},
        {"Code": CODE, "Description": SAID},
        {"CODE": str(CODE), "MESSAGE": SAID},
        {" code ": CODE, "Message": SAID},
        {"error": {"code": CODE, "message": SAID}},
        {"Error": {"Code": f"{CODE} ", "Message": SAID}},
        {"error": {"code": str(CODE), "message": {"lang": "en-US", "value": SAID}}},
        {"odata.error": {"code": str(CODE), "message": {"lang": "en-US", "value": SAID}}},
        {"error": {"code": "BadRequest", "message": SAID, "innerError": {"code": CODE}}},
        {"errors": [{"code": CODE, "message": SAID}]},
        [{"code": CODE, "message": SAID}],
        {"errorCode": CODE, "errorMessage": SAID},
        {"error": str(CODE), "error_description": SAID},
        {"type": "about:blank", "title": "Bad Request", "detail": SAID, "code": CODE},
        {"description": "", "message": SAID, "code": CODE},
        {"error_code": CODE, "description": SAID},
        {"code": f"{CODE}\u200b", "description": SAID},
        {"code": f"\ufeff{CODE}", "description": SAID},
        {"errors": [{"code": "Forbidden", "message": SAID}, {"code": CODE}]},
        {"error": {"code": "Forbidden", "message": SAID, "details": [{"code": CODE}]}},
        {"code": "Forbidden", "message": SAID, "details": [{"x": 1}, {"code": str(CODE)}]},
        {"detail": {"code": CODE, "description": SAID}},
        {"title": str(CODE), "detail": SAID},
        json.dumps({"code": CODE, "description": SAID}),
        {"error": json.dumps({"code": CODE}), "description": SAID},
    ],
    ids=json.dumps,
)
def test_code_and_description_are_found_in_each_shape(
    client: PartnerCenter, simulator: Simulator, body: Any
) -> None:
    simulator.add_fault(Fault(path="*/orders", status=400, body=json.dumps(body)))

    with pytest.raises(errors.OrderRouteClosed) as caught:
        client.orders("c")

    assert caught.value.response.code == str(CODE)
    assert caught.value.response.description == SAID


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"Message": "An error has occurred."}', "An error has occurred."),
        ('{"error": "Access denied for this app."}', "Access denied for this app."),
        ('{"title": "Forbidden", "status": 403}', "Forbidden"),
        ("<html><head><title>403 &amp; Forbidden</title></head></html>", "403 & Forbidden"),
        ("<HTML>\n<TITLE lang='en'>\n  Bad\n  gateway </TITLE>", "Bad gateway"),
        ('{"message": "half \\ud83d"}', "half \ufffd"),
        ("<html><body>no title</body></html>", ""),
        ('{"message": 7, "description": ["x"]}', ""),
        ("", ""),
    ],
)
def test_a_description_without_a_code_is_shown(body: str, said: str) -> None:
    assert error_text(body.encode(), {}) == ("", said)


def test_a_challenge_tells_what_an_empty_body_does_not(
    client: PartnerCenter, simulator: Simulator
) -> None:
    challenge = 'Bearer realm="x", error="invalid_token", error_description="The \\"t\\" expired"'
    headers = {"WWW-Authenticate": challenge}
    simulator.add_fault(Fault(path="*/orders", status=401, body="", headers=headers, times=2))

    with pytest.raises(errors.Unauthorized, match='401/invalid_token: The "t" expired') as caught:
        client.orders("c")

    assert caught.value.response.code == "invalid_token"


def test_a_body_comes_before_the_challenge() -> None:
    body = b'{"code": 900421, "description": "No MFA."}'
    challenge = 'Bearer error="invalid_token", error_description="x"'

    assert error_text(body, {"WWW-Authenticate": challenge}) == ("900421", "No MFA.")


@pytest.mark.parametrize("code", [True, None, [], {}, 1.5])
def test_what_is_no_code_is_none(code: object) -> None:
    assert error_text(json.dumps({"code": code, "message": "m"}).encode(), {}) == ("", "m")


def test_the_code_that_means_no_sandbox_is_found_in_every_letter_case(
    client: PartnerCenter, simulator: Simulator
) -> None:
    body = {"Error": {"CODE": " 800019", "Message": "Only software."}}
    simulator.add_fault(Fault(path="*/orders", status=403, body=body))

    with pytest.raises(errors.NotASandbox):
        client.orders("c")


ALARM: dict[str, Any] = {"code": 800019, "description": "Ungültig"}
WRAPPED: dict[str, bytes] = {
    "second of several errors": json.dumps({"errors": [{"code": 1}, ALARM]}).encode(),
    "details beside a number": json.dumps({"code": 400, "details": [ALARM]}).encode(),
    "JSON in a text": json.dumps(json.dumps(ALARM)).encode(),
    "JSON in a message": json.dumps({"code": 7, "message": json.dumps(ALARM)}).encode(),
    "any other member": json.dumps({"code": 7, "extensions": {"inner": [ALARM]}}).encode(),
    "Latin-1": json.dumps(ALARM, ensure_ascii=False).encode("latin-1"),
    "UTF-16": json.dumps(ALARM, ensure_ascii=False).encode("utf-16"),
    "UTF-16 without a mark": json.dumps(ALARM, ensure_ascii=False).encode("utf-16-be"),
    "UTF-32": json.dumps(ALARM).encode("utf-32"),
    "a title": b'{"title": "800019", "status": 403}',
    "an HTML title": b"<html><head><title>800019</title></head></html>",
    "an HTML page": b"<html><body><h1>Error 800019</h1></body></html>",
    "XML": b"<Error><Code>800019</Code><Message>m</Message></Error>",
    "a text": b"403: 800019, only software",
    "an invisible character": '{"code": "800019\u200b"}'.encode(),
    "an escaped one": rb'{"code": "800019\u200b"}',
    "JSON that is cut off": b'{"code": 800019, "description": "On',
}


@pytest.mark.parametrize("content", WRAPPED.values(), ids=WRAPPED.keys())
def test_the_code_that_means_no_sandbox_is_found_wherever_it_stands(content: bytes) -> None:
    assert error_text(content, {"Content-Type": "application/json"})[0] == "800019"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-16LE", "iso-8859-1", "nonsense", "hex", "idna"])
def test_a_charset_that_is_wrong_hides_no_code(charset: str) -> None:
    headers = {"Content-Type": f'application/json; charset="{charset}"'}

    assert error_text(json.dumps(ALARM).encode(), headers)[0] == "800019"


def test_a_charset_is_kept() -> None:
    content = json.dumps(ALARM, ensure_ascii=False).encode("cp1252")

    found = error_text(content, {"Content-Type": "application/json;charset=windows-1252"})

    assert found == ("800019", "Ungültig")


@pytest.mark.parametrize(
    "text", ["1800019", "8000190", "800019ab", "0-800019-1", "1.800019", "x_800019"]
)
def test_a_part_of_another_number_or_name_is_not_the_alarm(text: str) -> None:
    assert error_text(json.dumps({"code": 7, "description": text}).encode(), {})[0] == "7"


def test_very_many_errors_are_read_in_part() -> None:
    content = json.dumps({"errors": [{"code": "x", "message": "m"}] * 10_000}).encode()

    assert error_text(content, {}) == ("x", "m")


NAMES = st.sampled_from(["code", "Code", "error", "message", "errors", "detail", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(JSON, st.text(alphabet=st.characters(max_codepoint=255)))
def test_no_error_is_too_odd(body: object, challenge: str) -> None:
    code, description = error_text(json.dumps(body).encode(), {"WWW-Authenticate": challenge})

    assert (code + description).encode() is not None


@given(st.binary())
def test_no_bytes_are_too_odd(content: bytes) -> None:
    error_text(content, {})
