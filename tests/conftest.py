"""Fixtures that every test may use."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite

ACCOUNTS = 1000


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One emulator for the whole run."""
    with Azurite.start(accounts=ACCOUNTS) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def unused_accounts(azurite: Azurite) -> Iterator[str]:
    return iter(azurite.connection_strings)


@pytest.fixture
def storage(unused_accounts: Iterator[str]) -> str:
    """Give the connection string of a storage account that nobody has used."""
    return next(unused_accounts)
