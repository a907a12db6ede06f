"""Sends messages, with a delay if one is asked for, and measures the queues."""

from datetime import timedelta
from typing import Final

from azure.storage.queue import QueueClient, QueueServiceClient

# Storage queues hide a message for at most 7 days.
LONGEST_DELAY: Final = timedelta(days=7)
# A message must not expire while the switch is tripped for weeks; the default is 7 days.
_NEVER_EXPIRES: Final = -1


class Queues:
    """The queues of the storage account; safe to share between threads."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send(self, queue: str, text: str, delay: timedelta = timedelta(0)) -> None:
        """Send a message that stays invisible for the delay, at most 7 days."""
        visibility_timeout = max(0, round(min(delay, LONGEST_DELAY).total_seconds()))
        self._client(queue).send_message(
            text, visibility_timeout=visibility_timeout, time_to_live=_NEVER_EXPIRES
        )

    def depth(self, queue: str) -> int:
        """Return the approximate number of messages in a queue, invisible ones too."""
        return self._client(queue).get_queue_properties().approximate_message_count or 0

    def _client(self, queue: str) -> QueueClient:
        return self._service.get_queue_client(queue)
