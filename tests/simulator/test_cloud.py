"""The simulated cloud in process: no socket, no thread, an injected clock."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.types import Message

from local.simulator import Fault, SimulatedCloud, app_settings
from local.simulator.state.clock import Clock
from shared.settings import read_settings

THEN = datetime(2030, 1, 1, tzinfo=UTC)


def call(
    cloud: SimulatedCloud, method: str, path: str, body: bytes = b"", **headers: str
) -> list[Message]:
    """Return what the app sends for one request."""
    incoming: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(cloud.app(scope, receive, send))
    return sent


def token(cloud: SimulatedCloud) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": cloud.sandbox.client_id,
        "client_secret": cloud.sandbox.client_secret,
        "scope": cloud.scope,
    }
    path = f"/{cloud.sandbox.tenant_id}/oauth2/v2.0/token"
    _, body = call(cloud, "POST", path, urlencode(form).encode())
    return str(json.loads(body["body"])["access_token"])


def listed(cloud: SimulatedCloud) -> Any:
    _, body = call(cloud, "GET", "/v1/customers", authorization=f"Bearer {token(cloud)}")
    return json.loads(body["body"].decode("utf-8-sig"))["items"]


def test_calls_are_served_without_a_server() -> None:
    assert len(listed(SimulatedCloud(seed="small"))) == 8


def test_reset_removes_the_customers_and_calls() -> None:
    cloud = SimulatedCloud(seed="small")
    cloud.reset()
    assert (listed(cloud), len(cloud.calls)) == ([], 2)


def test_calls_are_logged_with_the_time_of_the_injected_clock() -> None:
    cloud = SimulatedCloud(clock=Clock(lambda: THEN))
    listed(cloud)
    assert {one.time for one in cloud.calls} == {THEN}


def test_dropped_call_has_no_response() -> None:
    cloud = SimulatedCloud()
    cloud.add_fault(Fault(drop=True))
    assert call(cloud, "GET", "/v1/customers") == []
    assert cloud.calls[-1].status is None


def test_app_settings_are_those_that_the_app_reads() -> None:
    cloud = SimulatedCloud()
    storage = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    settings = read_settings({**app_settings(cloud), **storage})
    assert settings.partner_center.tenant_id == cloud.sandbox.tenant_id
