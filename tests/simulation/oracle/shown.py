"""A customer's purchases as the app last read them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from tests.simulation.clock import START
from tests.simulation.log import Call
from tests.simulation.oracle.calls import body_of, code_of, is_write, tenant_of
from tests.simulation.oracle.history import STEPS, History, function_of

_WINDOW: Final = timedelta(days=60)
_ORDER_ROUTE: Final = frozenset({"software"})
_RUNNING: Final = frozenset({"active", "pending"})
# A suspended one of these is cancelled only by `deleted`, and may be suspended first.
_DELETED: Final = frozenset({"onlineservicesnce", "saas"})
# Partner Center's page of error codes: the same call will never succeed.
_FINAL_CODES: Final = frozenset(
    {"800061", "800063", "800077", "800040", "800091", "800096", "900117", "900127", "900213",
     "900277", "900279", "900311", "900321", "900322"}
)  # fmt: skip
# A subscription that is deleted already, or that does not exist.
_GONE_CODES: Final = frozenset({"2011", "20003"})
# And these say that it may succeed later, or after another call, or on another account.
_PASSING_CODES: Final = frozenset(
    {"800014", "800060", "800073", "800074", "800075", "800081", "800082", "800019", "900115",
     "900159", "900278", "900280", "1000", "2055", "20000", "20002", "6002", "60003"}
)  # fmt: skip
# With another code, the app can only take the status at its word.
_FINAL_STATUSES: Final = frozenset({400, 403, 405, 406, 417})


def is_final(call: Call) -> bool:
    """Return whether the app may take a response to a write for its last word."""
    code = code_of(call)
    if not code.isdecimal():
        # Something in front of Partner Center may have made it, so that it is no last word.
        return False
    if code in _FINAL_CODES:
        return True
    return code not in _PASSING_CODES and call.status in _FINAL_STATUSES


def wanted(call: Call) -> str:
    """Return the status that a write asks for, or its last word for one that asks for none."""
    try:
        body = json.loads(call.sent)
    except ValueError:
        body = None
    status = body.get("status") if isinstance(body, dict) else None
    return str(status or call.path.rpartition("/")[2]).lower()


@dataclass(slots=True)
class Shown:
    """The purchases by ID, and what Partner Center refused for good: an ID and a status."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def learn(self, call: Call) -> None:
        """Apply a response."""
        parts = call.path.partition("?")[0].split("/")[4:]
        body = body_of(call)
        if call.status is None or not parts:
            return
        if call.status >= 400:
            if is_write(call) and len(parts) > 1:
                self._take_refusal(parts[1], call)
            return
        # 202 says that it goes on; the body may show how it will end.
        if isinstance(body, dict) and call.status != HTTPStatus.ACCEPTED:
            self._take(parts, body)

    def _take_refusal(self, identifier: str, call: Call) -> None:
        if code_of(call) in _GONE_CODES:
            self._take_end(identifier)
        elif is_final(call):
            self.refused.add((identifier, wanted(call)))

    def _take_end(self, identifier: str) -> None:
        if known := self.subscriptions.get(identifier):
            self.subscriptions[identifier] = {**known, "status": "deleted"}

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
            if order["status"] == "cancelled" or (order["id"], "cancelled") in self.refused:
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
            if each["orderId"] not in cancelled
            and _product(each) not in _ORDER_ROUTE
            and self._is_open(each)
            and not _is_savings_plan(each)
        ]

    def _is_open(self, subscription: Mapping[str, Any]) -> bool:
        status, product = subscription["status"], _product(subscription)
        refused = {name for identifier, name in self.refused if identifier == subscription["id"]}
        # What it needs first was refused: its activation, or the end of an Azure subscription.
        if not refused.isdisjoint({"activate", "cancel"}):
            return False
        left = ({"deleted", "suspended"} if product in _DELETED else {"suspended"}) - refused
        return bool(left) and (status in _RUNNING or (status == "suspended" and "deleted" in left))


def open_purchases(history: History, delete: Call) -> list[str]:
    """Return what could still be cancelled in the last state that the deletion was shown.

    What a dry run or a sweep was shown meanwhile reaches no other process. Any process may have
    planned the DELETE, by a clock that is ahead, so that an order was too old.
    """
    shown = Shown()
    tenant = tenant_of(delete)
    known = [
        call
        for call in history.partner_center
        if 0 < call.returned < delete.left
        and tenant_of(call) == tenant
        and function_of(call.run) in STEPS
        and call.run not in history.dry_runs
    ]
    for call in sorted(known, key=lambda each: each.served or each.returned):
        shown.learn(call)
    return shown.open(START + timedelta(seconds=delete.left_at + history.ahead))


def _is_savings_plan(subscription: Mapping[str, Any]) -> bool:
    """Return whether no call cancels it, so that none has to be tried before the DELETE."""
    product_type = subscription.get("productType") or {}
    return bool((product_type.get("subType") or {}).get("id") == "SavingsPlan")


def _product(subscription: Mapping[str, Any]) -> str:
    return str((subscription.get("productType") or {}).get("id", "")).lower()
