"""Random steps on tables, which run the same way on both sides."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from uuid import UUID

from azure.core import MatchConditions
from azure.data.tables import EdmType, EntityProperty, TableEntity, UpdateMode

from tests.simulation.storage.sides import Roles, Side, outcome

TABLE: Final = "rows"
NEVER_AN_ETAG: Final = "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""
PARTITIONS: Final = ("partition", "o'clock")
ROWS: Final = ("a", "B", "b", "ä %+&=", "it's", "")
ROLES: Final = ("unconditional", "current", "current", "stale")
MODES: Final = (UpdateMode.REPLACE, UpdateMode.MERGE)
EQUALITY: Final = ("eq", "ne")
ORDER: Final = (*EQUALITY, "gt", "ge", "lt", "le")

Entity = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A type of property: values, the same as literals of a filter, and the operators."""

    values: tuple[Any, ...]
    literals: tuple[str, ...]
    operators: tuple[str, ...] = ORDER


KINDS: Final[Mapping[str, Kind]] = {
    "flag": Kind((True, False), ("true", "false"), EQUALITY),
    "count": Kind((-7, 0, 5, 2**31 - 1), ("-7", "0", "6")),
    "large": Kind(
        tuple(EntityProperty(value, EdmType.INT64) for value in (-(2**40), 5, 2**40)),
        ("-1099511627776L", "5L", "6L"),
    ),
    "ratio": Kind((-0.5, 2.0, 1e300, float("inf")), ("-0.5", "2.5")),
    "text": Kind(("", "a", "it's", 'ü"\\\n<&>'), ("''", "'a'", "'it''s'", "'b c'")),
    "when": Kind(
        (datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)),
        ("datetime'2026-03-01T00:00:00Z'", "datetime'2026-06-01T00:00:00.000000Z'"),
    ),
    "guid": Kind(
        (UUID(int=1), UUID(int=2)), ("guid'00000000-0000-0000-0000-000000000001'",), EQUALITY
    ),
    "bytes": Kind((b"", b"abc"), ("X'616263'",), EQUALITY),
    "PartitionKey": Kind((), ("'partition'", "'o''clock'")),
    "RowKey": Kind((), ("''", "'a'", "'b'", "'it''s'")),
}


class TableSide:
    """Runs steps on one side and returns their outcomes."""

    def __init__(self, side: Side) -> None:
        self._service = side.tables
        self._service.create_table(TABLE)
        self._table = self._service.get_table_client(TABLE)
        self._missing = self._service.get_table_client("missing")
        self._etags = Roles()

    def create(self, entity: Entity) -> str:
        return self._etags.notice(_key(entity), self._table.create_entity(entity)["etag"])

    def get(self, entity: Entity, select: list[str] | None) -> object:
        return self._seen(self._table.get_entity(*_key(entity), select=select), _key(entity))

    def update(self, entity: Entity, mode: UpdateMode, role: str) -> str:
        written = self._table.update_entity(entity, mode, **self._condition(entity, role))
        return self._etags.notice(_key(entity), written["etag"])

    def upsert(self, entity: Entity, mode: UpdateMode) -> str:
        written = self._table.upsert_entity(entity, mode)
        return self._etags.notice(_key(entity), written["etag"])

    def delete(self, entity: Entity, role: str) -> None:
        self._table.delete_entity(entity, **self._condition(entity, role))

    def query(self, text: str, select: list[str] | None, size: int | None) -> object:
        pages = self._table.query_entities(text, select=select, results_per_page=size).by_page()
        return [[self._seen(entity) for entity in page] for page in pages]

    def query_with_parameters(self, parameters: dict[str, Any]) -> object:
        text = "PartitionKey eq @partition and RowKey gt @row"
        return [
            self._seen(each) for each in self._table.query_entities(text, parameters=parameters)
        ]

    def transact(self, operations: list[tuple[str, Entity, str]]) -> object:
        sent = [(verb, row, self._options(verb, row, role)) for verb, row, role in operations]
        results = self._table.submit_transaction(sent)
        return [
            self._etags.notice(_key(row), written.get("etag"))
            for (_, row, _), written in zip(operations, results, strict=True)
        ]

    def create_table(self, name: str) -> None:
        self._service.create_table(name)

    def list_tables(self) -> list[str]:
        return [table.name for table in self._service.list_tables()]

    def on_missing(self, entity: Entity) -> object:
        table = self._missing
        calls: tuple[Callable[[], object], ...] = (
            lambda: table.create_entity(entity),
            lambda: table.get_entity(*_key(entity)),
            lambda: table.update_entity(entity),
            lambda: table.upsert_entity(entity),
            lambda: table.delete_entity(entity),
            lambda: list(table.list_entities()),
            lambda: table.submit_transaction([("create", entity)]),
        )
        return [outcome(call) for call in calls]

    def _options(self, verb: str, entity: Entity, role: str) -> dict[str, Any]:
        mode = {} if verb in {"create", "delete"} else {"mode": UpdateMode.REPLACE}
        return mode if verb in {"create", "upsert"} else {**mode, **self._condition(entity, role)}

    def _condition(self, entity: Entity, role: str) -> dict[str, Any]:
        if role == "unconditional":
            return {}
        etag = self._etags.recall(_key(entity), role, NEVER_AN_ETAG)
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    def _seen(self, entity: TableEntity, key: tuple[str, str] | None = None) -> object:
        content = {name: (type(each).__name__, each) for name, each in entity.items()}
        if key is None and {"PartitionKey", "RowKey"} <= set(entity):
            key = _key(entity)
        role = self._etags.notice(key, entity.metadata["etag"]) if key else "unknown"
        return content, role, entity.metadata["timestamp"] is not None


