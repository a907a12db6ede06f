"""The table service: its URLs, its JSON and its refusals.

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, Final
from urllib.parse import unquote

from tests.simulation.storage import batches
from tests.simulation.storage.edm import LARGEST_PROPERTY_BYTES, Property, properties_of
from tests.simulation.storage.filters import predicate
from tests.simulation.storage.http import (
    DELETING_SECONDS,
    Refusal,
    Request,
    Response,
    common_headers,
)
from tests.simulation.storage.rows import ANY, Key, Row, Stamps, Table

PAGE: Final = 1000
LARGEST_ENTITY_BYTES: Final = 1_048_576
_JSON: Final = "application/json;odata=minimalmetadata"
_NEXT: Final = "x-ms-continuation-"
_RESOURCE: Final = re.compile(
    r"(?P<table>\w+)(?:\((?:PartitionKey='(?P<partition>(?:[^']|'')*)',"
    r"RowKey='(?P<row>(?:[^']|'')*)'|'(?P<name>\w+)')?\))?"
)
_TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_FORBIDDEN_IN_KEYS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?]")
_WEAK_ETAG: Final = re.compile(r'W/"[^"]*"')


class Tables:
    """The table service of one account."""

    def __init__(self, now: Callable[[], datetime], chance: Random) -> None:
        self._now = now
        self._chance = chance
        self._stamps = Stamps(now)
        self._tables: dict[str, Table] = {}
        self._gone_at: dict[str, datetime] = {}

    def respond(self, request: Request) -> Response:
        """Respond to a request; raises NotModelled for one that the model does not know."""
        headers = common_headers(self._now(), self._chance)
        try:
            response = self._route(request, headers)
        except Refusal as refusal:
            response = _refused(refusal)
        return replace(response, headers={**headers, **response.headers})

    def _route(self, request: Request, headers: dict[str, str]) -> Response:
        path = unquote(request.path())
        if path == "$batch":
            return self._transact(batches.requests_in(request), headers)
        found = _RESOURCE.fullmatch(path)
        if found is None or "comp" in request.query():
            raise request.not_modelled()
        if found["table"] != "Tables":
            return self._operate(self._table(found["table"]), _key(found), request)
        if found["name"] and request.method == "DELETE":
            return self._drop(found["name"])
        match request.method:
            case "POST":
                return self._create(json.loads(request.body)["TableName"])
            case "GET":
                return self._list(request.query())
        raise request.not_modelled()

    def _create(self, name: str) -> Response:
        if not _TABLE_NAME.fullmatch(name):
            message = "The specified resource name contains invalid characters."
            raise Refusal(400, "InvalidResourceName", message)
        self._refuse_while_deleted(name)
        if name.lower() in self._tables:
            raise Refusal(409, "TableAlreadyExists", "The table specified already exists.")
        self._tables[name.lower()] = Table(name, self._stamps)
        return _json(201, {"TableName": name})

    def _list(self, query: Mapping[str, str]) -> Response:
        matches = _predicate(query)
        names = sorted(table.name for table in self._tables.values())
        found = [name for name in names if matches({"TableName": name}.get)]
        return _json(200, {"value": [{"TableName": name} for name in found]})

    def _drop(self, name: str) -> Response:
        self._refuse_while_deleted(name)
        if self._tables.pop(name.lower(), None) is None:
            raise Refusal(404, "ResourceNotFound", "The specified resource does not exist.")
        self._gone_at[name.lower()] = self._now() + timedelta(seconds=DELETING_SECONDS)
        return Response(204, {})

    def _refuse_while_deleted(self, name: str) -> None:
        """Refuse what is asked of a table while it is deleted; Azurite deletes it at once.

        https://learn.microsoft.com/rest/api/storageservices/delete-table
        """
        gone_at = self._gone_at.get(name.lower())
        if gone_at is not None and self._now() < gone_at:
            raise Refusal(409, "TableBeingDeleted", "The specified table is being deleted.")

    def _table(self, name: str) -> Table:
        self._refuse_while_deleted(name)
        table = self._tables.get(name.lower())
        if table is None:
            raise Refusal(404, "TableNotFound", "The table specified does not exist.")
        return table

    def _operate(self, table: Table, key: Key | None, request: Request) -> Response:
        match request.method, key:
            case "GET", None:
                return _page(table, request.query())
            case "POST", None:
                return _insert(table, request)
            case "GET", (_, _):
                row = table.get(key)
                return _json(200, row.document(_selection(request.query())), ETag=row.etag)
            case (("PUT" | "PATCH" | "MERGE"), (_, _)):
                return _write(table, key, request)
            case "DELETE", (_, _):
                table.delete(key, _etag(request) or ANY)
                return Response(204, {})
        raise request.not_modelled()

    def _transact(self, requests: list[Request], headers: dict[str, str]) -> Response:
        if len(requests) > batches.LARGEST:
            message = f"{batches.LARGEST}:The batch request operation exceeds the maximum."
            refusal = _refused(Refusal(400, "InvalidInput", message))
            return batches.batch_response([refusal], headers)
        responses: list[Response] = []
        trial: Table | None = None
        seen: set[Key] = set()
        for index, request in enumerate(requests):
            try:
                found = _RESOURCE.fullmatch(unquote(request.path()))
                if found is None:
                    raise request.not_modelled()
                trial = trial or self._table(found["table"]).copy()
                key = _key(found)
                _refuse_strangers(key or _body_key(_document(request)), seen)
                responses.append(self._operate(trial, key, request))
            except Refusal as refusal:
                refusal.message = f"{index}:{refusal.message}"
                return batches.batch_response([_refused(refusal)], headers)
        if trial:
            self._tables[trial.name.lower()] = trial
        return batches.batch_response(responses, headers)


def _page(table: Table, query: Mapping[str, str]) -> Response:
    size = min(int(query.get("$top", PAGE)), PAGE)
    select = _selection(query)
    start = None
    if "NextPartitionKey" in query:
        start = (_opened(query["NextPartitionKey"]), _opened(query.get("NextRowKey", "")))
    rows = list(islice(table.find(_predicate(query), start), size + 1))
    after: dict[str, str] = {}
    if len(rows) > size:
        partition, row = rows.pop().key
        after = {f"{_NEXT}NextPartitionKey": _sealed(partition), f"{_NEXT}NextRowKey": _sealed(row)}
    return _json(200, {"value": [row.document(select) for row in rows]}, **after)


def _insert(table: Table, request: Request) -> Response:
    document = _document(request)
    row = table.insert(_checked(_body_key(document)), _properties(document))
    # Azurite reports return-content unrequested, so that the client returns the echo too:
    # https://learn.microsoft.com/rest/api/storageservices/setting-the-prefer-header-to-manage-response-echo-on-insert-operations
    applied = {"Preference-Applied": prefer} if (prefer := request.header("Prefer")) else {}
    if prefer == "return-no-content":
        return Response(204, {"ETag": row.etag, **applied})
    return _json(201, row.document(frozenset()), ETag=row.etag, **applied)


def _write(table: Table, key: Key, request: Request) -> Response:
    properties = _properties(_document(request))
    merge = request.method != "PUT"
    row: Row = table.write(_checked(key), properties, merge=merge, etag=_etag(request))
    return Response(204, {"ETag": row.etag})


def _key(found: re.Match[str]) -> Key | None:
    if found["partition"] is None:
        return None
    return found["partition"].replace("''", "'"), found["row"].replace("''", "'")


def _body_key(document: Mapping[str, Any]) -> Key:
    partition, row = document.get("PartitionKey"), document.get("RowKey")
    if not isinstance(partition, str) or not isinstance(row, str):
        message = "The values are not specified for all properties in the entity."
        raise Refusal(400, "PropertiesNeedValue", message)
    return partition, row


def _checked(key: Key) -> Key:
    if any(_FORBIDDEN_IN_KEYS.search(part) for part in key):
        raise Refusal(400, "InvalidInput", "A key holds a character that keys cannot hold.")
    return key


def _refuse_strangers(key: Key, seen: set[Key]) -> None:
    """Refuse what one batch cannot hold: a row twice, or another partition."""
    if key in seen:
        message = f"A command with RowKey '{key[1]}' is already present in the batch."
        raise Refusal(400, "InvalidDuplicateRow", message)
    if any(partition != key[0] for partition, _ in seen):
        message = "All commands in a batch must operate on same entity group."
        raise Refusal(400, "CommandsInBatchActOnDifferentPartitions", message)
    seen.add(key)


def _document(request: Request) -> dict[str, Any]:
    if len(request.body) > LARGEST_ENTITY_BYTES:
        message = "The entity is larger than the maximum allowed size (1MB)."
        raise Refusal(400, "EntityTooLarge", message)
    document: dict[str, Any] = json.loads(request.body)
    return document


def _properties(document: Mapping[str, Any]) -> dict[str, Property]:
    try:
        properties = properties_of(document)
    except ValueError as error:
        raise Refusal(400, "InvalidInput", f"A property cannot be read: {error}.") from error
    if any(each.size() > LARGEST_PROPERTY_BYTES for each in properties.values()):
        message = "The property value exceeds the maximum allowed size (64KB)."
        raise Refusal(400, "PropertyValueTooLarge", message)
    return properties


def _etag(request: Request) -> str | None:
    etag = request.header("If-Match")
    if etag and etag != ANY and not _WEAK_ETAG.fullmatch(etag):
        raise Refusal(400, "InvalidInput", f"The etag value {etag} is not valid.")
    return etag


def _selection(query: Mapping[str, str]) -> frozenset[str]:
    names = (name.strip() for name in query.get("$select", "").split(","))
    return frozenset(name for name in names if name)


def _predicate(query: Mapping[str, str]) -> Callable[[Callable[[str], Any]], bool]:
    text = query.get("$filter")
    if not text:
        return lambda _: True
    try:
        return predicate(text)
    except ValueError as error:
        raise Refusal(400, "InvalidInput", f"The query condition is invalid: {error}.") from error


def _sealed(text: str) -> str:
    return "1!" + urlsafe_b64encode(text.encode()).decode()


def _opened(token: str) -> str:
    return urlsafe_b64decode(token.removeprefix("1!")).decode()


def _json(status: int, document: Mapping[str, Any], **headers: str) -> Response:
    return Response(status, {"Content-Type": _JSON, **headers}, json.dumps(document).encode())


def _refused(refusal: Refusal) -> Response:
    message = {"lang": "en-US", "value": refusal.message}
    error = {"odata.error": {"code": refusal.code, "message": message}}
    return _json(refusal.status, error, **{"x-ms-error-code": refusal.code})
