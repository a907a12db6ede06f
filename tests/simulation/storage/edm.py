"""Typed properties of the table service, as they travel in JSON.

https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

TYPE_SUFFIX: Final = "@odata.type"
SYSTEM: Final = frozenset({"PartitionKey", "RowKey", "Timestamp"})
LARGEST_PROPERTY_BYTES: Final = 65_536

Value = bool | int | float | str | bytes | datetime | UUID


@dataclass(frozen=True, slots=True)
class Property:
    """A stored property: `wire` travels in JSON, `value` is what filters compare."""

    edm: str
    wire: Any
    value: Value

    def document(self, name: str) -> dict[str, Any]:
        """Return its JSON members, with the type where JSON does not show it."""
        if self.edm in _TYPES_TO_STATE or (self.edm == "Edm.Double" and isinstance(self.wire, str)):
            return {name + TYPE_SUFFIX: self.edm, name: self.wire}
        return {name: self.wire}

    def size(self) -> int:
        """Return its size in bytes; strings are kept in UTF-16."""
        if isinstance(self.value, str):
            return 2 * len(self.value) if self.value.isascii() else len(_utf_16(self.value))
        return len(self.value) if isinstance(self.value, bytes) else 8


def properties_of(document: Mapping[str, Any]) -> dict[str, Property]:
    """Read the properties of an entity; raises ValueError if a value does not have its type."""
    return {
        name: _property(wire, document.get(name + TYPE_SUFFIX))
        for name, wire in document.items()
        if wire is not None and name not in SYSTEM and "odata." not in name
    }


def moment(text: str) -> datetime:
    """Read a time, in UTC unless it names a zone; raises ValueError."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _property(wire: Any, edm: str | None) -> Property:
    edm = edm or _shown_type(wire)
    try:
        value = _READ[edm](wire)
    except (KeyError, TypeError) as error:
        message = f"{wire!r} is no {edm}"
        raise ValueError(message) from error
    return Property(
        edm, value if edm == "Edm.Double" and not isinstance(wire, str) else wire, value
    )


def _shown_type(wire: Any) -> str:
    for kind, edm in _TOLD.items():
        if isinstance(wire, kind):
            return edm
    message = f"{wire!r} is no value of a property"
    raise ValueError(message)


def _utf_16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


_TYPES_TO_STATE: Final = frozenset({"Edm.Binary", "Edm.DateTime", "Edm.Guid", "Edm.Int64"})
_TOLD: Final[Mapping[type, str]] = {
    bool: "Edm.Boolean",
    int: "Edm.Int32",
    float: "Edm.Double",
    str: "Edm.String",
}
_READ: Final[Mapping[str, Callable[[Any], Value]]] = {
    "Edm.Binary": b64decode,
    "Edm.Boolean": bool,
    "Edm.DateTime": moment,
    "Edm.Double": float,
    "Edm.Guid": UUID,
    "Edm.Int32": int,
    "Edm.Int64": int,
    "Edm.String": str,
}
