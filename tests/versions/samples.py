"""The samples on disk: a folder for each version, a file for each kind."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from azure.data.tables import TableClient

from tests.versions.kinds import WORDS, MessageKind, RowKind

FOLDER: Final = Path(__file__).with_name("samples")
_DEFLATED: Final = "deflated"
_BINARY: Final = "base64"
_LARGEST: Final = 65_536

Sample = dict[str, Any]


def versions() -> list[str]:
    """Return the versions that have samples, the oldest first."""
    return sorted((path.name for path in FOLDER.iterdir()), key=_number)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def load(version: str, kind: str) -> Sample:
    """Return the sample that a version has of a kind."""
    sample: Sample = json.loads((FOLDER / version / f"{kind}.json").read_text("utf-8"))
    return sample


def kinds_of(version: str) -> set[str]:
    return {path.stem for path in (FOLDER / version).glob("*.json")}


def written_row(kind: RowKind, table: TableClient) -> Sample:
    """Return what the app writes of a kind; what differs each time is left out."""
    kind.write(table)
    [row] = table.list_entities()
    return dict(sorted(_shown(kind, row)))


def _shown(kind: RowKind, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name not in kind.random:
            yield name, _encoded(value) if isinstance(value, bytes) else value


def _encoded(value: bytes) -> dict[str, str]:
    """Return compressed text as the text: another zlib may compress it to other bytes."""
    try:
        return {_DEFLATED: zlib.decompress(value).decode()}
    except zlib.error:
        return {_BINARY: base64.b64encode(value).decode()}


def entity(kind: RowKind, sample: Sample) -> Sample:
    """Return the row that a sample stands for."""
    row = {name: _decoded(value) for name, value in sample.items()}
    return {**dict.fromkeys(kind.random, "1"), **row}


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if _DEFLATED in value:
        return zlib.compress(value[_DEFLATED].encode())
    return base64.b64decode(value[_BINARY])


def written_message(kind: MessageKind) -> Sample:
    """Return the message that the app sends."""
    message: Sample = json.loads(kind.text)
    return message


def written_words() -> Sample:
    """Return the words that rows hold, by name and by value."""
    return {kind.__name__: {each.name: each.value for each in kind} for kind in WORDS}
