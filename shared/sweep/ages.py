"""Finds out how old customers are: by their earliest order, else by the first sweep's look."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    NoResponse,
    NotASandbox,
    PartnerCenterError,
    SignInFailed,
    Throttled,
)
from shared.partner_center.resources import Order
from shared.services import Services
from shared.sweep.decision import Age
from shared.sweep.memory import Sighting
from shared.tenants import TenantId

BY_ORDER: Final = "its earliest order"
BY_SIGHT: Final = "the first sweep that saw it"
NEVER_READ: Final = Age("no sweep has read its orders yet")
# 75 customers take 10 s at the usual rate; an HTTP caller is cut off after 230 s.
_TIME: Final = timedelta(seconds=90)


def read_ages(
    services: Services,
    client: PartnerCenter,
    tenants: Iterable[TenantId],
    sightings: Mapping[TenantId, Sighting],
) -> dict[TenantId, Age]:
    """Read the orders of these customers and return the age of each.

    An age is unknown where the orders cannot be read; once Partner Center throttles, does not
    answer or takes long, no more are read. Raises NotASandbox or SignInFailed.
    """
    ages: dict[TenantId, Age] = {}
    end = services.now() + _TIME
    stopped = ""
    for tenant in tenants:
        if not stopped and services.now() >= end:
            stopped = f"reading orders took more than {_TIME.seconds} s"
        if stopped:
            ages[tenant] = Age(f"its orders were not read, because {stopped}")
            continue
        try:
            ages[tenant] = _age(client.orders(tenant), sightings[tenant])
        except (NotASandbox, SignInFailed):
            raise
        except PartnerCenterError as error:
            ages[tenant] = Age(f"its orders could not be read: {error}")
            if isinstance(error, Throttled | NoResponse):
                stopped = "Partner Center throttles" if isinstance(error, Throttled) else str(error)
    return ages


def _age(orders: Iterable[Order], sighting: Sighting) -> Age:
    known = list(orders)
    if not known:
        return Age(BY_SIGHT, sighting.first_seen)
    dates = [order.created for order in known if order.created is not None]
    return Age(BY_ORDER, min(dates)) if dates else Age("none of its orders has a date")
