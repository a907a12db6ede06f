"""Sends the DELETE of a customer whose purchases have all ended."""

import azure.functions as func

from functions.delivery import message_id
from shared.deletion import steps
from shared.deletion.messages import BadMessage, parse_step
from shared.deletion.poison import reject
from shared.services import current_services
from shared.storage.names import CUSTOMERS_READY

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message", queue_name=CUSTOMERS_READY, connection="AzureWebJobsStorage"
)
def delete_customer(message: func.QueueMessage) -> None:
    """Delete a customer and record the outcome."""
    services = current_services()
    body = message.get_body()
    try:
        step = parse_step(body)
    except BadMessage as error:
        reject(services, CUSTOMERS_READY, body, error)
    else:
        steps.delete_customer(services, step, message_id(message))
