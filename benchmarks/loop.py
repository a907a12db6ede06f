"""The loop in Microsoft's documentation, which tipsweep is compared with.

It follows "Delete a customer account from the integration sandbox": list the entitlements, get and
patch the order of each, get each order until it is cancelled, delete. Unlike the page's own loop it
gives up at some point, and it polls in rounds. It needs entitlements and is allowed to read them;
tipsweep signs in app-only and is not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.partner_center.connection import Connection, Response
from shared.partner_center.deadline import Deadline
from shared.services import connect
from shared.settings import read_settings
from tests.local_budget import LocalBudget

MAX_ROUNDS = 100
UNLIMITED = 600_000


def loop_connection(environment: Mapping[str, str]) -> Connection:
    """Return a connection for the loop, which keeps to no limit."""
    storage = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    settings = read_settings({**environment, **storage}).partner_center
    return connect(settings, LocalBudget(UNLIMITED))


def delete_by_loop(connection: Connection, tenant: str, wait: Callable[[], object]) -> None:
    """Delete one customer as the page does; `wait` passes the time before each round."""
    base = f"customers/{tenant}"
    entitlements = _get(connection, f"{base}/entitlements")["items"]
    pending = [item["referenceOrder"]["id"] for item in entitlements]
    for order_id in pending:
        order = _get(connection, f"{base}/orders/{order_id}")
        body = {**order, "status": "cancelled"}
        _call(connection, "PATCH", f"{base}/orders/{order_id}", body)
    for _ in range(MAX_ROUNDS):
        wait()
        states = [_get(connection, f"{base}/orders/{order_id}")["status"] for order_id in pending]
        if all(state == "cancelled" for state in states):
            break
    _call(connection, "DELETE", base)


def _get(connection: Connection, path: str) -> dict[str, Any]:
    body: dict[str, Any] = _call(connection, "GET", path).body
    return body


def _call(
    connection: Connection, method: str, path: str, body: dict[str, Any] | None = None
) -> Response:
    return connection.call(
        method, path, correlation_id="", deadline=Deadline.after(), gate=lambda: None, body=body
    )
