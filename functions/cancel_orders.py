"""Takes a dropped tenant ID and cancels what the customer bought."""

import azure.functions as func

from functions.delivery import deliver
from shared.deletion import steps
from shared.deletion.messages import parse_request
from shared.storage.names import CUSTOMERS_TO_DELETE

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message", queue_name=CUSTOMERS_TO_DELETE, connection="AzureWebJobsStorage"
)
def cancel_orders(message: func.QueueMessage) -> None:
    """Start a deletion and take its first step."""
    deliver(message, CUSTOMERS_TO_DELETE, parse_request, steps.cancel_orders)
