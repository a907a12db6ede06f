"""What sweeps remember of each customer, merged with what this sweep has found."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.storage.sightings import Age, Sighting
from shared.tenants import TenantId

NEVER_READ: Final = Age("no sweep has read its orders yet")


def seen(
    customers: Iterable[TenantId], known: Mapping[TenantId, Sighting], at: datetime
) -> dict[TenantId, Sighting]:
    """Return a sighting of each current customer, the first one if it was seen before."""
    return {tenant: known.get(tenant, Sighting(at)) for tenant in customers}


def known_ages(sightings: Mapping[TenantId, Sighting]) -> dict[TenantId, Age]:
    """Return the ages that earlier sweeps found."""
    return {tenant: each.age or NEVER_READ for tenant, each in sightings.items()}


def with_ages(
    sightings: Mapping[TenantId, Sighting], read: Mapping[TenantId, Age]
) -> dict[TenantId, Sighting]:
    """Return the sightings with the ages of this sweep; an unknown age replaces no known one."""
    known = {tenant: age for tenant, age in read.items() if age.since is not None}
    return {
        tenant: replace(each, age=known.get(tenant, each.age)) for tenant, each in sightings.items()
    }
