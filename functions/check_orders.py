"""Looks at a customer again until nothing is left to cancel."""

import azure.functions as func

from functions.delivery import message_id
from shared.deletion import steps
from shared.deletion.messages import BadMessage, parse_step
from shared.deletion.poison import reject
from shared.services import current_services
from shared.storage.names import ORDERS_TO_CHECK

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message", queue_name=ORDERS_TO_CHECK, connection="AzureWebJobsStorage"
)
def check_orders(message: func.QueueMessage) -> None:
    """Make the next move of a deletion."""
    services = current_services()
    body = message.get_body()
    try:
        step = parse_step(body)
    except BadMessage as error:
        reject(services, ORDERS_TO_CHECK, body, error)
    else:
        steps.check_orders(services, step, message_id(message))
