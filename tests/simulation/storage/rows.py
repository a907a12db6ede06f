"""One table: its rows in the order of their keys, each with the ETag of its last write."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import quote

from tests.simulation.storage.edm import Property, Value, moment
from tests.simulation.storage.filters import Predicate
from tests.simulation.storage.http import Refusal

Key = tuple[str, str]
ANY: Final = "*"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored entity."""

    key: Key
    properties: Mapping[str, Property]
    timestamp: str

    @property
    def etag(self) -> str:
        """The ETag, which is made of the time of the last write."""
        return f"W/\"datetime'{quote(self.timestamp, safe='')}'\""

    def value(self, name: str) -> Value | None:
        """Return what a filter compares under a name."""
        match name:
            case "PartitionKey":
                return self.key[0]
            case "RowKey":
                return self.key[1]
            case "Timestamp":
                return moment(self.timestamp)
        found = self.properties.get(name)
        return found.value if found else None

    def document(self, select: frozenset[str]) -> dict[str, Any]:
        """Return the entity as JSON with minimal metadata; an empty selection is everything."""
        whole = {"PartitionKey": self.key[0], "RowKey": self.key[1], "Timestamp": self.timestamp}
        document = {name: whole[name] for name in whole if not select or name in select}
        for name, each in self.properties.items():
            if not select or name in select:
                document |= each.document(name)
        return {"odata.etag": self.etag, **document}


class Stamps:
    """Times of writes, in steps of 100 ns; none is handed out twice, so no two ETags are equal."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = 0

    def next(self) -> str:
        """Return the time of a write."""
        self._last = max(self._last + 1, (self._now() - _EPOCH) // _MICROSECOND * 10)
        microseconds, rest = divmod(self._last, 10)
        written = _EPOCH + timedelta(microseconds=microseconds)
        return f"{written.isoformat(timespec='microseconds')[:26]}{rest}Z"


class Table:
    """The rows of one table."""

    def __init__(self, name: str, stamps: Stamps) -> None:
        self.name = name
        self._stamps = stamps
        self._rows: dict[Key, Row] = {}
        self._order: list[Key] = []

    def copy(self) -> Self:
        """Return a table with the same rows, to try several writes on."""
        twin = type(self)(self.name, self._stamps)
        twin._rows = dict(self._rows)
        twin._order = list(self._order)
        return twin

    def get(self, key: Key) -> Row:
        """Return a row, or refuse with 404."""
        row = self._rows.get(key)
        if row is None:
            raise Refusal(404, "ResourceNotFound", "The specified resource does not exist.")
        return row

    def insert(self, key: Key, properties: Mapping[str, Property]) -> Row:
        """Add a row, or refuse with 409."""
        if key in self._rows:
            raise Refusal(409, "EntityAlreadyExists", "The specified entity already exists.")
        return self._put(key, properties)

    def write(
        self, key: Key, properties: Mapping[str, Property], *, merge: bool, etag: str | None
    ) -> Row:
        """Replace or merge a row; without an ETag, add it where it is missing."""
        if etag is not None:
            self._match(key, etag)
        if merge and key in self._rows:
            properties = {**self._rows[key].properties, **properties}
        return self._put(key, properties)

    def delete(self, key: Key, etag: str) -> None:
        """Delete a row."""
        self._match(key, etag)
        del self._rows[key]
        del self._order[bisect_left(self._order, key)]

    def find(self, matches: Predicate, start: Key | None) -> Iterator[Row]:
        """Yield the rows that match, from a key on."""
        at = bisect_left(self._order, start) if start else 0
        for key in self._order[at:]:
            row = self._rows[key]
            if matches(row.value):
                yield row

    def _match(self, key: Key, etag: str) -> None:
        row = self.get(key)
        if etag not in {ANY, row.etag}:
            message = "The update condition specified in the request was not satisfied."
            raise Refusal(412, "UpdateConditionNotSatisfied", message)

    def _put(self, key: Key, properties: Mapping[str, Property]) -> Row:
        if key not in self._rows:
            insort(self._order, key)
        row = self._rows[key] = Row(key, properties, self._stamps.next())
        return row
