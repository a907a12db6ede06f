"""Random steps on queues, which run the same way on both sides."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from azure.storage.queue import QueueMessage

from tests.simulation.storage.sides import Roles, Side, outcome

QUEUE: Final = "messages-here"
NEVER_A_RECEIPT: Final = "AAAA+/=="
NEVER_AN_ID: Final = "00000000-0000-4000-8000-000000000000"
TEXTS: Final = ("plain", "", " ", '{"tenant": "ü"}', "<a href='x'>&amp;\n\t ]]>", "x" * 65_536)
LATER: Final = 3600
HIDDEN: Final = (None, 0, 0, LATER)
SOON: Final = timedelta(minutes=1)
END_OF_TIME: Final = 9999


class QueueSide:
    """Runs steps on one side and returns their outcomes."""

    def __init__(self, side: Side) -> None:
        self._now = side.now
        self._wait = side.wait
        self._service = side.queues
        self._service.create_queue(QUEUE)
        self._queue = self._service.get_queue_client(QUEUE)
        self._missing = self._service.get_queue_client("missing")
        self._ids: list[str] = []
        self._receipts = Roles()

    def send(self, text: str, hidden: int | None, lifetime: int | None) -> object:
        sent = self._queue.send_message(text, visibility_timeout=hidden, time_to_live=lifetime)
        self._ids.append(sent.id)
        return self._seen(sent)

    def receive(self, count: int, hidden: int | None) -> object:
        pages = self._queue.receive_messages(
            messages_per_page=count, visibility_timeout=hidden
        ).by_page()
        return [self._seen(message) for message in next(pages, ())]

    def peek(self, count: int) -> object:
        return [self._seen(message) for message in self._queue.peek_messages(count)]

    def update(self, which: int, role: str, hidden: int, text: str | None) -> object:
        message_id, receipt = self._message(which, role)
        changed = self._queue.update_message(
            message_id, receipt, content=text, visibility_timeout=hidden
        )
        return self._receipts.notice(message_id, changed.pop_receipt), self._later(
            changed.next_visible_on
        )

    def delete(self, which: int, role: str) -> None:
        self._queue.delete_message(*self._message(which, role))

    def lapse(self) -> None:
        """Let a second pass, and a little more."""
        self._wait(1.2)

    def clear(self) -> None:
        self._queue.clear_messages()

    def count(self) -> int | None:
        return self._queue.get_queue_properties().approximate_message_count

    def create(self, name: str) -> None:
        self._service.create_queue(name)

    def list_queues(self) -> list[str]:
        return [queue.name for queue in self._service.list_queues()]

    def on_missing(self) -> object:
        queue = self._missing
        calls: tuple[Callable[[], object], ...] = (
            lambda: queue.send_message("text"),
            queue.receive_message,
            queue.peek_messages,
            lambda: queue.update_message(NEVER_AN_ID, NEVER_A_RECEIPT, visibility_timeout=0),
            lambda: queue.delete_message(NEVER_AN_ID, NEVER_A_RECEIPT),
            queue.clear_messages,
            queue.get_queue_properties,
            queue.delete_queue,
        )
        return [outcome(call) for call in calls]

    def _message(self, which: int, role: str) -> tuple[str, str]:
        """Return the ID and a receipt of a message, counted from the last one sent."""
        message_id = self._ids[-which] if 0 < which <= len(self._ids) else NEVER_AN_ID
        return message_id, self._receipts.recall(message_id, role, NEVER_A_RECEIPT)

    def _seen(self, message: QueueMessage) -> object:
        return (
            self._ids.index(message.id),
            message.content,
            message.dequeue_count,
            self._receipts.notice(message.id, message.pop_receipt),
            self._later(message.next_visible_on),
            _lifetime(message),
        )

    def _later(self, moment: datetime | None) -> bool | None:
        return moment - self._now() > SOON if moment else None


@dataclass(frozen=True)
class QueueStep:
    """A step and its description."""

    text: str
    run: Callable[[QueueSide], object]


def queue_steps(chance: Random, count: int, lapses: int) -> Iterator[QueueStep]:
    """Yield this many random steps, and among them this many in which short leases end."""
    lapse_at = set(chance.sample(range(count), lapses))
    makers = {
        _send: 8,
        _receive: 6,
        _peek: 2,
        _update: 9,
        _delete: 4,
        _whole_queue: 2,
        _out_of_range: 4,
    }
    for number, maker in enumerate(chance.choices(list(makers), list(makers.values()), k=count)):
        if number in lapse_at:
            yield _lapse(chance)
        yield maker(chance)


def _send(chance: Random) -> QueueStep:
    text, hidden = _text(chance), chance.choice(HIDDEN)
    lifetime = chance.choice((None, -1, 2 * LATER))
    return QueueStep(
        f"send {text[:20]!r} {hidden} {lifetime}", lambda side: side.send(text, hidden, lifetime)
    )


def _receive(chance: Random) -> QueueStep:
    count, hidden = chance.randint(1, 4), chance.choice((None, LATER))
    return QueueStep(f"receive {count} {hidden}", lambda side: side.receive(count, hidden))


def _lapse(chance: Random) -> QueueStep:
    """Hide messages for a second, let it pass, and use a receipt from before.

    Nothing else happens in that second, so that it does not matter how fast a side is.
    """
    count, which, text = chance.randint(1, 3), chance.randint(1, 6), _text(chance)
    again, late = chance.random() < 0.5, chance.choice(("current", "stale"))

    def run(side: QueueSide) -> object:
        steps: tuple[Callable[[], object], ...] = (
            lambda: side.receive(count, 1),
            lambda: side.update(which, "current", 1, None),
            lambda: side.send(text, 1, None),
            side.lapse,
            lambda: side.peek(5),
            lambda: side.receive(count, LATER) if again else None,
            lambda: side.update(which, late, 0, text),
            lambda: side.delete(which, "stale"),
        )
        return [outcome(step) for step in steps]

    return QueueStep(f"let {count} leases end, then {late} of {which}", run)


def _peek(chance: Random) -> QueueStep:
    count = chance.choice((1, 3, 32))
    return QueueStep(f"peek {count}", lambda side: side.peek(count))


def _update(chance: Random) -> QueueStep:
    which, role = _which(chance), _role(chance)
    hidden, text = chance.choice((0, 0, LATER)), chance.choice((None, _text(chance)))
    return QueueStep(
        f"update {which} {role} {hidden} {text and text[:20]!r}",
        lambda side: side.update(which, role, hidden, text),
    )


def _delete(chance: Random) -> QueueStep:
    which, role = _which(chance), _role(chance)
    return QueueStep(f"delete {which} {role}", lambda side: side.delete(which, role))


def _whole_queue(chance: Random) -> QueueStep:
    name = chance.choice((QUEUE, "other-queue"))
    steps: tuple[tuple[str, Callable[[QueueSide], object], int], ...] = (
        ("clear", QueueSide.clear, 1),
        ("count", QueueSide.count, 5),
        ("list", QueueSide.list_queues, 3),
        (f"create {name}", lambda side: side.create(name), 3),
        ("missing queue", QueueSide.on_missing, 3),
    )
    text, run, _ = chance.choices(steps, [weight for _, _, weight in steps])[0]
    return QueueStep(text, run)


def _out_of_range(chance: Random) -> QueueStep:
    steps: tuple[tuple[str, Callable[[QueueSide], Any]], ...] = (
        ("send hidden for over 7 days", lambda side: side.send("text", 604_801, -1)),
        ("send hidden as long as it lives", lambda side: side.send("text", 60, 60)),
        ("send without life", lambda side: side.send("text", None, 0)),
        ("send over 64 KiB", lambda side: side.send("ü" * 32_769, None, None)),
        ("receive hidden for 0 s", lambda side: side.receive(1, 0)),
        ("receive 33", lambda side: side.receive(33, LATER)),
        ("peek 33", lambda side: side.peek(33)),
        ("update for over 7 days", lambda side: side.update(1, "current", 604_801, None)),
        ("create Bad_Name", lambda side: side.create("Bad_Name")),
        ("create ab", lambda side: side.create("ab")),
        ("create two--hyphens", lambda side: side.create("two--hyphens")),
    )
    return QueueStep(*chance.choice(steps))


def _text(chance: Random) -> str:
    return chance.choices(TEXTS, (8, 2, 2, 8, 8, 1))[0]


def _which(chance: Random) -> int:
    return chance.randint(0, 6)


def _role(chance: Random) -> str:
    return chance.choice(("current", "current", "current", "stale"))


def _lifetime(message: QueueMessage) -> float | None:
    if message.expires_on is None or message.inserted_on is None:
        return None
    if message.expires_on.year == END_OF_TIME:
        return float("inf")
    return (message.expires_on - message.inserted_on).total_seconds()
