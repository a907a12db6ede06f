"""Takes dropped tenant IDs and cancels what the customers bought."""

import azure.functions as func

from functions.delivery import deliver
from shared.deletion.drops import take_drop
from shared.deletion.messages import parse_drop
from shared.storage.names import CUSTOMERS_TO_DELETE

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=CUSTOMERS_TO_DELETE,
    connection="AzureWebJobsStorage",
    # Otherwise members of a JSON body, such as `id`, replace what the queue says of the message.
    data_type=func.DataType.BINARY,
)
def cancel_orders(message: func.QueueMessage) -> None:
    """Start the deletion that a drop asks for, or make one message of each of several."""
    deliver(message, CUSTOMERS_TO_DELETE, parse_drop, take_drop)
