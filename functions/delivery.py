"""Facts about the delivery of a queue message, as the host reports them."""

from datetime import UTC, datetime

import azure.functions as func


def message_id(message: func.QueueMessage) -> str:
    """Return the ID that stays the same when the message is delivered again."""
    return message.id or ""


def inserted_at(message: func.QueueMessage) -> datetime | None:
    """Return when the message was put on the queue, in UTC; None where the host did not say."""
    timestamp = message.insertion_time
    if timestamp is None or timestamp.tzinfo is not None:
        return timestamp
    return timestamp.replace(tzinfo=UTC)
