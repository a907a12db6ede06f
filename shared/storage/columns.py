"""Reads the values of a row, which another version of tipsweep, or a person, may have written."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from azure.data.tables import TableEntity

from shared.events import Event, emit
from shared.inputs import readable
from shared.limits import FIRST_YEAR, LAST_YEAR
from shared.partner_center.resources import known_date

Value = TypeVar("Value")

# What reading a row raises if it is not as this version writes it.
UNREADABLE: Final = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    zlib.error,
)
_LONG_AGO: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_REMEDY: Final = "Deploy the version that wrote it, or remove the row"


def value(row: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """Return the value of a column, text without half characters.

    Raises KeyError, or TypeError if it is of another type.
    """
    found = row[name]
    if isinstance(found, str):
        found = readable(found)
    if not isinstance(found, kind):
        message = f"{name} is a {type(found).__name__}: expected {kind.__name__}"
        raise TypeError(message)
    return found


def optional(row: Mapping[str, Any], name: str, default: Value) -> Value:
    """Return the value of a column that rows of earlier versions lack; raises TypeError."""
    return value(row, name, type(default)) if name in row else default


def timestamp(row: Mapping[str, Any], name: str) -> datetime:
    """Return the timestamp in a column; raises KeyError, TypeError or ValueError.

    A time without its zone, or that cannot be one, would be compared with others all the same.
    """
    found = datetime.fromisoformat(value(row, name, str))
    if found.tzinfo is None or known_date(found) is None:
        message = (
            f"{name} is {found}: expected a time with its zone, "
            f"between the years {FIRST_YEAR} and {LAST_YEAR}"
        )
        raise ValueError(message)
    return found


def written_at(row: TableEntity) -> datetime:
    """Return when storage wrote a row whose own time cannot be read."""
    return row.metadata["timestamp"] or _LONG_AGO


def unreadable(row: Mapping[str, Any], what: str, error: Exception) -> str:
    """Log that a row cannot be read, and return the same in words; `what` names the row."""
    reason = f"{what} cannot be read ({type(error).__name__}: {error}). {_REMEDY}"
    emit(Event.ROW_UNREADABLE, key=str(row["RowKey"]), reason=reason)
    return reason
