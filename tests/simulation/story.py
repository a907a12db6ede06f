"""The log of a run as a readable story."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from tests.simulation.log import Call, Event, Service

_GUID: Final = re.compile(r"([0-9a-f]{4})[0-9a-f]{4}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROW: Final = re.compile(r"\(PartitionKey='[^']*',RowKey='([^']*)'\)")
_WIDTH: Final = 160
_QUIET: Final = frozenset({"began", "started", "customer", "end"})


def story(entries: Iterable[Call | Event]) -> Iterator[str]:
    """Yield a line for each call and each event, in the order in which they happened."""
    for entry in sorted(entries, key=_place):
        yield _call(entry) if isinstance(entry, Call) else _event(entry)


def _place(entry: Call | Event) -> int:
    return entry.place if isinstance(entry, Event) else entry.served or entry.left


def _call(call: Call) -> str:
    status = "no response" if call.status is None else str(call.status)
    if call.status is None and call.served:
        status += f" (it was {call.served_status})"
    fault = f"  ! {call.fault}" if call.fault else ""
    line = f"{call.service} {call.method} {_path(call)} {_meaning(call)}".rstrip()
    at = call.served_at if call.served else call.left_at
    return _short(f"{_time(at)} {call.process:3} {call.run:24} {line} -> {status}{fault}")


def _path(call: Call) -> str:
    path = call.path.partition("?")[0]
    path = path.removeprefix("/devstoreaccount1/").removeprefix("/v1/")
    return _ROW.sub(r"/\1", path)


def _meaning(call: Call) -> str:
    if not call.sent:
        return ""
    text = call.sent.decode(errors="replace")
    if call.service is Service.QUEUE:
        return text.partition("<MessageText>")[2].partition("</MessageText>")[0]
    try:
        body = json.loads(text)
    except ValueError:
        return ""
    names = ("state", "generation", "claimedBy", "tripped", "status")
    return " ".join(f"{name}={body[name]}" for name in names if name in body)


def _event(event: Event) -> str:
    facts = dict(event.facts)
    text = facts.pop("line", "") or ", ".join(f"{k} {v}" for k, v in facts.items() if v)
    if event.name in _QUIET:
        text = text[:_WIDTH]
    mark = "|" if event.name == "log" else f"* {event.name}:"
    return _short(f"{_time(event.at)} {event.process:3} {event.run:24} {mark} {text}")


def _time(seconds: float) -> str:
    whole = timedelta(seconds=int(seconds))
    return f"{whole!s:>8}.{int(seconds * 1000) % 1000:03d}"


def _short(line: str) -> str:
    line = _GUID.sub(r"\1…", line).replace("\n", " ")
    return line if len(line) <= 300 else line[:299] + "…"
