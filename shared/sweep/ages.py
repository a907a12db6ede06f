"""Determines how old customers are: by the earliest order, or by the sweep that first saw them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    HeldBack,
    NoResponse,
    NotASandbox,
    OutOfTime,
    PartnerCenterError,
    SignInFailed,
    Throttled,
)
from shared.partner_center.resources import Order
from shared.storage.sightings import Age, Sighting
from shared.tenants import TenantId

BY_ORDER: Final = "its earliest order"
BY_SIGHT: Final = "the first sweep that saw it"
# 75 customers take 10 s at the usual rate; Azure cuts off an HTTP caller after 230 s.
_TIME: Final = timedelta(seconds=90)


def read_ages(
    client: PartnerCenter,
    tenants: Iterable[TenantId],
    sightings: Mapping[TenantId, Sighting],
    now: Callable[[], datetime],
) -> dict[TenantId, Age]:
    """Read the orders of these customers and return the age of each.

    An age is unknown where the orders cannot be read; once Partner Center throttles, does not
    respond or takes long, no more are read. Raises NotASandbox or SignInFailed.
    """
    ages: dict[TenantId, Age] = {}
    end = now() + _TIME
    stopped = ""
    for tenant in tenants:
        if not stopped and now() >= end:
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
            stopped = _reason_to_stop(error)
    return ages


def _reason_to_stop(error: PartnerCenterError) -> str:
    """Return why the next customer would fail too, "" if it might not."""
    if isinstance(error, Throttled):
        return "Partner Center throttles"
    return str(error) if isinstance(error, (HeldBack, NoResponse, OutOfTime)) else ""


def _age(orders: Iterable[Order], sighting: Sighting) -> Age:
    known = list(orders)
    if not known:
        return _by_sight(sighting)
    if unread := next((order.unread for order in known if order.unread), ""):
        return Age(f"one of its orders could not be read: {unread}")
    dates = [order.created for order in known if order.created is not None]
    return Age(BY_ORDER, min(dates)) if dates else Age("none of its orders has a date")


def _by_sight(sighting: Sighting) -> Age:
    if sighting.first_seen is None and sighting.age is not None:
        return sighting.age
    return Age(BY_SIGHT, sighting.first_seen)
