"""What a call was about: its customer, row, message or error code."""

import json
import re
from typing import Any, Final
from xml.sax.saxutils import unescape

from tests.simulation.log import Call, Service

_CUSTOMER: Final = re.compile(r"/v1/customers/([0-9a-fA-F-]{36})")
_ROW: Final = re.compile(r"/(\w+)\(PartitionKey='[^']*',RowKey='([^']*)'\)")
_NOT_A_SANDBOX: Final = frozenset({"800019", "6002"})
WRITES: Final = frozenset({"PATCH", "POST", "DELETE"})
_NOT_SUPPORTED: Final = "900127"


def tenant_of(call: Call) -> str:
    """Return the customer that a call to Partner Center concerns, empty if none."""
    found = _CUSTOMER.match(call.path)
    return found[1].lower() if found else ""


def row_of(call: Call) -> tuple[str, str]:
    """Return table and row key of a call to a single row."""
    if call.service is not Service.TABLE:
        return "", ""
    found = _ROW.search(call.path)
    return (found[1], found[2]) if found else ("", "")


def body_of(call: Call) -> Any:
    """Return the JSON that the caller received, None if it is not JSON."""
    try:
        return json.loads(call.received.decode("utf-8-sig"))
    except ValueError:
        return None


def code_of(call: Call) -> str:
    """Return Partner Center's error code, empty if there is none."""
    body = body_of(call)
    return str(body.get("code", "")) if isinstance(body, dict) else ""


def message_in(call: Call) -> tuple[str, str, str] | None:
    """Return queue, ID and text of a message that a call sent."""
    if call.service is not Service.QUEUE or call.method != "POST" or call.served_status != 201:
        return None
    queue = call.path.split("/")[2]
    text = unescape(_between(call.sent.decode(), "<MessageText>", "</MessageText>"))
    return queue, _between(call.served_body.decode(), "<MessageId>", "</MessageId>"), text


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def is_write(call: Call) -> bool:
    """Return whether a call can change something at Partner Center."""
    return call.service is Service.PARTNER_CENTER and call.method in WRITES


def says_production(call: Call) -> bool:
    """Return whether a response says by its code that the account is not a sandbox."""
    code = code_of(call)
    return code in _NOT_A_SANDBOX or (call.method == "DELETE" and code == _NOT_SUPPORTED)


def writes_row(call: Call) -> bool:
    """Return whether a call has written a row of a table."""
    return (
        call.service is Service.TABLE
        and call.method in {"POST", "PUT", "PATCH", "MERGE"}
        and 200 <= call.served_status < 300
    )


def writes_record(call: Call) -> bool:
    """Return whether a call has written a deletion record."""
    if not writes_row(call):
        return False
    return row_of(call)[0] == "deletions" or call.path.endswith("/deletions")
