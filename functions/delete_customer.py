"""Sends the DELETE for a customer whose purchases have all ended."""

import azure.functions as func

from functions.delivery import deliver
from shared.deletion import steps
from shared.deletion.messages import parse_step
from shared.storage.names import CUSTOMERS_READY

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=CUSTOMERS_READY,
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def delete_customer(message: func.QueueMessage) -> None:
    """Delete a customer and record the outcome."""
    deliver(message, CUSTOMERS_READY, parse_step, steps.delete_customer)
