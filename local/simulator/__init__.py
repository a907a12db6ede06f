"""A simulator of Partner Center, of Entra ID and of what our credentials need from Azure."""

from local.simulator.accounts import Account
from local.simulator.behaviour import Behaviour
from local.simulator.calls import Call
from local.simulator.faults import Fault
from local.simulator.products import ProductKind
from local.simulator.purchases import Customer, Order, Subscription
from local.simulator.simulator import Simulator

__all__ = [
    "Account",
    "Behaviour",
    "Call",
    "Customer",
    "Fault",
    "Order",
    "ProductKind",
    "Simulator",
    "Subscription",
]
