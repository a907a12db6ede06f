"""Reads foreign text: JSON of people and of services, lines, secrets, and Retry-After."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any, Final

from shared.errors import TipsweepError

# One odd header must not park a deletion for weeks.
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
# What editors and files add around a text: blanks, line breaks, a byte order mark.
_AROUND: Final = re.compile(r"\A[\s\x00\ufeff\u200b]+|[\s\x00\ufeff\u200b]+\Z")
# A pair of escapes for one character, one half of such a pair, or any other escape.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)",
    re.DOTALL,
)
_DIGITS: Final = 100


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


class NotASecret(TipsweepError):
    """A text cannot be a secret; the error does not show it."""


def without_surroundings(text: str) -> str:
    """Return a text without the blanks, line breaks and invisible characters around it."""
    return _AROUND.sub("", text)


def bare_secret(text: str) -> str:
    """Return a secret without the blanks, line breaks and byte order marks around it.

    Raises NotASecret if nothing is left, or if one of these is inside, or any other character that
    cannot be seen is anywhere.
    """
    bare = without_surroundings(text)
    if not bare:
        message = "is empty: store the secret in one line"
        raise NotASecret(message)
    odd = [place for place, letter in enumerate(bare) if _is_odd(letter)]
    if odd:
        message = (
            f"has the character U+{ord(bare[odd[0]]):04X} {_where(bare, odd[0])}, which no secret "
            "has: store it again, in one line"
        )
        raise NotASecret(message)
    return bare


def _is_odd(letter: str) -> bool:
    return letter.isspace() or not letter.isprintable()


def _where(secret: str, place: int) -> str:
    if place == 0:
        return "at its start"
    return "at its end" if all(map(_is_odd, secret[place:])) else "inside"


def json_of(content: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the value of a JSON text in UTF-8, with or without a byte order mark; None if none.

    NaN, infinities and integers of hundreds of digits become floats that are not finite, so that
    they spoil nothing but their own member.
    """
    try:
        return json.loads(content.decode("utf-8-sig"), parse_int=_number)
    except (ValueError, RecursionError):
        return None


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


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else inf


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return a Retry-After header in seconds, at most a day; None if it cannot be read.

    The header holds seconds, or an HTTP date.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_RETRY_AFTER_SECONDS)
    try:
        timestamp = parsedate_to_datetime(header)
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=UTC)
        seconds = (timestamp - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_SECONDS)
