"""The log, sorted into what the rules need."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Final

from tests.simulation.log import Call, Event, Service
from tests.simulation.oracle.calls import (
    is_write,
    message_in,
    row_of,
    says_production,
    tenant_of,
    writes_record,
    writes_row,
)
from tests.simulation.oracle.requests import deletions_of, dry_runs_of, wish_in, wishes_of
from tests.simulation.oracle.truth import Truth

NEVER: Final = 10**12
TERMINAL: Final = frozenset({"deleted", "stuck", "refused", "aborted"})
STEPS: Final = frozenset({"cancel_orders", "check_orders", "delete_customer"})
REJECTED: Final = "rejected-"
POISON: Final = "-poison"


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

    def may_follow(self, end: "RecordState | None") -> bool:
        """Return whether this is a drop from the very second of an end that was no abort.

        A queue tells whole seconds, so it starts another deletion.
        """
        if end is None or end.state == "aborted":
            return False
        return self.source == "drop" and int(self.at) >= int(end.at)


@dataclass(frozen=True, slots=True)
class Stop:
    """Something that forbids writes from one place in the log to another."""

    kind: str
    tenant: str
    place: int
    at: float
    until: int
    stored: bool = False


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
class Deletion:
    """One deletion of a customer: the states of its record until the next one begins."""

    states: tuple[RecordState, ...]

    @property
    def begun(self) -> RecordState:
        """Its first state."""
        return self.states[0]

    @property
    def tenant(self) -> str:
        """The customer."""
        return self.begun.tenant

    @property
    def end(self) -> RecordState | None:
        """The state in which it ended, None while it goes on."""
        return next((each for each in self.states if not each.live), None)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on a queue that concerns a deletion, from its sending to its removal."""

    tenant: str
    queue: str
    id: str
    run: str
    place: int
    gone: int
    how: str

    @property
    def poisoned(self) -> bool:
        """Whether it is on a poison queue."""
        return self.queue.endswith(POISON)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that the app has listed as not handled; `text` is the whole message."""

    place: int
    at: float
    id: str
    queue: str
    tenant: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A run of a function that worked on one customer's deletion."""

    run: str
    process: str
    tenant: str
    calls: tuple[Call, ...]

    @property
    def at(self) -> float:
        """When its first call left."""
        return self.calls[0].left_at

    @property
    def until(self) -> float:
        """When its last call returned."""
        return max(each.returned_at for each in self.calls)


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
        return [call for call in self.partner_center if is_write(call)]

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
    def dry_runs(self) -> frozenset[str]:
        """The runs that only showed what a deletion would do."""
        dropped = {
            event.run
            for event in self.named("began")
            if dry_runs_of(self.texts.get(event.fact("id"), ""))
        }
        return frozenset(dropped | {event.run for event in self.asked_dry})

    @cached_property
    def asked_dry(self) -> list[Event]:
        """The dry runs that were requested over HTTP."""
        found = []
        for event in self.named("asked"):
            if (event.fact("method"), event.fact("path")) == ("POST", "/api/deletions"):
                wish = wish_in(json.loads(event.fact("body")))
                if wish is not None and wish.dry:
                    found.append(event)
        return found

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
    def truths(self) -> dict[str, list[Truth]]:
        """What was true of each of the account's own customers, in order."""
        found: defaultdict[str, list[Truth]] = defaultdict(list)
        for event in self.named("customer"):
            found[event.fact("tenant")].append(Truth.of(event))
        return found

    def truth_at(self, tenant: str, place: int) -> Truth | None:
        """Return the last truth about a customer before a place, else the first after it."""
        known = self.truths.get(tenant)
        if not known:
            return None
        return next((each for each in reversed(known) if each.place < place), known[0])

    def may_write(self, tenant: str, since: "RecordState | None", place: int) -> bool:
        """Return whether an accepted request or a sweep came after an end and before a place."""
        begun = since.place if since else 0
        asked = any(
            each.tenant == tenant
            and each.accepted
            and each.place < place
            and (each.effect >= begun or each.may_follow(since))
            for each in self.requests
        )
        return asked or self.may_sweep(tenant, place, begun)

    def may_sweep(self, tenant: str, place: int, since: int = 0) -> bool:
        """Return whether a sweep that may pick this customer had begun since a place."""
        truth = self.truth_at(tenant, NEVER)
        if truth is None:
            return False
        age = truth.age_days or 0
        return any(
            since <= begun < place and (not least or age >= least) for begun, least in self.sweeps
        )

    @cached_property
    def records(self) -> dict[str, list[RecordState]]:
        """The states of each customer's record, in order."""
        found: defaultdict[str, list[RecordState]] = defaultdict(list)
        written = [call for call in self.calls if writes_record(call)]
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

    @cached_property
    def deletions(self) -> list[Deletion]:
        """Every deletion, each with the states of its record."""
        found: list[list[RecordState]] = []
        for states in self.records.values():
            for state in states:
                if not state.before or (state.live and state.before in TERMINAL):
                    found.append([])
                found[-1].append(state)
        return [Deletion(tuple(states)) for states in found]

    @cached_property
    def steps(self) -> dict[str, list[Step]]:
        """The runs that worked on each customer's deletion, in order."""
        found: defaultdict[str, list[Step]] = defaultdict(list)
        for run, calls in self.runs.items():
            tenants = {row[1] for each in calls if (row := row_of(each))[0] == "deletions"}
            tenants |= {tenant for each in calls if (tenant := tenant_of(each))}
            if function_of(run) in STEPS and len(tenants) == 1:
                tenant = tenants.pop()
                found[tenant].append(Step(run, calls[0].process, tenant, tuple(calls)))
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
            if not writes_row(call) or row_of(call) != ("sandbox", "switch"):
                continue
            tripped = json.loads(call.sent)["tripped"]
            is_open = bool(found) and found[-1].until == NEVER
            if tripped and not is_open:
                found.append(Stop("trip", "", call.served, call.served_at, NEVER, stored=True))
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
            writes_row(call)
            and row_of(call) == ("sandbox", "switch")
            and start < call.served < end
            and not json.loads(call.sent)["tripped"]
            for call in self.calls
        )

    @cached_property
    def texts(self) -> dict[str, str]:
        """The texts of all messages, by their IDs."""
        found = {each.fact("id"): each.fact("text") for each in self.named("dropped")}
        found |= {each.fact("copy"): each.fact("text") for each in self.named("poisoned")}
        return found | {sent[1]: sent[2] for call in self.calls if (sent := message_in(call))}

    @cached_property
    def messages(self) -> list[Sent]:
        """The messages that concern a deletion, once for each customer; also on poison queues."""
        gone = {
            event.fact("id"): (event.place, event.name)
            for event in self.events
            if event.name in {"done", "poisoned"}
        }
        return [
            Sent(tenant, queue, identifier, run, place, *gone.get(identifier, (NEVER, "")))
            for place, run, queue, identifier in self._sendings()
            for tenant in deletions_of(self.texts[identifier])
        ]

    def _sendings(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield place, run, queue and ID of each message that was put on a queue."""
        for event in self.named("dropped"):
            yield event.place, event.run, event.fact("queue"), event.fact("id")
        for event in self.named("poisoned"):
            yield event.place, "", event.fact("queue") + POISON, event.fact("copy")
        for call in self.calls:
            if (sent := message_in(call)) is not None:
                yield call.served, call.run, sent[0], sent[1]

    @cached_property
    def rejected(self) -> list[Rejected]:
        """The messages that the app has listed as not handled."""
        return [self._rejected(call) for call in self.calls if _lists_rejected(call)]

    def _rejected(self, call: Call) -> Rejected:
        row = json.loads(call.sent)
        identifier = row["RowKey"].removeprefix(REJECTED)
        text = self.texts.get(identifier, row["body"])
        return Rejected(call.served, call.served_at, identifier, row["queue"], row["tenant"], text)

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
    def deadline(self) -> float:
        """How long a deletion may take, in seconds, without the time for which it was parked."""
        hours = (each.number("DELETION_DEADLINE_HOURS", 24) for each in self.instances)
        return 3600 * min(hours, default=24.0)

    def is_late(self, seconds: float) -> bool:
        """Return whether this many seconds are past the deadline, whichever clocks were used."""
        return seconds >= self.deadline - 2 * self.skew - 5

    @cached_property
    def refusals(self) -> list[Call]:
        """The first response to each instance of a process that the account is not a sandbox."""
        found: dict[int, Call] = {}
        for call in sorted(self.partner_center, key=lambda each: each.returned):
            instance = self.instance(call.process, call.left)
            if call.returned and (call.status or 0) >= 400 and says_production(call):
                found.setdefault(instance.place if instance else 0, call)
        return list(found.values())

    @cached_property
    def resets(self) -> list[int]:
        """Where a reset of the switch was stored."""
        return [
            call.served
            for call in self.calls
            if row_of(call) == ("sandbox", "switch")
            and writes_row(call)
            and not json.loads(call.sent)["tripped"]
        ]

    @cached_property
    def _times(self) -> list[tuple[int, float]]:
        places = [(each.place, each.at) for each in self.events]
        places += [(call.left, call.left_at) for call in self.calls]
        places += [(call.served, call.served_at) for call in self.calls if call.served]
        return sorted(places)

    def time_of(self, place: int) -> float:
        """Return the time at a place in the log."""
        index = bisect_right(self._times, (place, inf))
        return self._times[index - 1][1] if index else 0.0

    @property
    def last(self) -> int:
        """The place at which the run ended, 0 if it goes on or was cut off."""
        return max((event.place for event in self.named("end")), default=0)

    @cached_property
    def end_at(self) -> float:
        """When the last thing happened."""
        times = (*(call.returned_at for call in self.calls), *(each.at for each in self.events))
        return max(times, default=0.0)

    @cached_property
    def skew(self) -> float:
        """The largest error of a clock, in seconds."""
        return max((abs(each.number("skew", 0)) for each in self.instances), default=0.0)

    @cached_property
    def ahead(self) -> float:
        """How far the clock of any process is ahead at most, in seconds."""
        return max((each.number("skew", 0) for each in self.instances), default=0.0)


def _lists_rejected(call: Call) -> bool:
    inserts = writes_row(call) and call.method == "POST" and call.path.endswith("/sandbox")
    return inserts and json.loads(call.sent)["RowKey"].startswith(REJECTED)


def stays_tripped(history: History) -> bool:
    """Return whether the switch is tripped when the log ends, or the account is production."""
    return any(stop.until == NEVER for stop in history.trips) or any(history.named("production"))


def function_of(run: str) -> str:
    """Return the function of a run, without its number."""
    return run.partition("#")[0]


def _begins_a_sweep(event: Event, instance: Instance) -> bool:
    if event.name == "began" and event.run.startswith("sweep_sandbox"):
        return instance.settings.get("SWEEP_MODE") == "delete"
    return (
        event.name == "asked"
        and event.fact("path") == "/api/sweeps"
        and '"delete"' in event.fact("body")
    )
