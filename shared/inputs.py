"""Reads foreign text strictly: JSON without repeated members, and single lines."""

import json
from typing import Any

from shared.errors import TipsweepError


class NotJson(TipsweepError):
    """A text is not valid JSON, or is ambiguous."""


def parse_json(text: str) -> object:
    """Return the value of a JSON text; raises NotJson, also if a member appears twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError as error:
        message = "nested too deeply"
        raise NotJson(message) from error
    except ValueError as error:
        raise NotJson(str(error)) from error


def is_line(text: object, most: int) -> bool:
    """Whether this is one line of text with at most this many characters."""
    return isinstance(text, str) and len(text) <= most and text.isprintable()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    # Readers differ on which one wins, so a person may have meant the other tenant.
    if len(members) != len(pairs):
        message = "a member appears twice"
        raise ValueError(message)
    return members
