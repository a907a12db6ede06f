"""A simulator of Partner Center, of Entra ID and of the Azure services that credentials need."""

from local.simulator.app_settings import app_settings
from local.simulator.calls import Call
from local.simulator.cloud import SimulatedCloud
from local.simulator.faults import Fault
from local.simulator.simulator import Simulator
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour
from local.simulator.state.products import ProductKind
from local.simulator.state.purchases import Customer, Order, Subscription

__all__ = [
    "Account",
    "Behaviour",
    "Call",
    "Customer",
    "Fault",
    "Order",
    "ProductKind",
    "SimulatedCloud",
    "Simulator",
    "Subscription",
    "app_settings",
]
