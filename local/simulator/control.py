"""HTTP routes that control a running simulator from another process.

They listen on the loopback interface with the simulator and need no credentials. Member names in
requests may be camelCase or snake_case.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.calls import CallLog
from local.simulator.exchange import PREFIX
from local.simulator.faults import Fault, FaultQueue
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import changed
from local.simulator.state.products import ProductKind
from local.simulator.state.purchases import Customer
from local.simulator.state.world import World
from local.simulator.views import call_view, customer_truth

Action = Callable[[Any], object]


class Control:
    """The routes below /_simulator."""

    def __init__(
        self,
        world: World,
        accounts: Sequence[Account],
        log: CallLog,
        faults: FaultQueue,
        reset: Callable[[str], None],
    ) -> None:
        self._world = world
        self._accounts = {account.name: account for account in accounts}
        self._log = log
        self._faults = faults
        self._reset_to = reset

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        actions: tuple[tuple[str, str, Action], ...] = (
            ("GET", "behaviour", self._behaviour),
            ("PATCH", "behaviour", self._change_behaviour),
            ("POST", "faults", self._add_faults),
            ("DELETE", "faults", lambda _body: self._faults.clear()),
            ("GET", "calls", self._calls),
            ("DELETE", "calls", lambda _body: self._log.clear()),
            ("GET", "customers", self._customers),
            ("POST", "customers", self._add_customer),
            ("POST", "clock", self._advance),
            ("POST", "reset", self._reset),
        )
        return [
            Route(f"{PREFIX}/{name}", _endpoint(action), methods=[method])
            for method, name, action in actions
        ]

    def _calls(self, query: Any) -> object:  # noqa: ANN401 - JSON
        since = int(query.get("since", "0"))
        return {"calls": [call_view(call) for call in self._log.since(since)]}

    def _behaviour(self, _body: object) -> object:
        return asdict(self._world.behaviour)

    def _change_behaviour(self, body: Any) -> object:  # noqa: ANN401 - JSON
        changes = {_snake(name): value for name, value in body.items()}
        self._world.use(changed(self._world.behaviour, changes))
        return self._behaviour(None)

    def _add_faults(self, body: Any) -> object:  # noqa: ANN401 - JSON
        faults = [
            Fault(**_snake_members(fault)) for fault in (body if isinstance(body, list) else [body])
        ]
        for fault in faults:
            self._faults.add(fault)
        return {"added": len(faults)}

    def _customers(self, _body: object) -> object:
        return {
            "customers": [
                customer_truth(customer, account.name)
                for account in self._accounts.values()
                for customer in account.customers
            ]
        }

    def _add_customer(self, body: Any) -> object:  # noqa: ANN401 - JSON
        members = _snake_members(body)
        account = self._accounts[members.pop("account", "sandbox")]
        orders = [_snake_members(order) for order in members.pop("orders", [])]
        expected = members.pop("expected", "deleted")
        customer = account.add_customer(**members)
        customer.expected = expected
        _add_orders(customer, orders)
        return customer_truth(customer, account.name)

    def _advance(self, body: Any) -> object:  # noqa: ANN401 - JSON
        self._world.advance(float(body["seconds"]))
        return {"now": self._world.clock.now().isoformat()}

    def _reset(self, body: Any) -> object:  # noqa: ANN401 - JSON
        self._reset_to(body["seed"])
        return self._customers(None)


def _endpoint(action: Action) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        content = await request.body()
        try:
            members = json.loads(content) if content else dict(request.query_params)
            return JSONResponse(action(members))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return endpoint


def _add_orders(customer: Customer, orders: list[dict[str, Any]]) -> None:
    for order in orders:
        kind = ProductKind(order.pop("kind"))
        customer.add_order(kind, **order)


def _snake_members(members: dict[str, Any]) -> dict[str, Any]:
    return {_snake(name): value for name, value in members.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
