"""Sends the messages that move a deletion on."""

from datetime import timedelta
from typing import Final

from azure.storage.queue import QueueClient, QueueServiceClient

from shared.deletion.messages import StepMessage

# Storage queues hide a message for 7 days at most.
LONGEST_DELAY: Final = timedelta(days=7)
_NEVER_EXPIRES: Final = -1


class Queues:
    """The queues of the storage account; safe to share between threads."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send_step(self, queue: str, message: StepMessage, delay: timedelta) -> None:
        """Send a step that stays invisible for the delay, 7 days at most."""
        visibility_timeout = max(0, round(min(delay, LONGEST_DELAY).total_seconds()))
        self._client(queue).send_message(
            message.to_json(), visibility_timeout=visibility_timeout, time_to_live=_NEVER_EXPIRES
        )

    def send_text(self, queue: str, text: str) -> None:
        """Send plain text at once, such as a message for a poison queue."""
        self._client(queue).send_message(text, time_to_live=_NEVER_EXPIRES)

    def depth(self, queue: str) -> int:
        """Return about how many messages a queue holds, the invisible ones too."""
        return self._client(queue).get_queue_properties().approximate_message_count or 0

    def _client(self, queue: str) -> QueueClient:
        return self._service.get_queue_client(queue)
