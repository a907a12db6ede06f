"""Prints the number of API calls per deletion, next to the loop in Microsoft's documentation.

Run: python -m benchmarks.calls

The loop follows "Delete a customer account from the integration sandbox": list the entitlements,
get and patch the order of each, get each order until it is cancelled, delete. Unlike the page's own
loop it gives up at some point, and it polls in rounds. It needs entitlements and is allowed to read
them; tipsweep signs in app-only and is not.
"""

import os
from dataclasses import replace
from typing import Any

from local.azurite import Azurite
from local.simulator import Customer, ProductKind, Simulator
from shared.partner_center.connection import Connection, Response
from shared.partner_center.deadline import Deadline
from shared.services import connect
from shared.settings import PartnerCenterSettings, read_settings
from tests.bench import Bench
from tests.local_budget import LocalBudget

ORDERS = (1, 3, 5)
ROUNDS = (0, 1, 3)
SECONDS_PER_ROUND = 30
MAX_ROUNDS = 100
UNLIMITED = 600_000


def main() -> None:
    """Run both on equal customers and print the number of calls."""
    with Simulator.start() as simulator, Azurite.start() as azurite:
        os.environ["REQUESTS_CA_BUNDLE"] = str(simulator.ca_file)
        bench = Bench(simulator, azurite.connection_string)
        _tipsweep(bench, 0, 0)
        print("orders  rounds  tipsweep  Microsoft's loop")
        for orders in ORDERS:
            for rounds in ROUNDS:
                ours = _tipsweep(bench, orders, rounds)
                peer = _loop(simulator, orders, rounds)
                print(f"{orders:6}  {rounds:6}  {ours:8}  {peer:16}")


def _customer(simulator: Simulator, orders: int, rounds: int) -> Customer:
    customer = simulator.sandbox.add_customer(f"c{orders}{rounds}.onmicrosoft.com")
    for _ in range(orders):
        seconds = rounds * SECONDS_PER_ROUND - SECONDS_PER_ROUND / 2 if rounds else 0
        customer.add_order(ProductKind.PERPETUAL_SOFTWARE, cancel_after_seconds=seconds)
    return customer


def _tipsweep(bench: Bench, orders: int, rounds: int) -> int:
    """Count without the lists of customers, which all deletions within a minute share."""
    _allow_entitlements(bench.simulator, allowed=False)
    customer = _customer(bench.simulator, orders, rounds)
    bench.forget_customer_list()
    bench.simulator.clear_calls()
    bench.drop(customer.tenant_id)
    bench.pump(advance_seconds=SECONDS_PER_ROUND)
    calls = [call for call in bench.calls() if call.path != "/v1/customers"]
    return len(calls)


def _loop(simulator: Simulator, orders: int, rounds: int) -> int:
    _allow_entitlements(simulator, allowed=True)
    customer = _customer(simulator, orders, rounds)
    connection = connect(_settings(simulator), LocalBudget(UNLIMITED))
    simulator.clear_calls()
    base = f"customers/{customer.tenant_id}"
    entitlements = _get(connection, f"{base}/entitlements")["items"]
    pending = [item["referenceOrder"]["id"] for item in entitlements]
    for order_id in pending:
        order = _get(connection, f"{base}/orders/{order_id}")
        body = {**order, "status": "cancelled"}
        _call(connection, "PATCH", f"{base}/orders/{order_id}", body)
    for _ in range(MAX_ROUNDS):
        simulator.advance(SECONDS_PER_ROUND)
        states = [_get(connection, f"{base}/orders/{order_id}")["status"] for order_id in pending]
        if all(state == "cancelled" for state in states):
            break
    _call(connection, "DELETE", base)
    return len([call for call in simulator.calls if call.path.startswith("/v1/")])


def _allow_entitlements(simulator: Simulator, *, allowed: bool) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=allowed)


def _settings(simulator: Simulator) -> PartnerCenterSettings:
    return read_settings(
        {**simulator.environment(), "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    ).partner_center


def _get(connection: Connection, path: str) -> dict[str, Any]:
    body: dict[str, Any] = _call(connection, "GET", path).body
    return body


def _call(
    connection: Connection, method: str, path: str, body: dict[str, Any] | None = None
) -> Response:
    return connection.call(
        method, path, correlation_id="", deadline=Deadline.after(), gate=lambda: None, body=body
    )


if __name__ == "__main__":
    main()
