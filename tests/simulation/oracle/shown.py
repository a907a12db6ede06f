"""A customer's purchases as the app last read them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.simulation.clock import START
from tests.simulation.log import Call
from tests.simulation.oracle.history import History, body_of, tenant_of

_WINDOW: Final = timedelta(days=60)
_LATER: Final = frozenset({408, 409, 412, 429})
_ORDER_ROUTE: Final = frozenset({"software"})
_RUNNING: Final = frozenset({"active", "pending"})


@dataclass(slots=True)
class Shown:
    """The purchases by ID, and the IDs that Partner Center refused to change."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def learn(self, call: Call) -> None:
        """Apply a response."""
        parts = call.path.partition("?")[0].split("/")[4:]
        body = body_of(call)
        if call.status is None or not parts:
            return
        if call.status >= 400:
            if call.method != "GET" and len(parts) > 1 and _for_good(call.status):
                self.refused.add(parts[1])
            return
        if isinstance(body, dict):
            self._take(parts, body)

    def _take(self, parts: list[str], body: dict[str, Any]) -> None:
        match parts:
            case ["orders"]:
                self.orders |= {item["id"]: item for item in body.get("items", ())}
            case ["orders", _] if "status" in body:
                self.orders[body["id"]] = body
            case ["subscriptions"]:
                self.subscriptions |= {item["id"]: item for item in body.get("items", ())}
            case ["subscriptions", _] if "status" in body and "orderId" in body:
                self.subscriptions[body["id"]] = body

    def open(self, now: datetime) -> list[str]:
        """Return what could still be cancelled."""
        return [*self._open_orders(now), *self._open_subscriptions()]

    def _open_orders(self, now: datetime) -> list[str]:
        by_order = {each["orderId"]: each for each in self.subscriptions.values()}
        found = []
        for order in self.orders.values():
            subscription = by_order.get(order["id"]) or by_order.get(order.get("alternateId", ""))
            if order["status"] == "cancelled" or order["id"] in self.refused:
                continue
            if now - datetime.fromisoformat(order["creationDate"][:26] + "+00:00") > _WINDOW:
                continue
            if subscription is None or _product(subscription) in _ORDER_ROUTE:
                found.append(f"order {order['id']} {order['status']}")
        return found

    def _open_subscriptions(self) -> list[str]:
        cancelled = {
            name
            for order in self.orders.values()
            if order["status"] == "cancelled"
            for name in (order["id"], order.get("alternateId", ""))
        }
        return [
            f"subscription {each['id']} {each['status']}"
            for each in self.subscriptions.values()
            if each["status"] in _RUNNING
            and each["id"] not in self.refused
            and each["orderId"] not in cancelled
            and _product(each) not in _ORDER_ROUTE
            and not _is_savings_plan(each)
        ]


def open_purchases(history: History, delete: Call) -> list[str]:
    """Return what could still be cancelled in the last state that the app read."""
    shown = Shown()
    tenant = tenant_of(delete)
    known = [
        call
        for call in history.partner_center
        if 0 < call.returned < delete.left and tenant_of(call) == tenant
    ]
    for call in sorted(known, key=lambda each: each.served or each.returned):
        shown.learn(call)
    return shown.open(START + timedelta(seconds=delete.left_at))


def _for_good(status: int) -> bool:
    return status < 500 and status not in _LATER


def _is_savings_plan(subscription: dict[str, Any]) -> bool:
    """Return whether no call cancels it, so that none has to be tried before the DELETE."""
    product_type = subscription.get("productType") or {}
    return bool((product_type.get("subType") or {}).get("id") == "SavingsPlan")


def _product(subscription: dict[str, Any]) -> str:
    return str((subscription.get("productType") or {}).get("id", "")).lower()
