"""Calls that break the rules of the gateway are rejected."""

import codecs
import json
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from local.simulator import Behaviour, Customer, ProductKind, Simulator
from local.simulator.identity.tokens import AUDIENCE, issue
from local.simulator.state.behaviour import CodeType, ErrorBody, RetryAfter
from tests.simulator.conftest import Client, path_of, token_request, user_token

CUSTOMERS = "/v1/customers?size=0"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def claims(simulator: Simulator, **changes: object) -> dict[str, object]:
    return {"aud": AUDIENCE, "tid": simulator.sandbox.tenant_id, "idtyp": "app", **changes}


def test_request_ids_are_echoed(client: Client) -> None:
    ids = {"MS-RequestId": str(uuid.uuid4()), "MS-CorrelationId": str(uuid.uuid4())}
    response = client.get(CUSTOMERS, headers=ids)
    assert {name: response.headers[name] for name in ids} == ids
    assert response.headers["MS-CV"]


def test_absent_request_id_is_generated(client: Client) -> None:
    generated = client.get("/v1/nothing").headers["MS-RequestId"]
    assert str(uuid.UUID(generated)) == generated


def test_json_begins_with_a_byte_order_mark(simulator: Simulator, client: Client) -> None:
    assert client.get(CUSTOMERS).content.startswith(codecs.BOM_UTF8)
    simulator.behaviour = replace(Behaviour(), byte_order_mark=False)
    assert client.get(CUSTOMERS).content.startswith(b"{")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/nothing",
        "/v1//v1/customers",
        "/v2/customers",
        "/v1/customers/",
        "/v1/customers/a/orders/b/c",
        "/",
    ],
)
def test_unmapped_route_gets_the_gateway_body(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status == 404
    assert response.json == {"statusCode": 404, "message": "Not Found"}


def test_wrong_method_is_405(client: Client, customer: Customer) -> None:
    assert client.delete("/v1/customers").status == 405
    assert client.post(f"{path_of(customer)}/orders", {}).status == 405
    assert client.call("PUT", path_of(customer)).json["statusCode"] == 405


def test_missing_token_is_401(client: Client) -> None:
    response = client.get(CUSTOMERS, headers={"Authorization": ""})
    assert (response.status, response.code) == (401, 800001)
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_expired_token_is_401(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), token_lifetime_seconds=0)
    token = token_request(simulator, simulator.sandbox).json()["access_token"]
    response = client.get(CUSTOMERS, headers=bearer(token))
    assert (response.status, response.code) == (401, 400)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://graph.windows.net"}, 900420),
        ({"tid": "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"}, 400),
        ({"scp": "user_impersonation", "amr": ["pwd"]}, 900421),
    ],
    ids=["wrong audience", "other tenant", "user without MFA"],
)
def test_token_with_wrong_claims_is_401(
    simulator: Simulator, client: Client, changes: dict[str, object], code: int
) -> None:
    token = issue(claims(simulator, **changes), 60)
    response = client.get(CUSTOMERS, headers=bearer(token))
    assert (response.status, response.code) == (401, code)


def test_token_with_a_foreign_signature_is_401(simulator: Simulator, client: Client) -> None:
    head, payload, _ = issue(claims(simulator), 60).split(".")
    response = client.get(CUSTOMERS, headers=bearer(f"{head}.{payload}.{'A' * 342}"))
    assert (response.status, response.code) == (401, 400)


