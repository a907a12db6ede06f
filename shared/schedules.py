"""NCRONTAB expressions, checked as the Functions host reads them, and stricter where it guesses.

Source: Microsoft's page "Timer trigger for Azure Functions", section "NCRONTAB expressions". The
host drops a function whose schedule it cannot read, and looks healthy.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from shared.errors import TipsweepError, shown

_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# Fewer letters would be a guess: the host takes J for January.
_NAME_LETTERS: Final = 3
_NUMBER: Final = re.compile(r"\d{1,2}", re.ASCII)
# Of February in a leap year, so that 29 February is a date.
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class NotASchedule(TipsweepError):
    """A text is no NCRONTAB expression, or its time never comes."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of an expression: its numbers, and the names of these, beginning with the first."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_SECOND: Final = _Field("second", 0, 59)
_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


def require_schedule(expression: str) -> None:
    """Raise NotASchedule unless the host reads this as five fields, or six with seconds first."""
    words = [word for word in expression.split(" ") if word]
    if len(words) not in {len(_FIELDS), len(_FIELDS) + 1}:
        raise _error(expression, f"it has {len(words)} fields")
    fields = _FIELDS if len(words) == len(_FIELDS) else (_SECOND, *_FIELDS)
    try:
        *_, days, months, _week = [
            set(_values(field, word)) for field, word in zip(fields, words, strict=True)
        ]
    except ValueError as error:
        raise _error(expression, str(error)) from error
    if not any(day <= _LONGEST[month - 1] for day, month in product(days, months)):
        raise _error(expression, "its day is in none of its months")


def _values(field: _Field, text: str) -> Iterator[int]:
    for item in text.split(","):
        yield from _range(field, item)


def _range(field: _Field, item: str) -> range:
    """Return the numbers of *, a number, a range or one of these with a step."""
    bounds, slash, step_text = item.partition("/")
    first, last = _bounds(field, bounds, open_ended=bool(slash))
    step = _number(field, step_text) if slash else 1
    if not step:
        message = f"the {field.name} {shown(item)} has a step of 0"
        raise ValueError(message)
    return range(first, last + 1, step)


def _bounds(field: _Field, text: str, *, open_ended: bool) -> tuple[int, int]:
    if text == "*":
        return field.first, field.last
    start, dash, end = text.partition("-")
    first = _value(field, start)
    if not dash:
        return first, field.last if open_ended else first
    last = _value(field, end)
    if last < first:
        # The host would swap the two, and run all day what was meant for the night.
        message = f"the {field.name} {shown(text)} runs backwards"
        raise ValueError(message)
    return first, last


def _value(field: _Field, text: str) -> int:
    named = bool(field.names) and text.isascii() and text.isalpha()
    value = _named(field, text) if named else _number(field, text)
    if not field.first <= value <= field.last:
        message = f"the {field.name} is {value}, not {field.first} to {field.last}"
        raise ValueError(message)
    return value


def _named(field: _Field, text: str) -> int:
    for number, name in enumerate(field.names, start=field.first):
        if len(text) >= _NAME_LETTERS and name.startswith(text.lower()):
            return number
    message = f"the {field.name} has no name {shown(text)}"
    raise ValueError(message)


def _number(field: _Field, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        message = f"the {field.name} has {shown(text)} where a number is expected"
        raise ValueError(message)
    return int(text)


def _error(expression: str, reason: str) -> NotASchedule:
    return NotASchedule(
        f"{shown(expression)} is no schedule: {reason}; expected NCRONTAB, six fields for second, "
        "minute, hour, day, month and day of the week (0 to 6, Sunday is 0) such as 0 0 3 * * *"
    )
