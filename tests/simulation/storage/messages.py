"""One queue: its messages, their visibility and their receipts."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from tests.simulation.storage.http import Refusal, new_id


@dataclass(slots=True)
class Message:
    """A message; `expires_at` is None if it never expires."""

    id: str
    text: str
    inserted_at: datetime
    expires_at: datetime | None
    visible_at: datetime
    receipt: str
    dequeue_count: int = 0


Pick = Callable[[list[Message]], list[Message]]


class MessageQueue:
    """The messages of one queue, in the order in which they become visible.

    `pick` says which of the visible ones are handed out next, and in which order.
    """

    def __init__(
        self, metadata: Mapping[str, str], chance: Random, pick: Pick = lambda each: each
    ) -> None:
        self.metadata = dict(metadata)
        self._chance = chance
        self._pick = pick
        self._messages: dict[str, Message] = {}

    def put(
        self, text: str, *, now: datetime, visible_at: datetime, expires_at: datetime | None
    ) -> Message:
        """Add a message; its receipt is good until it is taken or changed."""
        message = Message(
            new_id(self._chance), text, now, expires_at, visible_at, self._new_receipt()
        )
        self._messages[message.id] = message
        return message

    def visible(self, count: int, now: datetime) -> list[Message]:
        """Return the next messages and leave them as they are."""
        seen = [message for message in self._alive(now) if message.visible_at <= now]
        seen.sort(key=lambda message: message.visible_at)
        return seen[:count]

    def take(self, count: int, *, now: datetime, visible_at: datetime) -> list[Message]:
        """Take the next messages: hide them and give each a new receipt."""
        taken = self._pick(self.visible(len(self._messages), now))[:count]
        for message in taken:
            message.dequeue_count += 1
            message.visible_at = visible_at
            message.receipt = self._new_receipt()
        return taken

    def held(self, message_id: str, receipt: str, now: datetime) -> Message:
        """Return the message that a receipt is good for, or refuse."""
        self._alive(now)
        message = self._messages.get(message_id)
        if message is None:
            raise Refusal(404, "MessageNotFound", "The specified message does not exist.")
        if message.receipt != receipt:
            text = "The specified pop receipt did not match the pop receipt for a dequeued message."
            raise Refusal(400, "PopReceiptMismatch", text)
        return message

    def change(self, message: Message, *, visible_at: datetime, text: str | None) -> None:
        """Change when a message is visible, and its text where there is one."""
        message.visible_at = visible_at
        message.receipt = self._new_receipt()
        if text is not None:
            message.text = text

    def delete(self, message: Message) -> None:
        """Delete a message."""
        del self._messages[message.id]

    def clear(self) -> None:
        """Delete every message."""
        self._messages.clear()

    def texts(self, now: datetime) -> list[str]:
        """Return the texts of all messages, the invisible ones too."""
        return [message.text for message in self._alive(now)]

    def count(self, now: datetime) -> int:
        """Return how many messages there are, the invisible ones too."""
        return len(self._alive(now))

    def _alive(self, now: datetime) -> list[Message]:
        for message in list(self._messages.values()):
            if message.expires_at is not None and message.expires_at <= now:
                del self._messages[message.id]
        return list(self._messages.values())

    def _new_receipt(self) -> str:
        return b64encode(self._chance.randbytes(17)).decode()
