"""Reads a customer again until nothing is left to cancel."""

import azure.functions as func

from functions.delivery import deliver
from shared.deletion import steps
from shared.deletion.messages import parse_step
from shared.storage.names import ORDERS_TO_CHECK

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=ORDERS_TO_CHECK,
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def check_orders(message: func.QueueMessage) -> None:
    """Take the next step of a deletion."""
    deliver(message, ORDERS_TO_CHECK, parse_step, steps.check_orders)
