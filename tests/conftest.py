"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from local.azurite import Azurite
from local.simulator import Simulator
from shared.partner_center import refresh_tokens
from shared.safety.switch import Switch
from tests.bench import Bench

ACCOUNTS = 1000

# A push must not fail on an example that another push passed; runs by hand keep exploring.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "thorough", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=1000
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slow tests, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One emulator for each worker."""
    with Azurite.start(accounts=ACCOUNTS) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def unused_accounts(azurite: Azurite) -> Iterator[Iterator[str]]:
    """Storage accounts that nobody has used, of another emulator when the first has no more."""
    with ExitStack() as emulators:
        yield _accounts(azurite, emulators)


def _accounts(first: Azurite, emulators: ExitStack) -> Iterator[str]:
    yield from first.connection_strings
    while True:
        yield from emulators.enter_context(Azurite.start(accounts=ACCOUNTS)).connection_strings


@pytest.fixture
def storage(unused_accounts: Iterator[str]) -> str:
    """Give the connection string of a storage account that nobody has used."""
    return next(unused_accounts)


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    """One simulator for each worker."""
    with Simulator.start() as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Give an empty simulator whose certificate every client trusts."""
    running_simulator.reset("empty")
    for name, value in running_simulator.environment(auth="federated").items():
        if name in {"REQUESTS_CA_BUNDLE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"}:
            monkeypatch.setenv(name, value)
    yield running_simulator
    running_simulator.reset("empty")


@pytest.fixture(autouse=True)
def _trips_are_not_written_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a trip that a test loses from being stored in a later test."""
    monkeypatch.setattr(Switch, "_start_writing", lambda _: None)


@pytest.fixture(autouse=True)
def _no_refresh_token_is_stored_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a thread that a test starts from calling the vault of a later test."""
    monkeypatch.setattr(refresh_tokens, "in_background", lambda *_: None)


@pytest.fixture
def bench(simulator: Simulator, storage: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a workbench whose services the handlers use."""
    monkeypatch.setattr("shared.services._built", [])
    monkeypatch.setattr("shared.services._owned", [])
    return Bench(simulator, storage)
