"""During a rolling update, old and new code read each other's messages and rows.

A change of what is written gets a folder of samples under the version that brings it; one that the
version before cannot read is a break, which the changelog names.
"""

import json
import re
from dataclasses import is_dataclass
from itertools import pairwise
from typing import Any

import pytest
from azure.data.tables import TableClient, TableServiceClient

from local.provision import provision
from shared.deletion import messages
from shared.storage import names
from shared.versions import TIPSWEEP
from tests.infra.bicep import ROOT
from tests.versions.kinds import MESSAGES, ROWS, MessageKind, RowKind
from tests.versions.samples import (
    Sample,
    entity,
    kinds_of,
    load,
    versions,
    written_message,
    written_row,
    written_words,
)

WORDS = "words"
BY_NAME = {kind.name: kind for kind in (*ROWS, *MESSAGES)}
SAMPLES = [
    (version, kind) for version in versions() for kind in BY_NAME if kind in kinds_of(version)
]


@pytest.fixture
def tables(storage: str) -> TableServiceClient:
    provision(storage)
    return TableServiceClient.from_connection_string(storage)


def table_of(kind: RowKind, tables: TableServiceClient) -> TableClient:
    return tables.get_table_client(kind.table)


@pytest.mark.parametrize(("version", "name"), SAMPLES)
def test_the_code_reads_what_a_version_wrote(
    tables: TableServiceClient, version: str, name: str
) -> None:
    kind, sample = BY_NAME[name], load(version, name)

    if isinstance(kind, MessageKind):
        assert kind.read(json.dumps(sample).encode()) == kind.value
        return
    table = table_of(kind, tables)
    table.create_entity(entity(kind, sample))
    assert kind.read(table) == kind.value


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_a_column_of_a_later_version_is_ignored(tables: TableServiceClient, kind: RowKind) -> None:
    table = table_of(kind, tables)

    table.create_entity({**entity(kind, newest(kind.name)), "ofLaterVersion": "x"})

    assert kind.read(table) == kind.value


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_the_code_writes_the_row_of_the_newest_sample(
    tables: TableServiceClient, kind: RowKind
) -> None:
    assert written_row(kind, table_of(kind, tables)) == newest(kind.name)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.name)
def test_the_code_sends_the_message_of_the_newest_sample(kind: MessageKind) -> None:
    assert written_message(kind) == newest(kind.name)


def test_the_words_in_rows_are_those_of_the_newest_sample() -> None:
    assert written_words() == newest(WORDS)


def newest(kind: str) -> Sample:
    """Return the sample of the version that changed a kind last."""
    version = max((each for each in versions() if kind in kinds_of(each)), key=versions().index)
    return load(version, kind)


def test_no_sample_is_of_a_later_version() -> None:
    assert versions()[0] == "0.1.0"
    assert [int(part) for part in versions()[-1].split(".")] <= [
        int(part) for part in TIPSWEEP.split(".")
    ]


def test_every_kind_of_row_has_a_sample() -> None:
    in_sandbox = {
        value for name, value in vars(names).items() if re.fullmatch(r"\w+_ROW(_PREFIX)?", name)
    }
    tables = set(names.TABLES) - {names.SANDBOX_TABLE}

    assert {kind.key for kind in ROWS} == in_sandbox | tables


def test_every_kind_of_message_has_a_sample() -> None:
    sent = {
        value
        for value in vars(messages).values()
        if is_dataclass(value) and {"to_json", "sealed"} & set(vars(value))
    }
    values = [each for kind in MESSAGES for each in members(kind.value)]

    assert {type(each) for each in values} == sent


def members(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_every_kind_has_a_sample_of_the_first_version() -> None:
    assert kinds_of("0.1.0") == {*BY_NAME, WORDS}


@pytest.mark.parametrize("kind", [*BY_NAME, WORDS])
def test_the_changelog_names_every_break(kind: str) -> None:
    with_sample = [version for version in versions() if kind in kinds_of(version)]
    for before, after in pairwise(with_sample):
        if breaks(kind, load(before, kind), load(after, kind)):
            assert f"break of `{kind}`" in changes_of(after)


def breaks(kind: str, before: Sample, after: Sample) -> bool:
    """Whether the version before cannot read what the one after writes.

    A row may get more columns, which the version before ignores; a message must be as it was, and
    an unknown word makes a row unreadable.
    """
    if kind == WORDS or isinstance(BY_NAME[kind], MessageKind):
        return before != after
    return any(type(after.get(name)) is not type(value) for name, value in before.items())


def changes_of(version: str) -> str:
    """Return what the changelog says of a version."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    return next(each for each in sections if version in each.partition("\n")[0])


@pytest.mark.parametrize(
    ("kind", "after", "broken"),
    [
        ("switch", {"tripped": True, "at": "x", "more": 1}, False),
        ("switch", {"tripped": True}, True),
        ("switch", {"tripped": 1, "at": "x"}, True),
        ("step", {"tripped": True, "at": "x", "more": 1}, True),
        (WORDS, {"tripped": True, "at": "x", "more": 1}, True),
    ],
)
def test_a_break_is_told_from_an_addition(kind: str, after: Sample, broken: bool) -> None:
    assert breaks(kind, {"tripped": True, "at": "x"}, after) is broken
