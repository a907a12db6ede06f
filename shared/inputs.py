"""Reads foreign text strictly: JSON without repeated members, and single lines."""

import json
import re
from typing import Any, Final

from shared.errors import TipsweepError

# A pair of escapes for one character, one half of such a pair, or any other escape.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)",
    re.DOTALL,
)


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


def readable(text: str) -> str:
    """Return a text without half characters, which nothing can encode: each becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def readable_json(text: str) -> str:
    """Return a JSON text without half characters, escaped or not: each becomes U+FFFD."""
    whole = readable(text)
    return _ESCAPE.sub(lambda each: r"\ufffd" if each["half"] else each[0], whole)


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
