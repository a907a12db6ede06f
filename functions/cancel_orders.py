"""Takes a dropped tenant ID and cancels what the customer bought."""

import azure.functions as func

from functions.delivery import inserted_at, message_id
from shared.deletion.messages import BadMessage, parse_request
from shared.deletion.poison import reject
from shared.deletion.steps import request_deletion
from shared.services import current_services
from shared.storage.names import CUSTOMERS_TO_DELETE

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message", queue_name=CUSTOMERS_TO_DELETE, connection="AzureWebJobsStorage"
)
def cancel_orders(message: func.QueueMessage) -> None:
    """Start a deletion and make its first move."""
    services = current_services()
    body = message.get_body()
    try:
        request = parse_request(body)
    except BadMessage as error:
        reject(services, CUSTOMERS_TO_DELETE, body, error)
    else:
        request_deletion(services, request, message_id(message), inserted_at(message))