def test_users_can_lack_mfa(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), user_tokens_have_mfa=False)
    response = client.get(CUSTOMERS, headers=bearer(user_token(simulator, simulator.sandbox)))
    assert (response.status, response.code) == (401, 900421)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"data": b"{}"}, 3000),
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 3000),
        ({"data": b'{"a": 1,}', "headers": {"Content-Type": "application/json"}}, 800002),
        ({"json": ["cancelled"]}, 800002),
        ({"headers": {"Content-Type": "application/json"}}, 800002),
    ],
    ids=["no content type", "text", "trailing comma", "array", "empty"],
)
def test_write_without_a_json_object_is_400(
    client: Client, customer: Customer, options: dict[str, Any], code: int
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    response = client.call("PATCH", f"{path_of(customer)}/orders/{order.id}", **options)
    assert (response.status, response.code) == (400, code)
    assert order.status == "completed"


def test_json_with_a_charset_is_accepted(client: Client, customer: Customer) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.cancel_order(customer, order.id, headers=headers).status == 200


def test_error_code_can_be_a_string(simulator: Simulator, client: Client, stranger: str) -> None:
    assert client.get(f"/v1/customers/{stranger}").code == 60003
    simulator.behaviour = replace(Behaviour(), error_code_type=CodeType.STRING)
    assert client.get(f"/v1/customers/{stranger}").code == "60003"


def test_errors_can_have_a_gateway_body_or_none(
    simulator: Simulator, client: Client, stranger: str
) -> None:
    simulator.behaviour = replace(Behaviour(), error_body=ErrorBody.GATEWAY)
    assert client.get(f"/v1/customers/{stranger}").json["statusCode"] == 404
    simulator.behaviour = replace(Behaviour(), error_body=ErrorBody.EMPTY)
    empty = client.get(f"/v1/customers/{stranger}")
    assert (empty.status, empty.content) == (404, b"")


def test_call_above_the_limit_is_429_until_the_window_has_passed(
    simulator: Simulator, client: Client
) -> None:
    simulator.behaviour = replace(Behaviour(), requests_per_minute=2)
    assert [client.get(CUSTOMERS).status for _ in range(3)] == [200, 200, 429]
    refused = client.get(CUSTOMERS)
    seconds = int(refused.headers["Retry-After"])
    assert refused.json["message"] == f"Rate limit is exceeded. Try again in {seconds} seconds."

    simulator.advance(seconds - 2)
    assert client.get(CUSTOMERS).status == 429
    simulator.advance(61)
    assert client.get(CUSTOMERS).status == 200


def test_parallel_calls_are_counted_one_by_one(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), requests_per_minute=15)
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: client.get(CUSTOMERS).status, range(40)))
    assert statuses == {200: 15, 429: 25}
    assert [call.sequence for call in simulator.calls] == sorted(
        call.sequence for call in simulator.calls
    )


def test_partner_tenants_are_throttled_separately(
    simulator: Simulator, client: Client, production_client: Client
) -> None:
    simulator.behaviour = replace(Behaviour(), requests_per_minute=1)
    assert client.get(CUSTOMERS).status == 200
    assert production_client.get(CUSTOMERS).status == 200
    assert client.get(CUSTOMERS).status == 429


def test_500_calls_per_minute_are_allowed_by_default() -> None:
    assert Behaviour().requests_per_minute == 500


def test_throttling_can_be_disabled(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), requests_per_minute=None)
    assert client.get(CUSTOMERS).status == 200


def test_retry_after_can_be_a_date_or_absent(simulator: Simulator, client: Client) -> None:
    simulator.behaviour = replace(Behaviour(), requests_per_minute=0, retry_after=RetryAfter.DATE)
    date = parsedate_to_datetime(client.get(CUSTOMERS).headers["Retry-After"])
    assert 55 < (date - datetime.now(UTC)).total_seconds() < 65
    simulator.behaviour = replace(simulator.behaviour, retry_after=RetryAfter.ABSENT)
    assert "Retry-After" not in client.get(CUSTOMERS).headers


def test_repeated_request_id_of_a_write_gets_the_first_response(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    headers = {"MS-RequestId": str(uuid.uuid4())}
    assert client.delete(path_of(customer), headers=headers).status == 204
    assert client.delete(path_of(customer), headers=headers).status == 204
    assert client.delete(path_of(customer)).status == 404

    simulator.behaviour = replace(Behaviour(), replay_request_ids=False)
    assert client.delete(path_of(customer), headers=headers).status == 404


def test_repeated_request_id_of_a_rejected_write_is_rejected_again(
    client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    headers = {"MS-RequestId": str(uuid.uuid4())}
    assert client.delete(path_of(customer), headers=headers).status == 400
    client.cancel_order(customer, order.id)
    assert client.delete(path_of(customer), headers=headers).status == 400
    assert client.delete(path_of(customer)).status == 204


def test_log_shows_calls_and_their_results(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.NCE_LICENCES)
    simulator.clear_calls()
    headers = {"MS-RequestId": "one", "MS-CorrelationId": "two"}
    client.cancel_order(customer, order.id, headers=headers)
    client.get("/v1/customers?size=5")

    refused, listed = simulator.calls
    assert (refused.method, refused.path) == (
        "PATCH",
        f"{path_of(customer)}/orders/{order.id}",
    )
    assert (refused.status, refused.code, refused.is_write) == (400, 800061, True)
    assert (refused.request_id, refused.correlation_id) == ("one", "two")
    assert (refused.partner_tenant_id, refused.app_only) == (simulator.sandbox.tenant_id, True)
    assert refused.requested_status == "cancelled"
    assert (listed.query, listed.code, listed.is_write) == ("size=5", None, False)
    assert listed.sequence == refused.sequence + 1


def test_log_contains_no_token_or_body(
    simulator: Simulator, client: Client, customer: Customer
) -> None:
    order = customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    body = {"id": order.id, "status": "cancelled", "comment": "written in the body"}
    client.patch(f"{path_of(customer)}/orders/{order.id}", body)
    written = json.dumps([str(call) for call in simulator.calls])
    assert "written in the body" not in written
    assert str(client.session.headers["Authorization"]).split()[1] not in written
