"""The storage model responds like Azurite, and like the documented Azure where they differ."""

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError
from azure.data.tables import TableClient, UpdateMode
from azure.storage.queue import QueueClient

from tests.simulation.storage import NotModelled, Request, Response, Storage
from tests.simulation.storage.queue_steps import QueueSide, queue_steps
from tests.simulation.storage.sides import START, Failure, Side, outcome
from tests.simulation.storage.table_steps import TableSide, table_steps

STEPS: Final = 300
SEEDS: Final = range(3)
LAPSES: Final = 4
STORY: Final = 12
WEEK: Final = timedelta(days=7).total_seconds()
TABLE_FAILURES: Final = {
    "EntityAlreadyExists",
    "InvalidDuplicateRow",
    "InvalidInput",
    "ResourceNotFound",
    "TableAlreadyExists",
    "TableNotFound",
    "UpdateConditionNotSatisfied",
}
QUEUE_FAILURES: Final = {
    "InvalidQueryParameterValue",
    "InvalidResourceName",
    "MessageNotFound",
    "OutOfRangeInput",
    "OutOfRangeQueryParameterValue",
    "PopReceiptMismatch",
    "QueueNotFound",
    "RequestBodyTooLarge",
}


@pytest.fixture(params=["model", "azurite"])
def side(request: pytest.FixtureRequest, storage: str) -> Side:
    """Give an empty account of the model, and one of Azurite: both must pass."""
    return Side.model() if request.param == "model" else Side.azurite(storage)


@pytest.fixture
def table(side: Side) -> TableClient:
    return side.tables.create_table("rows")


@pytest.fixture
def queue(side: Side) -> QueueClient:
    return side.queues.create_queue("messages-here")


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_respond_as_azurite_does(seed: int, storage: str) -> None:
    steps = table_steps(Random(seed), STEPS)
    failures = compare(steps, TableSide(Side.model()), TableSide(Side.azurite(storage)))
    assert failures >= TABLE_FAILURES, "the steps do not reach every refusal; change the seeds"


@pytest.mark.parametrize("seed", SEEDS)
def test_queues_respond_as_azurite_does(seed: int, storage: str) -> None:
    steps = queue_steps(Random(seed), STEPS, LAPSES)
    failures = compare(steps, QueueSide(Side.model()), QueueSide(Side.azurite(storage)))
    assert failures >= QUEUE_FAILURES, "the steps do not reach every refusal; change the seeds"


def test_a_lease_that_ends_gives_the_message_to_another_and_makes_its_receipt_stale(
    side: Side, queue: QueueClient
) -> None:
    queue.send_message("text")
    first = queue.receive_message(visibility_timeout=1)
    assert first is not None
    assert queue.receive_message() is None
    side.wait(1.1)
    second = queue.receive_message(visibility_timeout=60)
    assert second is not None
    assert (second.id, second.dequeue_count) == (first.id, 2)
    for late in (queue.delete_message, queue.update_message):
        with pytest.raises(HttpResponseError) as refused:
            late(first.id, first.pop_receipt)
        assert code(refused.value) == "PopReceiptMismatch"
    queue.delete_message(second)
    assert queue.get_queue_properties().approximate_message_count == 0


def test_a_message_that_was_never_taken_is_deleted_with_the_receipt_of_its_sending(
    queue: QueueClient,
) -> None:
    sent = queue.send_message("text")
    queue.delete_message(sent)
    assert queue.peek_messages() == []


def test_a_query_of_more_than_1000_rows_goes_on_from_page_to_page(table: TableClient) -> None:
    names = [f"{number:04}" for number in range(1001)]
    for start in range(0, len(names), 100):
        table.submit_transaction(
            [("create", row(name)) for name in reversed(names[start : start + 100])]
        )
    pages = [list(page) for page in table.query_entities("PartitionKey eq 'p'").by_page()]
    assert [len(page) for page in pages] == [1000, 1]
    assert [entity["RowKey"] for page in pages for entity in page] == names


def test_a_page_goes_on_where_a_row_of_its_start_was_deleted(table: TableClient) -> None:
    for name in "abcd":
        table.create_entity(row(name))
    pages = table.query_entities("PartitionKey eq 'p'", results_per_page=2).by_page()
    assert [entity["RowKey"] for entity in next(pages)] == ["a", "b"]
    table.delete_entity("p", "c")
    table.delete_entity("p", "a")
    assert [entity["RowKey"] for entity in next(pages)] == ["d"]


def test_a_string_property_holds_32768_characters(table: TableClient) -> None:
    table.create_entity({**row("fits"), "text": "ü" * 32_768})
    with pytest.raises(HttpResponseError) as refused:
        table.upsert_entity({**row("over"), "text": "x" * 32_769})
    assert code(refused.value) == "PropertyValueTooLarge"


