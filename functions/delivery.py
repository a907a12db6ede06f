"""What the queue functions share: parse a message, run its step, set bad messages aside."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import azure.functions as func

from shared.deletion.claims import Delivery
from shared.deletion.messages import BadMessage
from shared.deletion.poison import reject
from shared.services import Services, current_services

Parsed = TypeVar("Parsed")


def deliver(
    message: func.QueueMessage,
    queue: str,
    parse: Callable[[bytes], Parsed],
    step: Callable[[Services, Parsed, Delivery], None],
) -> None:
    """Run a step with the message; move one that cannot be parsed to the poison queue."""
    services = current_services()
    body = message.get_body()
    try:
        parsed = parse(body)
    except BadMessage as error:
        # Raising instead would have the host try a hopeless message five times.
        reject(services.queues, queue, body, error)
    else:
        step(services, parsed, Delivery(message_id(message), _inserted_at(message)))


def message_id(message: func.QueueMessage) -> str:
    """Return the ID that stays the same when the message is delivered again."""
    return message.id or ""


def _inserted_at(message: func.QueueMessage) -> datetime | None:
    """Return when the message was put on the queue, in UTC; None if the host did not say."""
    timestamp = message.insertion_time
    if timestamp is None or timestamp.tzinfo is not None:
        return timestamp
    return timestamp.replace(tzinfo=UTC)
