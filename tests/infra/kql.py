"""A reader for the parts of the Kusto query language that the alerts and the workbook use.

Whatever it does not know, it refuses with ValueError.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Row = Mapping[str, Any]
Expression = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>@'[^']*'|'(?:[^'\\]|\\.)*')
    | (?P<span>\d+(?:d|h|m)\b)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>>=|<=|==|!=|[|(),=<>])
    )""",
    re.VERBOSE,
)
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def run(query: str, rows: Iterable[Row], now: datetime) -> list[dict[str, Any]]:
    """Return the rows that a query makes of those of the table `traces`."""
    reader = _Reader(_tokens(query), now)
    reader.take("traces")
    result = [dict(row) for row in rows]
    while reader.ahead():
        reader.take("|")
        result = reader.operator()(result)
    return result


def _tokens(query: str) -> list[str]:
    tokens, at = [], 0
    while query[at:].strip():
        match = _TOKEN.match(query, at)
        if match is None:
            raise ValueError(f"cannot read {query[at : at + 40]!r}")
        tokens.append(match.group().strip())
        at = match.end()
    return tokens


Rows = list[dict[str, Any]]


@dataclass
class _Reader:
    tokens: list[str]
    now: datetime
    at: int = 0

    def ahead(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.ahead()
        if not token or (expected and token != expected):
            raise ValueError(f"expected {expected or 'more'}, found {token or 'the end'}")
        self.at += 1
        return token

    def taken(self, token: str) -> bool:
        found = self.ahead() == token
        self.at += found
        return found

    def operator(self) -> Callable[[Rows], Rows]:
        match self.take():
            case "where":
                condition = self.either()
                return lambda rows: [row for row in rows if condition(row) is True]
            case "extend":
                columns = self.columns()
                return lambda rows: [_extended(row, columns) for row in rows]
            case "project":
                columns = self.columns()
                return lambda rows: [{n: value(row) for n, value in columns} for row in rows]
            case "summarize":
                return self.summarize()
            case "order":
                self.take("by")
                column = self.take()
                self.take("desc")
                return lambda rows: sorted(rows, key=lambda row: row[column], reverse=True)
            case other:
                raise ValueError(f"unknown operator {other}")

    def columns(self) -> list[tuple[str, Expression]]:
        columns = [self.column()]
        while self.taken(","):
            columns.append(self.column())
        return columns

    def column(self) -> tuple[str, Expression]:
        name = self.ahead()
        if self.tokens[self.at + 1 : self.at + 2] == ["="]:
            self.at += 2
            return name, self.either()
        value = self.either()
        return ("timestamp" if name == "bin" else name), value

    def summarize(self) -> Callable[[Rows], Rows]:
        aggregates = [self.aggregate()]
        while self.taken(","):
            aggregates.append(self.aggregate())
        self.take("by")
        keys = self.columns()
        return lambda rows: _summarized(rows, aggregates, keys)

    def aggregate(self) -> Callable[[Rows], dict[str, Any]]:
        name = ""
        if self.tokens[self.at + 1] == "=":
            name = self.take()
            self.take("=")
        function = self.take()
        arguments = self.arguments()
        return lambda rows: _aggregated(name, function, arguments, rows)

    def arguments(self) -> list[tuple[str, Expression]]:
        self.take("(")
        if self.taken(")"):
            return []
        found = self.columns()
        self.take(")")
        return found

    def either(self) -> Expression:
        left = self.both()
        while self.taken("or"):
            left = _either(left, self.both())
        return left

    def both(self) -> Expression:
        left = self.comparison()
        while self.taken("and"):
            left = _both(left, self.comparison())
        return left

    def comparison(self) -> Expression:
        left = self.value()
        if self.ahead() in _COMPARISONS:
            compare = _COMPARISONS[self.take()]
            right = self.value()
            return lambda row: _compared(compare, left(row), right(row))
        return left

    def value(self) -> Expression:
        if self.taken("("):
            inner = self.either()
            self.take(")")
            return inner
        token = self.take()
        if token.startswith(("'", "@'")):
            constant: Any = _literal(token)
        elif token[0].isdigit():
            constant = _quantity(token)
        elif self.ahead() == "(":
            return self.call(token)
        else:
            return lambda row: row[token]
        return lambda _row: constant

    def call(self, name: str) -> Expression:
        arguments = [value for _, value in self.arguments()]
        if name == "ago":
            return lambda row: self.now - arguments[0](row)
        if name not in _FUNCTIONS:
            raise ValueError(f"unknown function {name}")
        function = _FUNCTIONS[name]
        return lambda row: function(*(argument(row) for argument in arguments))


def _literal(token: str) -> str:
    return token[2:-1] if token.startswith("@") else re.sub(r"\\(.)", r"\1", token[1:-1])


def _quantity(token: str) -> float | timedelta:
    if token[-1] in _UNITS:
        return timedelta(**{_UNITS[token[-1]]: int(token[:-1])})
    return float(token)


def _either(left: Expression, right: Expression) -> Expression:
    return lambda row: left(row) is True or right(row) is True


def _both(left: Expression, right: Expression) -> Expression:
    return lambda row: left(row) is True and right(row) is True


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    return left is not None and right is not None and compare(left, right)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "startswith": lambda a, b: a.lower().startswith(b.lower()),
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _extract(pattern: str, group: float, value: str) -> str:
    match = re.search(pattern, value)
    return match.group(int(group)) if match else ""


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _bin(value: datetime, size: timedelta) -> datetime:
    start = datetime(1, 1, 1, tzinfo=UTC)
    return start + size * ((value - start) // size)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "extract": _extract,
    "toint": _number,
    "todouble": _number,
    "tostring": str,
    "parse_json": _json,
    "bin": _bin,
}


_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {"max": max, "sum": sum}


def _extended(row: Row, columns: Sequence[tuple[str, Expression]]) -> dict[str, Any]:
    result = dict(row)
    for name, value in columns:
        result[name] = value(result)
    return result


def _summarized(
    rows: Rows,
    aggregates: Sequence[Callable[[Rows], dict[str, Any]]],
    keys: Sequence[tuple[str, Expression]],
) -> Rows:
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[tuple(value(row) for _, value in keys)].append(row)
    return [
        {name: part for (name, _), part in zip(keys, key, strict=True)}
        | {name: value for one in aggregates for name, value in one(group).items()}
        for key, group in groups.items()
    ]


def _aggregated(
    name: str, function: str, arguments: Sequence[tuple[str, Expression]], rows: Rows
) -> dict[str, Any]:
    if function == "count":
        return {name: len(rows)}
    column, value = arguments[0]
    if function == "arg_max":
        latest = max(rows, key=value)
        return {each: of(latest) for each, of in [(column, value), *arguments[1:]]}
    values = sorted(found for row in rows if (found := value(row)) is not None)
    if function == "percentile":
        rank = math.ceil(arguments[1][1](rows[0]) / 100 * len(values))
        return {name: values[max(rank, 1) - 1]}
    if function not in _AGGREGATES:
        raise ValueError(f"unknown aggregate {function}")
    return {name: _AGGREGATES[function](values)}
