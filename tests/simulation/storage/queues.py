"""The queue service: its URLs, its XML and its refusals.

https://learn.microsoft.com/rest/api/storageservices/queue-service-rest-api
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.simulation.storage.http import (
    DELETING_SECONDS,
    Refusal,
    Request,
    Response,
    common_headers,
    http_date,
)
from tests.simulation.storage.messages import Message, MessageQueue

LARGEST_MESSAGE_BYTES: Final = 65_536
MOST_MESSAGES: Final = 32
WEEK_SECONDS: Final = 604_800
LEASE_SECONDS: Final = 30
NEVER: Final = -1
_END_OF_TIME: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_NAME_LENGTHS: Final = range(3, 64)
_META: Final = "x-ms-meta-"
_XML: Final = '<?xml version="1.0" encoding="utf-8"?>'


class Queues:
    """The queue service of one account; `pick` says which visible messages are handed out next."""

    def __init__(self, now: Callable[[], datetime], chance: Random) -> None:
        self._now = now
        self._chance = chance
        self.pick: Callable[[str, list[Message]], list[Message]] = lambda _, messages: messages
        self._queues: dict[str, MessageQueue] = {}
        self._gone_at: dict[str, datetime] = {}

    def respond(self, request: Request) -> Response:
        """Respond to a request; raises NotModelled for one that the model does not know."""
        now = self._now()
        try:
            response = self._route(request, now)
        except Refusal as refusal:
            response = _refused(refusal)
        headers = {**common_headers(now, self._chance), **response.headers}
        return replace(response, headers=headers)

    def texts(self, name: str) -> list[str]:
        """Return the texts of all messages of a queue, the invisible ones too."""
        return self._queue(name, self._now()).texts(self._now())

    def _route(self, request: Request, now: datetime) -> Response:
        query = request.query()
        match request.path().split("/"):
            case [""] if request.method == "GET" and query.get("comp") == "list":
                return self._list(query)
            case [name]:
                return self._on_queue(name, request, query, now)
            case [name, "messages"]:
                return self._on_messages(name, request, query, now)
            case [name, "messages", message_id]:
                return self._on_message(name, unquote(message_id), request, query, now)
        raise request.not_modelled()

    def _picked(self, name: str, messages: list[Message]) -> list[Message]:
        return self.pick(name, messages)

    def _list(self, query: Mapping[str, str]) -> Response:
        prefix = query.get("prefix", "")
        names = sorted(name for name in self._queues if name.startswith(prefix))
        queues = "".join(f"<Queue><Name>{name}</Name></Queue>" for name in names)
        body = f"<Queues>{queues}</Queues><NextMarker/>"
        return _xml(200, f"<EnumerationResults>{body}</EnumerationResults>")

    def _on_queue(
        self, name: str, request: Request, query: Mapping[str, str], now: datetime
    ) -> Response:
        match request.method, query.get("comp"):
            case "PUT", None:
                return self._create(name, _metadata(request), now)
            case "DELETE", None:
                self._queue(name, now)
                del self._queues[name]
                self._gone_at[name] = now + timedelta(seconds=DELETING_SECONDS)
                return Response(204, {})
            case (("GET" | "HEAD"), "metadata"):
                queue = self._queue(name, now)
                count = {"x-ms-approximate-messages-count": str(queue.count(now))}
                return Response(200, {**queue.metadata, **count})
        raise request.not_modelled()

    def _create(self, name: str, metadata: Mapping[str, str], now: datetime) -> Response:
        if len(name) not in _NAME_LENGTHS:
            message = "The specified resource name length is not within the permissible limits."
            raise Refusal(400, "OutOfRangeInput", message)
        if not _NAME.fullmatch(name):
            message = "The specified resource name contains invalid characters."
            raise Refusal(400, "InvalidResourceName", message)
        self._refuse_while_deleted(name, now)
        existing = self._queues.get(name)
        if existing is None:
            pick = partial(self._picked, name)
            self._queues[name] = MessageQueue(metadata, self._chance, pick)
            return Response(201, {})
        if existing.metadata != metadata:
            raise Refusal(409, "QueueAlreadyExists", "The specified queue already exists.")
        return Response(204, {})

    def _on_messages(
        self, name: str, request: Request, query: Mapping[str, str], now: datetime
    ) -> Response:
        match request.method:
            case "POST":
                return self._put(name, request, query, now)
            case "GET" if query.get("peekonly") == "true":
                count = _count(query)
                messages = self._queue(name, now).visible(count, now)
                return _list_of(messages, _peeked)
            case "GET":
                return self._take(name, query, now)
            case "DELETE":
                self._queue(name, now).clear()
                return Response(204, {})
        raise request.not_modelled()

    def _put(
        self, name: str, request: Request, query: Mapping[str, str], now: datetime
    ) -> Response:
        text = _text(request.body)
        hidden = _number(query, "visibilitytimeout", 0, range(WEEK_SECONDS + 1))
        expires_at = now + _lifetime(query, hidden) if _mortal(query) else None
        message = self._queue(name, now).put(
            text, now=now, visible_at=now + timedelta(seconds=hidden), expires_at=expires_at
        )
        return replace(_list_of([message], _sent), status=201)

    def _take(self, name: str, query: Mapping[str, str], now: datetime) -> Response:
        hidden = _number(query, "visibilitytimeout", LEASE_SECONDS, range(1, WEEK_SECONDS + 1))
        count = _count(query)
        visible_at = now + timedelta(seconds=hidden)
        taken = self._queue(name, now).take(count, now=now, visible_at=visible_at)
        return _list_of(taken, _taken)

    def _on_message(
        self, name: str, message_id: str, request: Request, query: Mapping[str, str], now: datetime
    ) -> Response:
        if request.method not in {"PUT", "DELETE"}:
            raise request.not_modelled()
        text = _text(request.body) if request.body else None
        hidden = _number(query, "visibilitytimeout", LEASE_SECONDS, range(WEEK_SECONDS + 1))
        queue = self._queue(name, now)
        message = queue.held(message_id, query.get("popreceipt", ""), now)
        if request.method == "DELETE":
            queue.delete(message)
            return Response(204, {})
        visible_at = now + timedelta(seconds=hidden)
        _refuse_beyond_expiry(message, visible_at)
        queue.change(message, visible_at=visible_at, text=text)
        next_visible = {"x-ms-time-next-visible": http_date(visible_at)}
        return Response(204, {"x-ms-popreceipt": message.receipt, **next_visible})

    def _queue(self, name: str, now: datetime) -> MessageQueue:
        self._refuse_while_deleted(name, now)
        queue = self._queues.get(name)
        if queue is None:
            raise Refusal(404, "QueueNotFound", "The specified queue does not exist.")
        return queue

    def _refuse_while_deleted(self, name: str, now: datetime) -> None:
        """Refuse what is asked of a queue while it is deleted; Azurite deletes it at once.

        https://learn.microsoft.com/rest/api/storageservices/delete-queue3
        """
        gone_at = self._gone_at.get(name)
        if gone_at is not None and now < gone_at:
            raise Refusal(409, "QueueBeingDeleted", "The specified queue is being deleted.")


def _metadata(request: Request) -> dict[str, str]:
    lower = ((name.lower(), text) for name, text in request.headers.items())
    return {name: text for name, text in lower if name.startswith(_META)}


def _text(body: bytes) -> str:
    try:
        document = ElementTree.fromstring(body)  # noqa: S314 - written by the client library
    except ElementTree.ParseError as error:
        message = "XML specified is not syntactically valid."
        raise Refusal(400, "InvalidXmlDocument", message) from error
    text = document.findtext("MessageText", "")
    if len(text.encode()) > LARGEST_MESSAGE_BYTES:
        message = "The request body is too large and exceeds the maximum permissible limit."
        raise Refusal(413, "RequestBodyTooLarge", message, MaxLimit=LARGEST_MESSAGE_BYTES)
    return text


def _count(query: Mapping[str, str]) -> int:
    return _number(query, "numofmessages", 1, range(1, MOST_MESSAGES + 1))


def _number(query: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    number = int(query.get(name, default))
    if number not in allowed:
        raise Refusal(
            400,
            "OutOfRangeQueryParameterValue",
            "One of the query parameters specified in the request URI is outside the permissible "
            "range.",
            QueryParameterName=name,
            QueryParameterValue=number,
            MinimumAllowed=allowed[0],
            MaximumAllowed=allowed[-1],
        )
    return number


def _mortal(query: Mapping[str, str]) -> bool:
    return query.get("messagettl") != str(NEVER)


def _lifetime(query: Mapping[str, str], hidden: int) -> timedelta:
    seconds = int(query.get("messagettl", WEEK_SECONDS))
    if seconds < 1:
        raise _invalid("messagettl", seconds, "Value must be at least 1, or -1 for no end.")
    # Azurite has no such limit for a message without a TTL.
    if hidden >= seconds:
        reason = "messagettl must be greater than visibilitytimeout."
        raise _invalid("visibilitytimeout", hidden, reason)
    return timedelta(seconds=seconds)


def _refuse_beyond_expiry(message: Message, visible_at: datetime) -> None:
    """Refuse to hide a message until after it expires; Azurite does not.

    https://learn.microsoft.com/rest/api/storageservices/update-message
    """
    if message.expires_at is not None and visible_at > message.expires_at:
        reason = "A message cannot become visible after it expires."
        raise _invalid("visibilitytimeout", http_date(visible_at), reason)


def _invalid(name: str, value: object, reason: str) -> Refusal:
    return Refusal(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
        QueryParameterName=name,
        QueryParameterValue=value,
        Reason=reason,
    )


def _list_of(messages: Iterable[Message], members: Callable[[Message], str]) -> Response:
    items = "".join(f"<QueueMessage>{members(each)}</QueueMessage>" for each in messages)
    return _xml(200, f"<QueueMessagesList>{items}</QueueMessagesList>")


def _sent(message: Message) -> str:
    return (
        f"<MessageId>{message.id}</MessageId>"
        f"<InsertionTime>{http_date(message.inserted_at)}</InsertionTime>"
        f"<ExpirationTime>{http_date(message.expires_at or _END_OF_TIME)}</ExpirationTime>"
        f"<PopReceipt>{message.receipt}</PopReceipt>"
        f"<TimeNextVisible>{http_date(message.visible_at)}</TimeNextVisible>"
    )


def _taken(message: Message) -> str:
    return _sent(message) + _shown(message)


def _peeked(message: Message) -> str:
    return (
        f"<MessageId>{message.id}</MessageId>"
        f"<InsertionTime>{http_date(message.inserted_at)}</InsertionTime>"
        f"<ExpirationTime>{http_date(message.expires_at or _END_OF_TIME)}</ExpirationTime>"
        + _shown(message)
    )


def _shown(message: Message) -> str:
    return (
        f"<DequeueCount>{message.dequeue_count}</DequeueCount>"
        f"<MessageText>{escape(message.text)}</MessageText>"
    )


def _xml(status: int, text: str, **headers: str) -> Response:
    body = (_XML + text).encode()
    return Response(status, {"Content-Type": "application/xml", **headers}, body)


def _refused(refusal: Refusal) -> Response:
    details = {"Code": refusal.code, "Message": refusal.message, **refusal.details}
    members = "".join(f"<{name}>{escape(str(each))}</{name}>" for name, each in details.items())
    error_code = {"x-ms-error-code": refusal.code}
    return _xml(refusal.status, f"<Error>{members}</Error>", **error_code)
