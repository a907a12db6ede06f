"""The customers that a simulator starts with."""

from local.simulator.accounts import Account
from local.simulator.world import World


def seed(name: str, world: World, sandbox: Account, production: Account) -> None:
    """Create the customers of a seed; raises ValueError for an unknown one."""
    _ = (name, world, sandbox, production)
