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


class Census:
    """Remembers the listing for a minute, so that a guard costs no call for each customer."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._customers: Mapping[str, Customer] = {}

    def customers(self, client: PartnerCenter) -> Mapping[str, Customer]:
        """Return the customers by ID, at most one more than a sandbox can hold."""
        with self._lock:
            if self._monotonic() - self._taken_at > MAX_AGE_SECONDS:
                listed = islice(client.customers(), SANDBOX_CUSTOMERS + 1)
                self._customers = {customer.id: customer for customer in listed}
                self._taken_at = self._monotonic()
            return self._customers
