"""The base class of tipsweep's own errors, and how they show foreign text."""

from typing import Final

_SHOWN_CHARACTERS: Final = 60


class TipsweepError(Exception):
    """Something that tipsweep will not or cannot do; the text names the object and what to do."""


def shown(text: str) -> str:
    """Return foreign text short and printable, for a log line or an error."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return ascii(short)
