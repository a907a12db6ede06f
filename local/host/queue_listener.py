"""Queue triggers: the life of a message from its lease to its deletion or the poison queue.

The rules are those of the Azure Storage queues extension (`QueueListener` and `QueueProcessor`):
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import logging
import threading
from base64 import b64decode
from concurrent.futures import Future, wait
from time import monotonic
from typing import Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, StorageErrorCode
from azure.storage.queue import QueueMessage as StoredMessage

from local.host.calls import Message, Result, Worker
from local.host.configuration import LOCAL_POLLING_INTERVAL, QueueLimits
from local.host.triggers import OnMessage

SHORTEST_POLL_SECONDS: Final = 0.05
# The function, or another host after a lost lease, has already dealt with the message.
GONE: Final = frozenset(
    {
        StorageErrorCode.MESSAGE_NOT_FOUND,
        StorageErrorCode.POP_RECEIPT_MISMATCH,
        StorageErrorCode.QUEUE_NOT_FOUND,
    }
)

log = logging.getLogger(__name__)


class QueueListener:
    """Delivers the messages of one queue to its function."""

    def __init__(
        self,
        function: str,
        trigger: OnMessage,
        *,
        limits: QueueLimits,
        lease_seconds: int,
        worker: Worker,
    ) -> None:
        self._function = function
        self._limits = limits
        self._lease_seconds = lease_seconds
        self._worker = worker
        self._queue = QueueClient.from_connection_string(trigger.connection_string, trigger.queue)
        self._poison_queue = (
            QueueClient.from_connection_string(trigger.connection_string, trigger.poison_queue)
            if trigger.poison_queue
            else None
        )
        self._running = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"{function} poller", daemon=True)

    def start(self) -> None:
        """Start to poll the queue."""
        self._poller.start()

    def take_no_more(self) -> None:
        """Fetch no further messages."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the messages in progress, until `deadline` (monotonic seconds).

        A message still in progress then is abandoned, and becomes visible when its lease ends.
        """
        self._poller.join(max(0.0, deadline - monotonic()))
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, max(0.0, deadline - monotonic()))
        self._abandoned.set()
        for queue in filter(None, (self._queue, self._poison_queue)):
            queue.close()

    def _poll(self) -> None:
        longest = min(self._limits.max_polling_interval, LOCAL_POLLING_INTERVAL).total_seconds()
        gap = SHORTEST_POLL_SECONDS
        while self._wait_for_room():
            messages = self._take()
            for message in messages:
                self._start(message)
            if messages:
                gap = SHORTEST_POLL_SECONDS
            else:
                self._stopping.wait(gap)
                gap = min(gap * 2, longest)

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping.is_set() or self._running <= self._limits.new_batch_threshold
            )
        return not self._stopping.is_set()

    def _take(self) -> list[StoredMessage]:
        pages = self._queue.receive_messages(
            messages_per_page=self._limits.batch_size, visibility_timeout=self._lease_seconds
        ).by_page()
        try:
            return list(next(pages, ()))
        except ResourceNotFoundError:
            log.debug("%s: its queue does not exist yet", self._function)
        except AzureError as error:
            log.warning("%s: cannot read its queue: %s", self._function, error)
        return []

    def _start(self, message: StoredMessage) -> None:
        with self._changed:
            self._running += 1
        name = f"{self._function} {message.id}"
        threading.Thread(target=self._handle, args=(message,), name=name, daemon=True).start()

    def _handle(self, message: StoredMessage) -> None:
        try:
            self._process(message)
        except AzureError as error:
            log.warning(
                "%s: message %s could not be completed and becomes visible after its lease: %s",
                self._function,
                message.id,
                error,
            )
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _process(self, message: StoredMessage) -> None:
        tries = message.dequeue_count or 0
        body = self._body(message)
        # A host killed during the last try could not move the message; do not try it once more.
        if body is None or tries > self._limits.max_dequeue_count:
            self._fail(message, last_try=True)
            return
        call = self._worker.submit(self._function, _event(message, body))
        if not self._keep_lease_until_done(message, call):
            return
        if call.exception() is None:
            self._delete(message)
        else:
            self._fail(message, last_try=tries >= self._limits.max_dequeue_count)

    def _body(self, message: StoredMessage) -> bytes | None:
        """Return the decoded body, or None if it is not valid base64."""
        if self._limits.message_encoding == "none":
            return str(message.content).encode()
        try:
            return b64decode(message.content, validate=True)
        except ValueError:
            log.warning("%s: message %s is not valid base64", self._function, message.id)
            return None

    def _keep_lease_until_done(self, message: StoredMessage, call: Future[Result]) -> bool:
        """Renew the lease while the function runs; return False if the message was abandoned."""
        while True:
            # Half of the lease leaves time for a slow renewal.
            wait([call], timeout=self._lease_seconds / 2)
            if self._abandoned.is_set():
                return False
            if call.done():
                return True
            try:
                self._hide(message, self._lease_seconds)
            except AzureError as error:
                log.warning(
                    "%s: could not renew the lease of message %s: %s",
                    self._function,
                    message.id,
                    error,
                )

    def _fail(self, message: StoredMessage, *, last_try: bool) -> None:
        if self._poison_queue is None:
            # Made visible at once, the message would fail in a tight loop; the lease spaces tries.
            log.warning(
                "%s: message %s is already on a poison queue and stays invisible until its "
                "lease ends",
                self._function,
                message.id,
            )
        elif last_try:
            self._move_to_poison_queue(message, self._poison_queue)
        else:
            self._hide(message, round(self._limits.visibility_timeout.total_seconds()))

    def _move_to_poison_queue(self, message: StoredMessage, poison_queue: QueueClient) -> None:
        # Send before delete: a crash in between duplicates the message instead of losing it.
        try:
            poison_queue.send_message(message.content)
        except ResourceNotFoundError:
            poison_queue.create_queue()
            poison_queue.send_message(message.content)
        log.warning(
            "%s: message %s moved to %s after %d tries",
            self._function,
            message.id,
            poison_queue.queue_name,
            message.dequeue_count,
        )
        self._delete(message)

    def _hide(self, message: StoredMessage, seconds: int) -> None:
        try:
            changed = self._queue.update_message(
                message.id, message.pop_receipt, visibility_timeout=seconds
            )
        except HttpResponseError as error:
            self._ignore_if_gone(message, error)
        else:
            # Each update invalidates the previous receipt; the delete needs the latest.
            message.pop_receipt = changed.pop_receipt

    def _delete(self, message: StoredMessage) -> None:
        # The receipt protects a message that was leased again or postponed since.
        try:
            self._queue.delete_message(message.id, message.pop_receipt)
        except HttpResponseError as error:
            self._ignore_if_gone(message, error)

    def _ignore_if_gone(self, message: StoredMessage, error: HttpResponseError) -> None:
        code = getattr(error, "error_code", None)
        if code not in GONE:
            raise error
        log.debug(
            "%s: message %s was changed in the meantime: %s", self._function, message.id, code
        )


def _event(message: StoredMessage, body: bytes) -> Message:
    return Message(
        id=message.id,
        body=body,
        dequeue_count=message.dequeue_count,
        expiration_time=message.expires_on,
        insertion_time=message.inserted_on,
        time_next_visible=message.next_visible_on,
        pop_receipt=message.pop_receipt,
    )
