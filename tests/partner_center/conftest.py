"""A client of the simulator, as a deletion uses it."""

from collections.abc import Callable

import pytest

from local.simulator import Simulator
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Connection
from shared.partner_center.credentials import TokenSource
from shared.settings import PartnerCenterSettings, read_settings
from tests.bench import UNHURRIED
from tests.local_budget import LocalBudget

Connect = Callable[..., Connection]


@pytest.fixture
def partner_settings(simulator: Simulator) -> Callable[..., PartnerCenterSettings]:
    def read(auth: str = "secret", **environment: str) -> PartnerCenterSettings:
        values = {
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            **simulator.environment(auth=auth),
        }
        return read_settings({**values, **environment}).partner_center

    return read


@pytest.fixture
def connect(partner_settings: Callable[..., PartnerCenterSettings]) -> Connect:
    def open_connection(auth: str = "secret", **environment: str) -> Connection:
        settings = partner_settings(auth, **environment)
        return Connection(
            settings.endpoints.base_url, TokenSource(settings), LocalBudget(UNHURRIED)
        )

    return open_connection


@pytest.fixture
def client(connect: Connect) -> PartnerCenter:
    return PartnerCenter(connect(), "correlation", gate=lambda: None)
