"""Domains in the one form that is compared, and the patterns that people list."""

import re
import unicodedata
from fnmatch import fnmatchcase
from typing import Final

import idna

from shared.errors import TipsweepError, shown

# Source: RFC 1035, section 2.3.4, without the dot at the end.
_DOMAIN_CHARACTERS: Final = 253
_LABEL_CHARACTERS: Final = 63
# The letters of a label in ASCII; hyphens stand inside.
_LABEL: Final = re.compile(r"[a-z0-9*?](?:[a-z0-9*?-]*[a-z0-9*?])?")
_WILDCARDS: Final = re.compile(r"[*?]")
# A top-level domain has two letters at least, or is an international one.
_LAST_LABEL: Final = re.compile(r"[a-z?]{2,}|xn--[a-z0-9?-]+")


class NotADomainPattern(TipsweepError):
    """A word cannot match any domain, or not what it was meant for."""


def domain_pattern(word: str) -> str:
    """Return a pattern in the form that domains are compared in: lower case and xn--.

    A pattern is a domain with the wildcards * (any letters, dots too) and ? (one letter). Raises
    NotADomainPattern for a word that no domain can match.
    """
    pattern = _ascii(word)
    if pattern is None or not _is_possible(pattern):
        message = (
            f"{shown(word)} is not a domain pattern: expected a domain such as contoso.com, or a "
            "pattern with * and ? such as keep-*.onmicrosoft.com, which ends in * or in a "
            "top-level domain; a label with letters outside ASCII takes no wildcard"
        )
        raise NotADomainPattern(message)
    return pattern


def comparable(domain: str) -> str | None:
    """Return a domain in the form that is compared; None if it is none, so that nothing matches."""
    text = _ascii(domain.strip())
    if text is None or "." not in text or _WILDCARDS.search(text):
        return None
    return text if _is_possible(text) else None


def matches(domain: str, pattern: str) -> bool:
    """Whether a domain in the form that is compared matches a pattern."""
    return fnmatchcase(domain, pattern)


def _is_possible(pattern: str) -> bool:
    """Whether a domain could match: it has two labels at least, the last a top-level domain."""
    labels = pattern.split(".")
    return (
        len(pattern.replace("*", "")) <= _DOMAIN_CHARACTERS
        and all(map(_is_label, labels))
        and _is_last(labels[-1])
        and (len(labels) > 1 or "*" in pattern)
    )


def _is_last(label: str) -> bool:
    """Whether the last label could be a top-level domain; behind a * nobody can tell."""
    return label.endswith("*") or _LAST_LABEL.fullmatch(label) is not None


def _is_label(label: str) -> bool:
    letters = _WILDCARDS.sub("", label)
    return len(letters) <= _LABEL_CHARACTERS and _LABEL.fullmatch(label) is not None


def _ascii(text: str) -> str | None:
    """Return a domain or pattern with each international label as xn--, None if one has no form."""
    lowered = unicodedata.normalize("NFC", text.lower()).removesuffix(".")
    try:
        return ".".join(map(_ascii_label, lowered.split(".")))
    except idna.IDNAError:
        return None


def _ascii_label(label: str) -> str:
    return label if label.isascii() else idna.alabel(label).decode("ascii")
