"""The app settings of a simulator are those that tipsweep reads."""

import pytest

from local.simulator import Simulator
from shared.settings import Auth, read_settings

STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


@pytest.mark.parametrize("auth", list(Auth))
def test_environment_is_complete_for_each_way_to_sign_in(simulator: Simulator, auth: Auth) -> None:
    for account in (simulator.sandbox, simulator.production):
        settings = read_settings({**simulator.environment(account, auth), **STORAGE})
        assert settings.partner_center.tenant_id == account.tenant_id
        assert settings.partner_center.auth is auth
        assert settings.partner_center.endpoints.base_url == simulator.url


def test_unknown_way_to_sign_in_is_rejected(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="expected one of secret, certificate, federated, user"):
        simulator.environment(auth="password")


def test_account_of_the_environment_is_the_sandbox_by_default(simulator: Simulator) -> None:
    assert simulator.environment() == simulator.environment(simulator.sandbox, "secret")
