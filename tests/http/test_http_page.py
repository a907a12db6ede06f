"""The page about HTTP agrees with the code."""

import re
from pathlib import Path

from functions.api.problems import PROBLEM_TYPES
from tests.http.test_openapi import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs/http.md").read_text(encoding="utf-8")


def test_the_page_lists_every_problem_type_with_its_status() -> None:
    listed = re.findall(r"^\| `(urn:\S+)` \| (\d+) \|", PAGE, re.MULTILINE)

    assert listed == [(each.uri, str(each.status.value)) for each in PROBLEM_TYPES]


def test_the_page_lists_every_call_with_its_status_codes() -> None:
    listed = {
        (method, path): {int(status) for status in re.findall(r"\b\d{3}\b", statuses)}
        for method, path, statuses in re.findall(
            r"^\| `([A-Z]+) (/\S+)` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE
        )
    }

    assert listed == {
        operation: {int(status) for status in described["responses"]} - {401, 403}
        for operation, described in OPERATIONS.items()
    }
