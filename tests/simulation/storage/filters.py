"""The $filter of a table query, as a predicate.

https://learn.microsoft.com/rest/api/storageservices/querying-tables-and-entities
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from tests.simulation.storage.edm import Value, moment

Lookup = Callable[[str], Value | None]
Predicate = Callable[[Lookup], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<paren>[()])
    | (?P<datetime>datetime'[^']*')
    | (?P<guid>guid'[^']*')
    | (?P<binary>(?:X|binary)'[^']*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?L?(?!\w))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_RESERVED: Final = frozenset({*_COMPARISONS, "and", "or", "not"})


@lru_cache(maxsize=4096)
def predicate(text: str) -> Predicate:
    """Compile a filter; raises ValueError if it is not valid."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._kind, self._text = next(self._tokens)

    def whole(self) -> Predicate:
        found = self._either()
        if self._kind != "end":
            raise self._unexpected()
        return found

    def _either(self) -> Predicate:
        terms = [self._both()]
        while self._skip("or"):
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _both(self) -> Predicate:
        terms = [self._one()]
        while self._skip("and"):
            terms.append(self._one())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def _one(self) -> Predicate:
        if self._skip("not"):
            term = self._one()
            return lambda row: not term(row)
        if self._skip("("):
            term = self._either()
            if not self._skip(")"):
                raise self._unexpected()
            return term
        return self._comparison()

    def _comparison(self) -> Predicate:
        left = self._operand()
        compare = _COMPARISONS.get(self._text)
        if self._kind != "word" or compare is None:
            raise self._unexpected()
        self._advance()
        return _compared(left, compare, self._operand())

    def _operand(self) -> Callable[[Lookup], Value | None]:
        kind, text = self._kind, self._text
        if kind in {"paren", "end"} or text in _RESERVED:
            raise self._unexpected()
        self._advance()
        if kind == "word" and text not in {"true", "false"}:
            return lambda row: row(text)
        literal = _literal(kind, text)
        return lambda _: literal

    def _skip(self, text: str) -> bool:
        if self._kind not in {"word", "paren"} or self._text != text:
            return False
        self._advance()
        return True

    def _advance(self) -> None:
        self._kind, self._text = next(self._tokens)

    def _unexpected(self) -> ValueError:
        return ValueError(f"unexpected {self._text or 'end'} in the filter")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            message = f"no word of a filter: {text[at:]}"
            raise ValueError(message)
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _literal(kind: str, text: str) -> Value:
    inner = text.partition("'")[2][:-1]
    match kind:
        case "text":
            return inner.replace("''", "'")
        case "number":
            digits = text.removesuffix("L")
            return int(digits) if re.fullmatch(r"-?\d+", digits) else float(digits)
        case "datetime":
            return moment(inner)
        case "guid":
            return UUID(inner)
        case "binary":
            return bytes.fromhex(inner)
        case _:
            return text == "true"


def _compared(
    left: Callable[[Lookup], Value | None],
    compare: Callable[[Any, Any], bool],
    right: Callable[[Lookup], Value | None],
) -> Predicate:
    """Compare two operands; a property that is missing or of another type never matches."""

    def compared(row: Lookup) -> bool:
        one, other = left(row), right(row)
        if one is None or other is None or _kind(one) is not _kind(other):
            return False
        return compare(one, other)

    return compared


def _kind(value: Value) -> type:
    if isinstance(value, bool):
        return bool
    if isinstance(value, datetime):
        return datetime
    return float if isinstance(value, int | float) else type(value)
