"""The customers of the account, listed once a minute for all deletions of a process."""

import threading
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.client import PartnerCenter
from shared.partner_center.resources import Customer
from shared.tenants import TenantId

MAX_AGE_SECONDS: Final = 60.0
# One more than a sandbox can hold is enough to know that the account is not one.
_READ: Final = SANDBOX_CUSTOMERS + 1


class CustomerList:
    """Keeps the listing for a minute, so that the rules do not cost a call per customer."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._listed_at = float("-inf")
        self._listed: Mapping[TenantId, Customer] = {}
        self._newer: dict[TenantId, Customer] = {}

    def current(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        """Return the customers by ID, at most a minute old; 76 of them mean "more than 75"."""
        # Held during the listing, so that all threads that wait for it share one.
        with self._lock:
            if self._monotonic() - self._listed_at > MAX_AGE_SECONDS:
                listed = islice(client.customers(), _READ)
                self._listed = {customer.id: customer for customer in listed}
                self._newer.clear()
                self._listed_at = self._monotonic()
            return self._listed

    def refresh(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        """List the customers again, and return them as `current` does."""
        with self._lock:
            self._listed_at = float("-inf")
        return self.current(client)

    def newer(self, tenant: TenantId) -> Customer | None:
        """Return a customer that was found by ID since the listing."""
        with self._lock:
            return self._newer.get(tenant)

    def remember(self, customer: Customer) -> None:
        """Keep a customer that the listing did not show."""
        with self._lock:
            self._newer[customer.id] = customer
