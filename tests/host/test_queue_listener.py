"""The life of a message: lease, deletion, retries, poison queue."""

import threading
from base64 import b64encode
from collections.abc import Callable
from time import monotonic

import azure.functions as func
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueClient

from tests.host.sample import STORAGE, count, eventually, new_queue, run


def app_with(
    handler: Callable[[func.QueueMessage], object],
    *,
    queue: str = "work",
    data_type: func.DataType | None = None,
) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.function_name(name="handle")
    @app.queue_trigger(arg_name="msg", queue_name=queue, connection=STORAGE, data_type=data_type)
    def handle(msg: func.QueueMessage) -> object:
        return handler(msg)

    return app


class Handler:
    """Records its calls, and fails the first `failures` of them."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.messages: list[QueueMessage] = []
        self.times: list[float] = []

    def __call__(self, message: func.QueueMessage) -> None:
        assert isinstance(message, QueueMessage)
        self.messages.append(message)
        self.times.append(monotonic())
        if len(self.messages) <= self.failures:
            raise ValueError("fails on purpose")

    @property
    def calls(self) -> int:
        return len(self.messages)


def test_a_function_sees_the_message_and_its_properties(storage: str) -> None:
    queue = new_queue(storage, "work")
    sent = queue.send_message("hello")
    handler = Handler()

    with run(app_with(handler), storage):
        eventually(lambda: handler.calls == 1)

    message = handler.messages[0]
    assert message.id == sent.id
    assert message.get_body() == b"hello"
    assert message.dequeue_count == 1
    assert message.insertion_time == sent.inserted_on
    assert message.expiration_time == sent.expires_on
    assert message.time_next_visible > message.insertion_time
    assert message.pop_receipt


def test_a_handled_message_is_deleted(storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")

    with run(app_with(Handler()), storage):
        eventually(lambda: count(queue) == 0)


def test_a_failed_message_comes_back_after_the_visibility_timeout(storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")
    handler = Handler(failures=1)

    with run(app_with(handler), storage, visibilityTimeout="00:00:01"):
        eventually(lambda: handler.calls == 2)
        eventually(lambda: count(queue) == 0)

    first, second = handler.messages
    assert second.id == first.id
    assert second.dequeue_count == 2
    assert handler.times[1] - handler.times[0] >= 0.9


def test_the_last_failure_moves_the_body_to_a_poison_queue_that_is_created(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("<hello>")
    poison = QueueClient.from_connection_string(storage, "work-poison")
    handler = Handler(failures=9)

    with run(app_with(handler), storage, maxDequeueCount=3):
        eventually(lambda: handler.calls == 3)
        eventually(lambda: count(queue) == 0)

    (moved,) = poison.receive_messages()
    assert moved.content == "<hello>"
    assert handler.calls == 3
    assert "moved to work-poison after 3 tries" in caplog.text


def test_a_message_taken_too_often_is_not_tried_again(storage: str) -> None:
    queue = new_queue(storage, "work")
    poison = new_queue(storage, "work-poison")
    queue.send_message("hello")
    message = queue.receive_message()
    assert message is not None
    queue.update_message(message, visibility_timeout=0)
    handler = Handler()

    with run(app_with(handler), storage, maxDequeueCount=1):
        eventually(lambda: count(poison) == 1)
        eventually(lambda: count(queue) == 0)

    assert handler.calls == 0


def test_a_message_of_a_poison_queue_stays_there_and_is_no_longer_tried(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = new_queue(storage, "work-poison")
    queue.send_message("hello")
    handler = Handler(failures=1)

    app = app_with(handler, queue="work-poison")
    with run(app, storage, lease_seconds=1, maxDequeueCount=1):
        eventually(lambda: caplog.text.count("stays invisible") == 2)

    assert handler.calls == 1
    assert count(queue) == 1
    with pytest.raises(ResourceNotFoundError):
        count(QueueClient.from_connection_string(storage, "work-poison-poison"))


def test_a_failed_message_of_a_poison_queue_waits_for_the_end_of_its_lease(storage: str) -> None:
    queue = new_queue(storage, "work-poison")
    queue.send_message("hello")
    handler = Handler(failures=1)

    with run(app_with(handler, queue="work-poison"), storage, lease_seconds=1):
        eventually(lambda: count(queue) == 0)

    assert handler.times[1] - handler.times[0] >= 0.9


def test_a_lease_is_renewed_while_the_function_runs(storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")
    calls: list[int] = []
    done = threading.Event()

    def long(_: func.QueueMessage) -> None:
        calls.append(1)
        done.wait(2.2)

    with run(app_with(long), storage, lease_seconds=1):
        eventually(lambda: count(queue) == 0)

    assert calls == [1]


def test_a_returned_value_is_a_failure(storage: str) -> None:
    new_queue(storage, "work").send_message("hello")
    poison = new_queue(storage, "work-poison")

    with run(app_with(lambda _: "done"), storage, maxDequeueCount=1):
        eventually(lambda: count(poison) == 1)


def test_a_message_deleted_by_its_function_is_not_an_error(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")

    def delete(message: func.QueueMessage) -> None:
        queue.delete_message(str(message.id), message.pop_receipt)

    with run(app_with(delete), storage):
        eventually(lambda: count(queue) == 0)
        queue.send_message("next")
        eventually(lambda: count(queue) == 0)

    assert "could not be completed" not in caplog.text


def test_a_message_that_was_changed_during_its_run_is_not_deleted(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")
    changed = threading.Event()

    def change(message: func.QueueMessage) -> None:
        queue.update_message(str(message.id), message.pop_receipt, visibility_timeout=60)
        changed.set()

    with run(app_with(change), storage):
        assert changed.wait(5)

    assert count(queue) == 1
    assert "could not be completed" not in caplog.text


def test_base64_is_decoded(storage: str) -> None:
    new_queue(storage, "work").send_message(b64encode(b"hello").decode())
    handler = Handler()

    with run(app_with(handler), storage, messageEncoding="base64"):
        eventually(lambda: handler.calls == 1)

    assert handler.messages[0].get_body() == b"hello"


def test_plain_text_where_base64_is_expected_goes_to_the_poison_queue_without_a_call(
    storage: str,
) -> None:
    new_queue(storage, "work").send_message("hello")
    poison = new_queue(storage, "work-poison")
    handler = Handler()

    with run(app_with(handler), storage, messageEncoding="base64"):
        eventually(lambda: count(poison) == 1)

    assert handler.calls == 0


@pytest.mark.parametrize(
    ("body", "message_id", "count_shown"),
    [
        ('{"id": "evil"}', "evil", 1),
        ('{"ID": 7, "DEQUEUECOUNT": 99}', "7", 99),
        ('{"id": "first", "Id": "last", "dequeueCount": "12"}', "last", 12),
        ('{"id": true}', "True", 1),
    ],
)
def test_members_of_a_body_taken_as_text_replace_what_the_queue_says(
    storage: str, body: str, message_id: str, count_shown: int
) -> None:
    new_queue(storage, "work").send_message(body)
    handler = Handler()

    with run(app_with(handler), storage):
        eventually(lambda: handler.calls == 1)

    (message,) = handler.messages
    assert (message.id, message.dequeue_count) == (message_id, count_shown)
    assert message.get_body() == body.encode()


@pytest.mark.parametrize(
    "body",
    [
        '{"id": null, "dequeueCount": null}',
        '{"id": ["evil"], "insertionTime": {"at": 1}}',
        '["id"]',
        '\ufeff{"id": "evil"}',
        '{"id": "evil"} and more',
        '{"id": "evil"',
        '{"id": "evil", "deep": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "",
    ],
    ids=["null", "nested", "array", "byte order mark", "more text", "cut off", "deep", "empty"],
)
def test_these_bodies_replace_nothing_even_as_text(storage: str, body: str) -> None:
    sent = new_queue(storage, "work").send_message(body)
    handler = Handler()

    with run(app_with(handler), storage):
        eventually(lambda: handler.calls == 1)

    (message,) = handler.messages
    assert (message.id, message.dequeue_count) == (sent.id, 1)
    assert message.insertion_time == sent.inserted_on


UNREADABLE_AS_TEXT = {
    "ISO 8601": '{"insertionTime": "2026-11-28T06:00:00Z"}',
    "number": '{"EXPIRATIONTIME": 5}',
    "word": '{"expirationTime": "tomorrow"}',
    "count": '{"dequeueCount": "many"}',
}


@pytest.mark.parametrize("body", UNREADABLE_AS_TEXT.values(), ids=UNREADABLE_AS_TEXT)
def test_a_body_whose_members_cannot_be_read_never_reaches_a_function_that_takes_text(
    storage: str, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    queue, poison = new_queue(storage, "work"), new_queue(storage, "work-poison")
    queue.send_message(body)
    handler, poison_handler = Handler(), Handler()

    with run(app_with(handler), storage, maxDequeueCount=2):
        eventually(lambda: count(queue) == 0)
    with run(app_with(poison_handler, queue="work-poison"), storage, lease_seconds=1):
        eventually(lambda: caplog.text.count("stays invisible") == 2)

    assert (handler.calls, poison_handler.calls) == (0, 0)
    assert count(poison) == 1


@pytest.mark.parametrize(
    "body", ['{"id": "evil"}', *UNREADABLE_AS_TEXT.values()], ids=["id", *UNREADABLE_AS_TEXT]
)
@pytest.mark.parametrize("queue", ["work", "work-poison"])
def test_a_function_that_takes_bytes_gets_every_body_with_what_the_queue_says(
    storage: str, queue: str, body: str
) -> None:
    sent = new_queue(storage, queue).send_message(body)
    handler = Handler()

    with run(app_with(handler, queue=queue, data_type=func.DataType.BINARY), storage):
        eventually(lambda: handler.calls == 1)

    (message,) = handler.messages
    assert (message.id, message.dequeue_count) == (sent.id, 1)
    assert (message.insertion_time, message.expiration_time) == (sent.inserted_on, sent.expires_on)
    assert message.get_body() == body.encode()


@pytest.mark.parametrize(
    ("data_type", "calls"), [(func.DataType.BINARY, 1), (func.DataType.STRING, 0), (None, 0)]
)
def test_bytes_that_are_not_utf_8_reach_only_a_function_that_takes_bytes(
    storage: str, data_type: func.DataType | None, calls: int
) -> None:
    queue = new_queue(storage, "work")
    queue.send_message(b64encode(b"\xff\xfe bad").decode())
    handler = Handler()

    app = app_with(handler, data_type=data_type)
    with run(app, storage, messageEncoding="base64", maxDequeueCount=1):
        eventually(lambda: count(queue) == 0)

    assert handler.calls == calls


def test_no_more_run_at_once_than_batch_and_threshold_allow(storage: str) -> None:
    queue = new_queue(storage, "work")
    for number in range(9):
        queue.send_message(str(number))
    running: list[object] = []
    most: list[int] = []
    released = threading.Semaphore(0)

    def hold(message: func.QueueMessage) -> None:
        running.append(message)
        most.append(len(running))
        assert released.acquire(timeout=5)
        running.remove(message)

    threads = {"PYTHON_THREADPOOL_THREAD_COUNT": "9"}
    with run(app_with(hold), storage, settings=threads, batchSize=2, newBatchThreshold=1):
        eventually(lambda: len(running) == 2)
        released.release()
        eventually(lambda: len(running) == 3)
        released.release(8)
        eventually(lambda: count(queue) == 0)

    assert max(most) == 3


def test_a_queue_that_does_not_exist_yet_is_waited_for(storage: str) -> None:
    handler = Handler()

    with run(app_with(handler), storage):
        new_queue(storage, "work").send_message("hello")
        eventually(lambda: handler.calls == 1)


def test_stopping_lets_a_running_function_finish(storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")
    begun = threading.Event()

    def slow(_: func.QueueMessage) -> None:
        begun.set()
        threading.Event().wait(0.3)

    with run(app_with(slow), storage):
        assert begun.wait(5)

    assert count(queue) == 0


def test_a_function_that_outlives_its_grace_loses_its_lease(storage: str) -> None:
    queue = new_queue(storage, "work")
    queue.send_message("hello")
    begun, done = threading.Event(), threading.Event()

    def stuck(_: func.QueueMessage) -> None:
        begun.set()
        done.wait(30)

    with run(app_with(stuck), storage, lease_seconds=1, grace_seconds=0.1):
        assert begun.wait(5)

    eventually(lambda: queue.peek_messages() != [])
    done.set()


def test_one_function_does_not_stop_another(storage: str) -> None:
    first, second = new_queue(storage, "first"), new_queue(storage, "second")
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="first", connection=STORAGE)
    def fail(msg: func.QueueMessage) -> None:
        raise ValueError(msg)

    @app.queue_trigger(arg_name="msg", queue_name="second", connection=STORAGE)
    def work(msg: func.QueueMessage) -> None:
        assert msg.get_body() == b"hello"

    with run(app, storage, visibilityTimeout="00:00:20"):
        first.send_message("hello")
        second.send_message("hello")
        eventually(lambda: count(second) == 0)
