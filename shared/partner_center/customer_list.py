"""The customers of the account, listed once a minute for all deletions of a process."""

import threading
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.client import PartnerCenter
from shared.partner_center.resources import Customer

MAX_AGE_SECONDS: Final = 60.0


class CustomerList:
    """Remembers the listing for a minute, so that a guard costs no call for each customer."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._listed: Mapping[str, Customer] = {}
        self._newer: dict[str, Customer] = {}

    def customers(self, client: PartnerCenter) -> Mapping[str, Customer]:
        """Return the listed customers by ID, at most one more than a sandbox can hold."""
        with self._lock:
            if self._monotonic() - self._taken_at > MAX_AGE_SECONDS:
                listed = islice(client.customers(), SANDBOX_CUSTOMERS + 1)
                self._listed = {customer.id: customer for customer in listed}
                self._newer.clear()
                self._taken_at = self._monotonic()
            return self._listed

    def refresh(self, client: PartnerCenter) -> Mapping[str, Customer]:
        """Return the customers by a listing of this moment."""
        with self._lock:
            self._taken_at = float("-inf")
        return self.customers(client)

    def newer(self, tenant: str) -> Customer | None:
        """Return a customer that was found by ID since the listing."""
        with self._lock:
            return self._newer.get(tenant)

    def remember(self, customer: Customer) -> None:
        """Keep a customer that the listing did not show yet."""
        with self._lock:
            self._newer[customer.id] = customer
