"""Makes the object that a queue function receives, with the decoder of the Python worker.

Unless the trigger asks for binary data, the Functions host takes top-level members of a JSON object
for what the queue says of the message, as observed on the real host.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import azure.functions as func
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter

from local.host.calls import Message

# How .NET writes a date that it has found in JSON.
DATE_FORMAT: Final = "%m/%d/%Y %H:%M:%S"


def decoded(message: Message, *, binary: bool) -> func.QueueMessage:
    """Return a message as its function receives it; raises ValueError if the worker would fail."""
    metadata = _metadata(message)
    if binary:
        body = Datum(message.body, "bytes")
    else:
        text = message.body.decode()
        metadata |= {name: Datum(value, "string") for name, value in _replaced(text, metadata)}
        body = Datum(text, "string")
    received: func.QueueMessage = QueueMessageInConverter.decode(body, trigger_metadata=metadata)
    return received


def _metadata(message: Message) -> dict[str, Datum]:
    facts: dict[str, Datum | None] = {
        "Id": Datum(message.id, "string"),
        "DequeueCount": _json(message.dequeue_count),
        "ExpirationTime": _json(message.expiration_time),
        "InsertionTime": _json(message.insertion_time),
        "NextVisibleTime": _json(message.time_next_visible),
        "PopReceipt": _json(message.pop_receipt),
    }
    return {name: datum for name, datum in facts.items() if datum is not None}


def _json(value: str | int | datetime | None) -> Datum | None:
    if value is None:
        return None
    return Datum(json.dumps(value.isoformat() if isinstance(value, datetime) else value), "json")


def _replaced(text: str, metadata: Mapping[str, Datum]) -> Iterator[tuple[str, str]]:
    """Give the names of metadata that a JSON body replaces, and by what; the last member wins."""
    names = {name.lower(): name for name in metadata}
    for member, value in _members(text):
        name = names.get(member.lower())
        if name is not None and value is not None and not isinstance(value, list | dict):
            yield name, _as_text(value)


def _members(text: str) -> list[tuple[str, object]]:
    """Return the top-level members of a JSON object; nothing for any other text."""
    if not (text.strip().startswith("{") and text.strip().endswith("}")):
        return []
    try:
        members = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return []
    return members if isinstance(members, list) else []


def _as_text(value: object) -> str:
    if not isinstance(value, str) or "T" not in value:
        return str(value)
    try:
        return datetime.fromisoformat(value).strftime(DATE_FORMAT)
    except ValueError:
        return value
