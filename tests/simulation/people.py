"""What people do and what happens to the account; the seed decides when, and to which customer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from local.simulator import Customer, ProductKind
from tests.simulation.faults import Kind
from tests.simulation.host import identifier
from tests.simulation.log import Service
from tests.simulation.scenario import Span, buy, drop_text, dry_run_text, junk, several_text, span

if TYPE_CHECKING:
    from tests.simulation.host import Process
    from tests.simulation.run import Simulation

REQUESTS: Final = "customers-to-delete"
_CALLS_OF_A_SWEEP: Final = 15
_DURING_SWEEP: Final = 0.3
_SPARES_HOST: Final = 0.3
_DRY_OF_SEVERAL: Final = 0.15
_AWAY: Final = {
    Kind.STORAGE_AWAY: (Service.QUEUE, Service.TABLE),
    Kind.PARTNER_CENTER_AWAY: (Service.PARTNER_CENTER,),
    Kind.SIGN_IN_REFUSED: (Service.SIGN_IN,),
    Kind.THROTTLING: (Service.PARTNER_CENTER,),
}

Act = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that lasts; `of` names the services or processes that it takes away."""

    kind: Kind
    of: str
    begin: Act
    end: Act


class People:
    """The users and operators of one run."""

    def __init__(self, world: "Simulation", stream: Random) -> None:
        self._world = world
        self._stream = stream
        self._sweeping = False
        self._during_sweep: list[tuple[int, Act]] = []

    def plan(self) -> None:
        """Plan who does what, and when."""
        for customer in self._world.scenario.customers:
            self._request(customer.tenant_id)
        if self._stream.random() < 0.15:
            self._request(self._stream.choice(self._world.scenario.strangers))
        present = [kind for kind in self._happenings() if self._world.faults.has(kind)]
        self._sweeping = Kind.SWEEP in present
        for kind in present:
            self._happenings()[kind](self._world.faults.streams[kind])

    def _happenings(self) -> dict[Kind, Callable[[Random], None]]:
        return {
            Kind.ABORT: self._aborts,
            Kind.TRIP: self._trips,
            Kind.JUNK: self._junk,
            Kind.DRY_RUN: self._dry_run,
            Kind.SWEEP: self._sweep,
            Kind.REPEATED_REQUEST: self._repeat,
            Kind.SEVERAL: self._several,
            Kind.RESTART_PROTECTED: self._protect,
            Kind.PRODUCTION: self._production,
            Kind.DELETED_ELSEWHERE: self._delete_elsewhere,
            Kind.LATE_ORDER: self._late_order,
            **{kind: partial(self._outage, kind) for kind in _AWAY},
            Kind.DOWN: self._down,
        }

    def _sometime(self, stream: Random, act: Act) -> None:
        """Let something happen soon, while a sweep runs, or at any time up to the deadlines."""
        calls, during = stream.randint(0, _CALLS_OF_A_SWEEP), stream.random() < _DURING_SWEEP
        if self._sweeping and during:
            self._during_sweep.append((calls, act))
        else:
            self._soon_or_late(stream, act)

    def _soon_or_late(self, stream: Random, act: Act) -> None:
        """Mostly at a call early in a deletion, where the races are."""
        world, deadline = self._world, self._world.scenario.deadline
        choice = stream.random()
        if choice < 0.65:
            world.agenda.add(stream.randint(1, 110), act)
        elif choice < 0.75:
            world.agenda.add(stream.randint(110, 500), act)
        elif choice < 0.85:
            world.later(stream.uniform(0, 600), act)
        elif choice < 0.93:
            world.later(stream.uniform(0, deadline), act)
        else:
            world.later(deadline + stream.uniform(-300, 300), act)

    def _tenant(self, stream: Random) -> str:
        return stream.choice(self._world.scenario.customers).tenant_id

    def _request(self, tenant: str) -> None:
        stream = self._stream
        moment = stream.uniform(0, 20)
        if stream.random() < 0.6:
            text = drop_text(stream, tenant)
            self._world.later(moment, lambda: self._drop(text))
        else:
            self._world.later(moment, lambda: self._post(stream, tenant))

    def _drop(self, text: str) -> None:
        """Put a message on the queue, once it can be reached."""
        world = self._world
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"
        response = world.around.queue("POST", f"{REQUESTS}/messages", body.encode())
        if response is None:
            world.later(30, lambda: self._drop(text))
            return
        facts = {"queue": REQUESTS, "text": text, "id": identifier(response)}
        world.log.note(world.clock.now, "dropped", **facts)
        world.around.announce(REQUESTS, world.clock.now)

    def _post(self, stream: Random, tenant: str, *, dry: bool = False) -> None:
        body: dict[str, object] = {"tenantId": tenant, "requestedBy": "somebody"}
        if dry:
            body["dryRun"] = True
        self._ask(stream, "POST", "deletions", body=body)

    def _ask(self, stream: Random, method: str, route: str, **request: object) -> None:
        alive = [each for each in self._world.processes if each.alive]
        if alive:
            process: Process = stream.choice(alive)
            process.request(method, route, **request)  # type: ignore[arg-type]
        else:
            self._world.later(20, lambda: self._ask(stream, method, route, **request))

    def _aborts(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            tenant = self._tenant(stream)
            self._sometime(stream, lambda tenant=tenant: self._abort(stream, tenant))  # type: ignore[misc]

    def _abort(self, stream: Random, tenant: str) -> None:
        self._ask(stream, "DELETE", "deletions/{tenantId}", tenant=tenant, requestedBy="somebody")

    def _trips(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            pause = stream.uniform(1, 60) if stream.random() < 0.4 else stream.uniform(60, 1500)
            # One person trips it again while another resets it.
            again = pause + stream.uniform(-0.1, 0.1) if stream.random() < 0.3 else None
            self._sometime(stream, lambda p=pause, a=again: self._trip(stream, p, a))  # type: ignore[misc]

    def _trip(self, stream: Random, pause: float, again: float | None = None) -> None:
        body = {"requestedBy": "somebody", "reason": "to be safe"}
        self._ask(stream, "PUT", "switch", body=body)
        self._world.later(pause, lambda: self._reset(stream))
        if again is not None:
            self._world.later(again, lambda: self._trip(stream, pause))

    def _reset(self, stream: Random) -> None:
        """Reset the switch, unless the account has turned out to be production."""
        if self._world.sandbox.account.sandbox:
            self._ask(stream, "DELETE", "switch", requestedBy="somebody", reason="all is well")

    def _junk(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 2))):
            customers = [*(c.tenant_id for c in self._world.scenario.customers)]
            tenant = stream.choice((*customers, self._spare(stream).tenant_id))
            text = junk(stream, tenant)
            self._sometime(stream, lambda text=text: self._drop(text))  # type: ignore[misc]

    def _spare(self, stream: Random) -> Customer:
        """Return a customer whose deletion nobody requests."""
        world = self._world
        spare = world.sandbox.account.add_customer("spare.onmicrosoft.com")
        buy(stream, world.faults, spare)
        return spare

    def _dry_run(self, stream: Random) -> None:
        tenant = stream.choice((self._tenant(stream), self._spare(stream).tenant_id))
        if stream.random() < 0.7:
            self._sometime(stream, lambda: self._drop(dry_run_text(tenant)))
        else:
            self._sometime(stream, lambda: self._post(stream, tenant, dry=True))

    def _sweep(self, stream: Random) -> None:
        self._spare(stream)
        mode = stream.choice(("delete", "report"))
        by_hand = stream.random() < 0.5

        def begin() -> None:
            for calls, act in self._during_sweep:
                self._world.agenda.add(self._world.wire.calls + 1 + calls, act)
            if by_hand:
                self._ask(stream, "POST", "sweeps", body={"mode": mode})
            else:
                self._world.fire("sweep_sandbox")

        self._soon_or_late(stream, begin)

    def _repeat(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            tenant = self._tenant(stream)
            text = drop_text(stream, tenant)
            if stream.random() < 0.6:
                self._sometime(stream, lambda text=text: self._drop(text))  # type: ignore[misc]
            else:
                self._sometime(stream, lambda tenant=tenant: self._post(stream, tenant))  # type: ignore[misc]

    def _several(self, stream: Random) -> None:
        """Drop several customers in one message; nobody else requests those of a bad one.

        Some are only to be checked by a dry run.
        """
        bad = stream.random() < 0.4
        customers = () if bad else self._world.scenario.customers
        spares = [self._bystander() for _ in range(stream.choice((1, 2)) + bad)]
        tenants = [each.tenant_id for each in (*customers, *spares)]
        stream.shuffle(tenants)
        if not bad and stream.random() < 0.2:
            tenants.append(stream.choice((*tenants, *self._world.scenario.strangers)))
        dry = frozenset(each for each in tenants if stream.random() < _DRY_OF_SEVERAL)
        text = several_text(stream, tenants, bad=bad, dry=dry)
        self._sometime(stream, lambda: self._drop(text))

    def _bystander(self) -> Customer:
        """Return a customer with one purchase, drawn from no stream."""
        customer = self._world.sandbox.account.add_customer("bystander.onmicrosoft.com")
        customer.add_order(ProductKind.NCE_LICENCES, age_days=1.0)
        return customer

    def _protect(self, stream: Random) -> None:
        """Restart the processes, one after the other, with one more protected customer."""
        tenant = self._tenant(stream)

        def begin() -> None:
            for number, process in enumerate(self._world.processes):
                self._world.later(
                    number * stream.uniform(0.1, 30),
                    lambda process=process: self._restart(process, tenant),  # type: ignore[misc]
                )

        self._sometime(stream, begin)

    def _restart(self, process: "Process", tenant: str) -> None:
        listed = process.settings["PROTECTED_TENANTS"].removeprefix("none")
        process.settings["PROTECTED_TENANTS"] = ", ".join(filter(None, (listed, tenant)))
        if process.alive:
            process.stop("stopped")
            self._world.later(2.0, process.start)

    def _production(self, stream: Random) -> None:
        world = self._world

        def turn() -> None:
            world.sandbox.account.sandbox = False
            world.log.note(world.clock.now, "production")

        choice = stream.random()
        if choice < 0.4:
            turn()
        elif choice < 0.7 and self._sweeping:
            self._during_sweep.append((stream.randint(0, _CALLS_OF_A_SWEEP), turn))
        else:
            self._sometime(stream, turn)

    def _delete_elsewhere(self, stream: Random) -> None:
        customer = stream.choice(self._world.scenario.customers)

        def delete() -> None:
            if not customer.deleted:
                customer.deleted = True
                self._note(customer, "deleted by somebody else")

        self._sometime(stream, delete)

    def _late_order(self, stream: Random) -> None:
        customer = stream.choice(self._world.scenario.customers)

        def order() -> None:
            if not customer.deleted:
                buy(stream, self._world.faults, customer)
                self._note(customer, "bought something late")

        self._sometime(stream, order)

    def _note(self, customer: Customer, what: str) -> None:
        world = self._world
        world.log.note(world.clock.now, what, tenant=customer.tenant_id)

    def _outage(self, kind: Kind, stream: Random) -> None:
        services = _AWAY[kind]
        if kind is Kind.STORAGE_AWAY and stream.random() < 0.5:
            services = (stream.choice(services),)
        outages = self._world.wire.outages
        drawn = span(stream, self._world.scenario.deadline)
        retry_after = stream.choice((60, 600, 3600, round(drawn.seconds)))
        spares_host = stream.random() < _SPARES_HOST

        def begin() -> None:
            outages.begin(kind, services)
            if kind is Kind.STORAGE_AWAY:
                outages.spares_host = spares_host
            if kind is Kind.THROTTLING:
                outages.retry_after = retry_after

        trouble = Trouble(kind, ", ".join(services), begin, lambda: outages.end(kind, services))
        self._let(trouble, stream, drawn)

    def _down(self, stream: Random) -> None:
        """Keep one process down for a while, or all of them."""
        processes = self._world.processes
        if stream.random() < 0.4:
            processes = [stream.choice(processes)]

        def begin() -> None:
            for each in processes:
                each.kept_down = True
                if each.alive:
                    each.stop("stopped")

        def end() -> None:
            for each in processes:
                each.kept_down = False
                each.start()

        drawn = span(stream, self._world.scenario.deadline)
        names = ", ".join(each.name for each in processes)
        self._let(Trouble(Kind.DOWN, names, begin, end), stream, drawn)

    def _let(self, trouble: Trouble, stream: Random, drawn: Span) -> None:
        """Let trouble begin and end; both are in the log."""
        world, kind = self._world, trouble.kind

        def start() -> None:
            if world.faults.calm:
                return
            trouble.begin()
            world.log.note(world.clock.now, f"{kind} begins", of=trouble.of)
            world.trouble[kind] = stop
            world.later(drawn.seconds, lambda: world.end_trouble(kind))

        def stop() -> None:
            trouble.end()
            world.log.note(world.clock.now, f"{kind} ends", of=trouble.of)

        if drawn.begins is None:
            self._sometime(stream, start)
        else:
            world.not_calm_before(drawn.ends)
            world.later(drawn.begins, start)
