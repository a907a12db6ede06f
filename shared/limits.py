"""Microsoft's limits: of the integration sandbox (page "Test and debug") and of the API."""

from datetime import timedelta
from typing import Final

SANDBOX_CUSTOMERS: Final = 75
SANDBOX_SUBSCRIPTIONS_PER_CUSTOMER: Final = 5
SANDBOX_LICENCES_PER_SUBSCRIPTION: Final = 25

# By "Cancel an order from the integration sandbox"; no way is documented for older orders.
ORDER_CANCELLATION_WINDOW: Final = timedelta(days=60)

# By "API throttling guidance for partners": calls of a partner tenant in any 60 seconds.
MICROSOFT_CALLS_PER_MINUTE: Final = 500
