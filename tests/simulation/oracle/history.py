"""The log, sorted into what the rules need."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from xml.sax.saxutils import unescape

from tests.simulation.log import Call, Event, Service
from tests.simulation.oracle.requests import step_tenant, wish_in, wishes_of

NEVER: Final = 10**12
TERMINAL: Final = frozenset({"deleted", "stuck", "refused", "aborted"})
WRITES: Final = frozenset({"PATCH", "POST", "DELETE"})
REQUESTS: Final = "customers-to-delete"
_CUSTOMER: Final = re.compile(r"/v1/customers/([0-9a-fA-F-]{36})")
_ROW: Final = re.compile(r"/(\w+)\(PartitionKey='[^']*',RowKey='([^']*)'\)")
_NOT_A_SANDBOX: Final = frozenset({"800019", "6002"})
_NOT_SUPPORTED: Final = "900127"


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a deletion; `certain` once the response has accepted it.

    `place` is when it was made, `effect` when it wrote a record itself, as HTTP requests do.
    One that wrote a record and then died or failed is `accepted` too, although nobody can tell.
    """

    tenant: str
    place: int
    effect: int
    at: float
    source: str
    certain: bool
    accepted: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Something that forbids writes from one place in the log to another."""

    kind: str
    tenant: str
    place: int
    at: float
    until: int


@dataclass(frozen=True, slots=True)
class RecordState:
    """A deletion record as a write left it."""

    tenant: str
    state: str
    place: int
    until: int
    at: float
    run: str
    reason: str
    before: str
    generation: int = 0
    claimed_by: str = ""
    correlation: str = ""

    @property
    def live(self) -> bool:
        """Whether the deletion goes on."""
        return self.state not in TERMINAL


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on one of the app's queues, from its sending to its removal."""

    tenant: str
    queue: str
    id: str
    run: str
    place: int
    gone: int
    how: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A process from one start to the next."""

    process: str
    place: int
    settings: Mapping[str, str]

    def number(self, name: str, default: float) -> float:
        """Return a numeric setting."""
        return float(self.settings.get(name) or default)


class History:
    """Everything that the rules need, computed once."""

    def __init__(self, entries: Iterable[Call | Event]) -> None:
        entries = list(entries)
        self.calls = [entry for entry in entries if isinstance(entry, Call)]
        self.events = [entry for entry in entries if isinstance(entry, Event)]

    def named(self, name: str) -> Iterator[Event]:
        """Yield the events of a name."""
        return (event for event in self.events if event.name == name)

    @cached_property
    def runs(self) -> dict[str, list[Call]]:
        """The calls of each run of a function, in the order in which they left."""
        found: defaultdict[str, list[Call]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda each: each.left):
            found[call.run].append(call)
        return found

    @cached_property
    def partner_center(self) -> list[Call]:
        """The calls to Partner Center, in the order in which they left."""
        found = [call for call in self.calls if call.service is Service.PARTNER_CENTER]
        return sorted(found, key=lambda call: call.left)

    @cached_property
    def writes(self) -> list[Call]:
        """The calls to Partner Center that can change something."""
        return [call for call in self.partner_center if call.method in WRITES]

    @cached_property
    def requests(self) -> list[Request]:
        """The deletions that people requested."""
        return [*self._dropped(), *self._posted()]

    def _dropped(self) -> Iterator[Request]:
        for event in self.named("dropped"):
            for wish in wishes_of(event.fact("text")):
                if wish.dry:
                    continue
                yield Request(wish.tenant, event.place, event.place, event.at, "drop", True, True)

    def _posted(self) -> Iterator[Request]:
        responses = {event.run: event for event in self.named("responded")}
        for event in self.named("asked"):
            if (event.fact("method"), event.fact("path")) != ("POST", "/api/deletions"):
                continue
            wish = wish_in(json.loads(event.fact("body")))
            if wish is None or wish.dry:
                continue
            response = responses.get(event.run)
            status = int(response.fact("status")) if response else 0
            certain = status // 100 == 2
            made = [s.place for s in self.records.get(wish.tenant, ()) if s.run == event.run]
            effect = made[-1] if made else event.place
            accepted = certain or (bool(made) and (not status or status >= 500))
            yield Request(wish.tenant, event.place, effect, event.at, "post", certain, accepted)

    @cached_property
    def sweeps(self) -> list[tuple[int, float]]:
        """Where deleting sweeps began, and the minimum age in days of each."""
        found = []
        for event in self.events:
            instance = self.instance(event.process, event.place)
            if instance is None or not _begins_a_sweep(event, instance):
                continue
            found.append((event.place, instance.number("SWEEP_MIN_AGE_DAYS", 7)))
        return found

    @cached_property
    def customers(self) -> dict[str, Event]:
        """The account's own customers, as they really were at the end."""
        return {event.fact("tenant"): event for event in self.named("customer")}

    def may_write(self, tenant: str, since: int, place: int) -> bool:
        """Return whether an accepted request or a sweep came between two places."""
        asked = any(
            each.tenant == tenant and each.accepted and since <= each.effect and each.place < place
            for each in self.requests
        )
        return asked or self.may_sweep(tenant, place, since)

    def may_sweep(self, tenant: str, place: int, since: int = 0) -> bool:
        """Return whether a sweep that may pick this customer had begun since a place."""
        customer = self.customers.get(tenant)
        if customer is None:
            return False
        age = float(customer.fact("age_days") or 0)
        return any(
            since <= begun < place and (not least or age >= least) for begun, least in self.sweeps
        )

    @cached_property
    def records(self) -> dict[str, list[RecordState]]:
        """The states of each customer's record, in order."""
        found: defaultdict[str, list[RecordState]] = defaultdict(list)
        written = [call for call in self.calls if _writes_record(call)]
        for call in sorted(written, key=lambda each: each.served):
            row = json.loads(call.sent)
            tenant = row.get("RowKey") or row_of(call)[1]
            earlier = found[tenant]
            before = ""
            if earlier:
                before = earlier[-1].state
                earlier[-1] = replace(earlier[-1], until=call.served)
            state = RecordState(
                tenant, row["state"], call.served, NEVER, call.served_at, call.run,
                row.get("reason", ""), before, row.get("generation", 0),
                row.get("claimedBy", ""), row.get("correlationId", ""),
            )  # fmt: skip
            earlier.append(state)
        return found

    def record_at(self, tenant: str, place: int) -> RecordState | None:
        """Return a customer's record as it was at a place."""
        states = [each for each in self.records.get(tenant, ()) if each.place < place]
        return states[-1] if states else None

    @cached_property
    def aborts(self) -> list[Stop]:
        """The aborts that were acknowledged; each holds until the next request."""
        asked = {event.run: event for event in self.named("asked")}
        found = []
        for event in self.named("responded"):
            if event.fact("method") != "DELETE" or event.fact("status") != "200":
                continue
            if not event.fact("path").startswith("/api/deletions/"):
                continue
            tenant = event.fact("path").rpartition("/")[2]
            begun = asked[event.run].place
            until = min(
                (
                    each.effect
                    for each in self.requests
                    if each.tenant == tenant and each.effect > begun
                ),
                default=NEVER,
            )
            found.append(Stop("abort", tenant, event.place, event.at, until))
        return found

    @cached_property
    def trips(self) -> list[Stop]:
        """The periods in which the switch is tripped: a trip was stored or acknowledged."""
        return [*self._stored_trips(), *self._acknowledged_trips()]

    def _stored_trips(self) -> list[Stop]:
        found: list[Stop] = []
        for call in sorted(self.calls, key=lambda each: each.served):
            if not _writes(call) or row_of(call) != ("sandbox", "switch"):
                continue
            tripped = json.loads(call.sent)["tripped"]
            is_open = bool(found) and found[-1].until == NEVER
            if tripped and not is_open:
                found.append(Stop("trip", "", call.served, call.served_at, NEVER))
            elif not tripped and is_open:
                found[-1] = replace(found[-1], until=call.served)
        return found

    def _acknowledged_trips(self) -> Iterator[Stop]:
        # A reset applies to the state that it has read.
        resets = [
            call.served
            for call in self.calls
            if row_of(call) == ("sandbox", "switch")
            and call.method == "GET"
            and call.run.startswith("reset_switch")
        ]
        asked = {event.run: event.place for event in self.named("asked")}
        for event in self.named("responded"):
            if (event.fact("method"), event.fact("path")) != ("PUT", "/api/switch"):
                continue
            if event.fact("status") == "200":
                begun = asked[event.run]
                until = min((each for each in resets if each > begun), default=NEVER)
                kind = "erased trip" if self._reset_between(begun, until) else "trip"
                yield Stop(kind, "", event.place, event.at, until)

    def _reset_between(self, start: int, end: int) -> bool:
        """Return whether a reset that was requested earlier was stored between two places."""
        return any(
            _writes(call)
            and row_of(call) == ("sandbox", "switch")
            and start < call.served < end
            and not json.loads(call.sent)["tripped"]
            for call in self.calls
        )

    @cached_property
    def messages(self) -> list[Sent]:
        """The messages about customers, without those on poison queues."""
        gone = {
            event.fact("id"): (event.place, event.name)
            for event in self.events
            if event.name in {"done", "poisoned"}
        }
        sent = [(each.place, each.run, each.fact("queue"), each.fact("id"), each.fact("text"))
                for each in self.named("dropped")]  # fmt: skip
        sent += [
            (call.served, call.run, found[1], found[2], found[3])
            for call in self.calls
            if (found := _message_in(call)) is not None
        ]
        return [
            Sent(tenant, queue, identifier, run, place, *gone.get(identifier, (NEVER, "")))
            for place, run, queue, identifier, text in sent
            if not queue.endswith("-poison")
            for tenant in _subjects(text)
        ]

    @cached_property
    def instances(self) -> list[Instance]:
        """Every instance of a process, in order."""
        return [
            Instance(event.process, event.place, dict(event.facts))
            for event in self.named("started")
        ]

    def instance(self, process: str, place: int) -> Instance | None:
        """Return the instance of a process that was running at a place."""
        lives = [each for each in self.instances if each.process == process and each.place < place]
        return lives[-1] if lives else None

    @cached_property
    def first_refusal(self) -> Call | None:
        """The first response that says the account is not a sandbox."""
        return next(
            (
                call
                for call in sorted(self.partner_center, key=lambda each: each.returned)
                if call.returned and call.status and call.status >= 400
                and _says_production(call)
            ),
            None,
        )  # fmt: skip

    @cached_property
    def skew(self) -> float:
        """The largest error of a clock, in seconds."""
        return max((abs(each.number("skew", 0)) for each in self.instances), default=0.0)