@dataclass(frozen=True)
class TableStep:
    """A step and its description."""

    text: str
    run: Callable[[TableSide], object]


def table_steps(chance: Random, count: int) -> Iterator[TableStep]:
    """Yield this many random steps."""
    makers = {
        _create: 5,
        _get: 4,
        _update: 6,
        _upsert: 4,
        _delete: 2,
        _query: 6,
        _query_with_parameters: 1,
        _transact: 5,
        _on_tables: 1,
        _on_missing: 1,
    }
    for maker in chance.choices(list(makers), list(makers.values()), k=count):
        yield maker(chance)


def _create(chance: Random) -> TableStep:
    entity = _entity(chance)
    return TableStep(f"create {entity}", lambda side: side.create(entity))


def _get(chance: Random) -> TableStep:
    entity, select = _bare(chance), _select(chance)
    return TableStep(f"get {entity} {select}", lambda side: side.get(entity, select))


def _update(chance: Random) -> TableStep:
    entity, mode, role = _entity(chance), chance.choice(MODES), chance.choice(ROLES)
    return TableStep(f"{mode} {entity} {role}", lambda side: side.update(entity, mode, role))


def _upsert(chance: Random) -> TableStep:
    entity, mode = _entity(chance), chance.choice(MODES)
    return TableStep(f"upsert {mode} {entity}", lambda side: side.upsert(entity, mode))


def _delete(chance: Random) -> TableStep:
    entity, role = _bare(chance), chance.choice(ROLES)
    return TableStep(f"delete {entity} {role}", lambda side: side.delete(entity, role))


def _query(chance: Random) -> TableStep:
    text = chance.choices(
        (_filter(chance), "", "count eq", "count eq eq", "(flag eq true"), (20, 4, 1, 1, 1)
    )[0]
    select, size = _select(chance), chance.choice((None, 1, 2, 3, 2000))
    return TableStep(f"query {text!r} {select} {size}", lambda side: side.query(text, select, size))


def _query_with_parameters(chance: Random) -> TableStep:
    parameters = {"partition": chance.choice(PARTITIONS), "row": chance.choice(ROWS)}
    return TableStep(f"query {parameters}", lambda side: side.query_with_parameters(parameters))


def _transact(chance: Random) -> TableStep:
    partition = chance.choice(PARTITIONS)
    operations = [
        (
            chance.choice(("create", "upsert", "upsert", "update", "delete")),
            {**_entity(chance), "PartitionKey": partition},
            chance.choice(ROLES),
        )
        for _ in range(chance.randint(1, 4))
    ]
    return TableStep(f"transact {operations}", lambda side: side.transact(operations))


def _on_tables(chance: Random) -> TableStep:
    name = chance.choice((TABLE, "others"))
    if chance.random() < 0.5:
        return TableStep("list tables", lambda side: side.list_tables())
    return TableStep(f"create table {name}", lambda side: side.create_table(name))


def _on_missing(chance: Random) -> TableStep:
    entity = _bare(chance)
    return TableStep(f"missing table {entity}", lambda side: side.on_missing(entity))


def _entity(chance: Random) -> Entity:
    names = [name for name, kind in KINDS.items() if kind.values and chance.random() < 0.4]
    return {**_bare(chance), **{name: chance.choice(KINDS[name].values) for name in names}}


def _bare(chance: Random) -> Entity:
    return {"PartitionKey": chance.choice(PARTITIONS), "RowKey": chance.choice(ROWS)}


def _select(chance: Random) -> list[str] | None:
    return chance.sample(list(KINDS), 3) if chance.random() < 0.2 else None


def _filter(chance: Random, depth: int = 3) -> str:
    form = chance.choice(("and", "or", "group", "not", "leaf", "leaf", "leaf")) if depth else "leaf"
    match form:
        case "and" | "or":
            return f"{_filter(chance, depth - 1)} {form} {_filter(chance, depth - 1)}"
        case "group":
            return f"({_filter(chance, depth - 1)})"
        case "not":
            return f"not ({_filter(chance, depth - 1)})"
    name = chance.choice(list(KINDS))
    kind = KINDS[name]
    return f"{name} {chance.choice(kind.operators)} {chance.choice(kind.literals)}"


def _key(entity: Mapping[str, Any]) -> tuple[str, str]:
    return entity["PartitionKey"], entity["RowKey"]
