"""Prints the number of API calls per deletion, next to the loop in Microsoft's documentation.

Run: python -m benchmarks.calls
"""

import os
from dataclasses import replace

from benchmarks.loop import delete_by_loop, loop_connection
from local.azurite import Azurite
from local.simulator import Customer, ProductKind, Simulator
from tests.bench import Bench

ORDERS = (1, 3, 5)
ROUNDS = (0, 1, 3)
SECONDS_PER_ROUND = 30


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
    connection = loop_connection(simulator.environment())
    simulator.clear_calls()
    delete_by_loop(connection, customer.tenant_id, lambda: simulator.advance(SECONDS_PER_ROUND))
    return len([call for call in simulator.calls if call.path.startswith("/v1/")])


def _allow_entitlements(simulator: Simulator, *, allowed: bool) -> None:
    simulator.behaviour = replace(simulator.behaviour, app_only_entitlements=allowed)


if __name__ == "__main__":
    main()