def stays_tripped(history: History) -> bool:
    """Return whether the switch is tripped when the log ends, or the account is production."""
    return any(stop.until == NEVER for stop in history.trips) or any(history.named("production"))


def function_of(run: str) -> str:
    """Return the function of a run, without its number."""
    return run.partition("#")[0]


def tenant_of(call: Call) -> str:
    """Return the customer that a call to Partner Center concerns, empty if none."""
    found = _CUSTOMER.match(call.path)
    return found[1].lower() if found else ""


def row_of(call: Call) -> tuple[str, str]:
    """Return table and row key of a call to a single row."""
    if call.service is not Service.TABLE:
        return "", ""
    found = _ROW.search(call.path)
    return (found[1], found[2]) if found else ("", "")


def body_of(call: Call) -> Any:
    """Return the JSON that the caller received, None if it is not JSON."""
    try:
        return json.loads(call.received.decode("utf-8-sig"))
    except ValueError:
        return None


def code_of(call: Call) -> str:
    """Return Partner Center's error code, empty if there is none."""
    body = body_of(call)
    return str(body.get("code", "")) if isinstance(body, dict) else ""


def _message_in(call: Call) -> tuple[None, str, str, str] | None:
    """Return queue, ID and text of a message that a call sent."""
    if call.service is not Service.QUEUE or call.method != "POST" or call.served_status != 201:
        return None
    queue = call.path.split("/")[2]
    text = unescape(_between(call.sent.decode(), "<MessageText>", "</MessageText>"))
    return None, queue, _between(call.served_body.decode(), "<MessageId>", "</MessageId>"), text


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def _subjects(text: str) -> list[str]:
    """Return the customers that a message is to delete."""
    tenant = step_tenant(text)
    return [tenant] if tenant else [wish.tenant for wish in wishes_of(text) if not wish.dry]


def _says_production(call: Call) -> bool:
    code = code_of(call)
    return code in _NOT_A_SANDBOX or (call.method == "DELETE" and code == _NOT_SUPPORTED)


def _writes(call: Call) -> bool:
    return (
        call.service is Service.TABLE
        and call.method in {"POST", "PUT", "PATCH", "MERGE"}
        and 200 <= call.served_status < 300
    )


def _writes_record(call: Call) -> bool:
    if not _writes(call):
        return False
    return row_of(call)[0] == "deletions" or call.path.endswith("/deletions")


def _begins_a_sweep(event: Event, instance: Instance) -> bool:
    if event.name == "began" and event.run.startswith("sweep_sandbox"):
        return instance.settings.get("SWEEP_MODE") == "delete"
    return (
        event.name == "asked"
        and event.fact("path") == "/api/sweeps"
        and '"delete"' in event.fact("body")
    )
