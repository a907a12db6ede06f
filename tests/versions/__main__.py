"""Writes the samples that a new version needs: those that differ from the newest ones.

Run: python -m tests.versions
"""

import json
from collections.abc import Iterator

from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from local.provision import provision
from shared.versions import TIPSWEEP
from tests.versions.kinds import MESSAGES, ROWS
from tests.versions.samples import (
    FOLDER,
    Sample,
    kinds_of,
    load,
    versions,
    written_message,
    written_row,
    written_words,
)


def written() -> Iterator[tuple[str, Sample]]:
    """Yield what the app writes now, by kind."""
    with Azurite.start(accounts=len(ROWS)) as azurite:
        for kind, storage in zip(ROWS, azurite.connection_strings, strict=True):
            provision(storage)
            tables = TableServiceClient.from_connection_string(storage)
            yield kind.name, written_row(kind, tables.get_table_client(kind.table))
    for message in MESSAGES:
        yield message.name, written_message(message)
    yield "words", written_words()


def main() -> None:
    """Write a file for each kind whose newest sample is another one."""
    (FOLDER / TIPSWEEP).mkdir(parents=True, exist_ok=True)
    for kind, sample in written():
        known = [version for version in versions() if kind in kinds_of(version)]
        if not known or load(known[-1], kind) != sample:
            text = json.dumps(sample, indent=2, ensure_ascii=False) + "\n"
            (FOLDER / TIPSWEEP / f"{kind}.json").write_text(text, encoding="utf-8")
            print(f"{TIPSWEEP}/{kind}.json")


if __name__ == "__main__":
    main()
