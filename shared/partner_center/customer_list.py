"""The customers of the account, listed once a minute for all deletions of a process."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import NoContent
from shared.partner_center.resources import Customer
from shared.partner_center.shared_call import SharedCall
from shared.tenants import TenantId

MAX_AGE_SECONDS: Final = 60.0
# What a 204 lists: nobody, which is no evidence that a customer is gone.
NO_CONTENT: Final[Mapping[TenantId, Customer]] = MappingProxyType({})


class CustomerList:
    """Keeps the listing for a minute, so that the rules do not cost a call per customer."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._listing = SharedCall[Mapping[TenantId, Customer]]("The listing of the customers")
        self._lock = threading.Lock()
        self._listed_at = float("-inf")
        self._listed: Mapping[TenantId, Customer] = {}
        self._newer: dict[TenantId, Customer] = {}

    def current(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        """Return the customers by ID, at most a minute old; 76 of them mean "more than 75".

        `NO_CONTENT` if Partner Center responded with 204.
        Threads that need a listing at the same time share one, and its failure. Raises its error,
        or OutOfTime if the client's deadline comes first.
        """
        if self._fresh():
            return self._listed
        return self._listing.result(partial(self._list, client), client.deadline)

    def refresh(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        """List the customers again, and return them as `current` does."""
        self._listed_at = float("-inf")
        return self.current(client)

    def _fresh(self) -> bool:
        return self._monotonic() - self._listed_at <= MAX_AGE_SECONDS

    def _list(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        # The listing before this one may have ended after the caller looked.
        if self._fresh():
            return self._listed
        listed = _read(client)
        with self._lock:
            self._newer.clear()
        self._listed = listed
        self._listed_at = self._monotonic()
        return listed

    def count(self, listed: Mapping[TenantId, Customer], customer: Customer) -> int:
        """Return how many customers a listing, what was found since, and this customer are."""
        with self._lock:
            return len({*listed, *self._newer, customer.id})

    def newer(self, tenant: TenantId) -> Customer | None:
        """Return a customer that was found by ID since the listing."""
        with self._lock:
            return self._newer.get(tenant)

    def remember(self, customer: Customer) -> None:
        """Keep a customer that the listing did not show."""
        with self._lock:
            self._newer[customer.id] = customer


def _read(client: PartnerCenter) -> Mapping[TenantId, Customer]:
    try:
        return _by_id(client.customers())
    except NoContent:
        return NO_CONTENT


def _by_id(rows: Iterable[Customer]) -> dict[TenantId, Customer]:
    """Return the customers by ID, none past the first that no sandbox can hold.

    Listings repeat rows where pages meet, so customers are counted and not rows.
    """
    listed: dict[TenantId, Customer] = {}
    for row in rows:
        known = listed.get(row.id)
        listed[row.id] = row if known is None else known.merged_with(row)
        if len(listed) > SANDBOX_CUSTOMERS:
            break
    return listed


def require_content(listed: Mapping[TenantId, Customer]) -> None:
    """Raise NoContent if a listing was a 204: it shows nothing of how many customers there are."""
    if listed is NO_CONTENT:
        message = "The list of customers got 204, but the customer exists: expected it to be listed"
        raise NoContent(message)


def shows_everybody(listed: Mapping[TenantId, Customer]) -> bool:
    """Whether a customer that a listing lacks is not there; an unread row may be any customer."""
    return listed is not NO_CONTENT and not any(each.unread for each in listed.values())