def test_of_two_writers_with_one_etag_the_second_is_refused(table: TableClient) -> None:
    etag = table.create_entity(row("a"))["etag"]
    condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    table.update_entity({**row("a"), "by": "first"}, UpdateMode.REPLACE, **condition)
    with pytest.raises(ResourceModifiedError):
        table.update_entity({**row("a"), "by": "second"}, UpdateMode.REPLACE, **condition)
    assert table.get_entity("p", "a")["by"] == "first"


def test_a_message_is_gone_when_its_life_ends() -> None:
    side = Side.model()
    queue = side.queues.create_queue("messages-here")
    sent = queue.send_message("a week", time_to_live=None)
    queue.send_message("for ever", time_to_live=-1)
    side.wait(WEEK)
    assert [message.content for message in queue.peek_messages(2)] == ["for ever"]
    assert queue.get_queue_properties().approximate_message_count == 1
    with pytest.raises(HttpResponseError) as refused:
        queue.delete_message(sent)
    assert code(refused.value) == "MessageNotFound"


def test_a_message_is_not_hidden_beyond_its_life_unlike_on_azurite() -> None:
    queue = Side.model().queues.create_queue("messages-here")
    with pytest.raises(HttpResponseError) as refused:
        queue.send_message("text", visibility_timeout=int(WEEK))
    assert code(refused.value) == "InvalidQueryParameterValue"
    sent = queue.send_message("text", time_to_live=60)
    with pytest.raises(HttpResponseError) as refused:
        queue.update_message(sent, visibility_timeout=61)
    assert code(refused.value) == "InvalidQueryParameterValue"


def test_a_name_is_taken_for_40_seconds_after_a_deletion_unlike_on_azurite() -> None:
    side = Side.model()
    for create, delete in (
        (side.tables.create_table, side.tables.delete_table),
        (side.queues.create_queue, side.queues.delete_queue),
    ):
        create("deleted")
        delete("deleted")
        with pytest.raises(HttpResponseError, match="is being deleted"):
            create("deleted")
        side.wait(40)
        create("deleted")


def test_the_echo_of_an_insert_is_not_announced_unasked_unlike_on_azurite() -> None:
    written = Side.model().tables.create_table("rows").create_entity(row("a"))
    assert "preference_applied" not in written


def test_two_writes_at_one_instant_have_two_etags() -> None:
    storage = still_storage(seed=1)
    storage.respond(table_request("Tables", b'{"TableName": "rows"}'))
    bodies = [b'{"PartitionKey": "p", "RowKey": "%d"}' % number for number in range(3)]
    etags = {storage.respond(table_request("rows", body)).headers["ETag"] for body in bodies}
    assert len(etags) == len(bodies)


def test_one_seed_gives_the_same_responses_every_time() -> None:
    def responses(seed: int) -> list[Response]:
        storage = still_storage(seed)
        body = b"<QueueMessage><MessageText>text</MessageText></QueueMessage>"
        requests = [
            queue_request("PUT", "messages-here"),
            queue_request("POST", "messages-here/messages", body),
            queue_request("GET", "messages-here/messages"),
        ]
        return [storage.respond(each) for each in requests]

    assert responses(1) == responses(1)
    assert responses(1) != responses(2)


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.sim:10001/devstoreaccount1/queue?comp=acl",
        "http://storage.sim:10002/devstoreaccount1/table?comp=acl",
        "http://storage.sim:10000/devstoreaccount1/container",
    ],
)
def test_a_request_that_the_model_does_not_know_is_an_error_of_the_test(url: str) -> None:
    with pytest.raises(NotModelled, match="knows no PUT"):
        still_storage(seed=1).respond(Request("PUT", url, {}, b""))


def compare(steps: Iterable[Any], model: Any, azurite: Any) -> set[str]:
    """Run steps on both sides; return the error codes that occurred."""
    steps_run: list[str] = []
    met: set[str] = set()
    for number, step in enumerate(steps):
        steps_run.append(f"{number}: {step.text}")
        expected = outcome(lambda: step.run(azurite))  # noqa: B023 - called at once
        actual = outcome(lambda: step.run(model))  # noqa: B023 - called at once
        story = "\n".join(steps_run[-STORY:])
        assert actual == expected, f"model: {actual}\nAzurite: {expected}\nafter\n{story}"
        met |= codes(expected)
    return met


def codes(result: object) -> set[str]:
    if isinstance(result, Failure):
        return {result.code or ""}
    return set().union(*map(codes, result)) if isinstance(result, list | tuple) else set()


def code(error: HttpResponseError) -> str | None:
    return Failure.of(error).code


def row(name: str) -> dict[str, Any]:
    return {"PartitionKey": "p", "RowKey": name}


def still_storage(seed: int) -> Storage:
    """Give an empty account with a stopped clock."""
    return Storage(lambda: START, Random(seed))


def table_request(path: str, body: bytes) -> Request:
    return Request("POST", f"http://storage.sim:10002/devstoreaccount1/{path}", {}, body)


def queue_request(method: str, path: str, body: bytes = b"") -> Request:
    return Request(method, f"http://storage.sim:10001/devstoreaccount1/{path}", {}, body)
