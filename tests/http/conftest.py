"""The app's HTTP functions on the workbench."""

import pytest

from local.simulator import Customer, ProductKind, Simulator
from tests.bench import Bench
from tests.http.app import App


@pytest.fixture(scope="session")
def loaded() -> App:
    return App()


@pytest.fixture
def api(loaded: App, bench: Bench) -> App:  # noqa: ARG001 - the functions work on its services
    loaded.headers = {}
    return loaded


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    """Give a customer whose only order can be cancelled."""
    customer = simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com", "TiP Demo 001")
    customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    return customer


@pytest.fixture
def stuck_customer(simulator: Simulator) -> Customer:
    """Give a customer that no API call can empty."""
    customer = simulator.sandbox.add_customer("tipdemo002.onmicrosoft.com", "TiP Demo 002")
    customer.add_order(ProductKind.SAVINGS_PLAN)
    return customer
