"""Microsoft's limits on the integration sandbox and on the API."""

from datetime import timedelta
from typing import Final

# Page "Test and debug", section on the integration sandbox.
SANDBOX_CUSTOMERS: Final = 75
SANDBOX_SUBSCRIPTIONS_PER_CUSTOMER: Final = 5
SANDBOX_LICENCES_PER_SUBSCRIPTION: Final = 25

# Page "Cancel an order from the integration sandbox"; no page shows a way for older orders.
ORDER_CANCELLATION_WINDOW: Final = timedelta(days=60)

# Page "API throttling guidance for partners": calls of a partner tenant per minute.
MICROSOFT_CALLS_PER_MINUTE: Final = 500

# No purchase of Partner Center is older. .NET writes year 1 for a date that is not set.
FIRST_YEAR: Final = 2010
LAST_YEAR: Final = 2199
