"""What people do and what happens to the account; the seed decides when, and to which customer."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from local.simulator import Customer, ProductKind
from tests.simulation.faults import Kind
from tests.simulation.host import identifier
from tests.simulation.log import Service
from tests.simulation.scenario import buy, drop_text, dry_run_text, junk, several_text

if TYPE_CHECKING:
    from tests.simulation.host import Process
    from tests.simulation.run import Simulation

REQUESTS: Final = "customers-to-delete"
_AWAY: Final = {
    Kind.STORAGE_AWAY: (Service.QUEUE, Service.TABLE),
    Kind.PARTNER_CENTER_AWAY: (Service.PARTNER_CENTER,),
    Kind.SIGN_IN_REFUSED: (Service.SIGN_IN,),
}

Act = Callable[[], None]


class People:
    """The users and operators of one run."""

    def __init__(self, world: "Simulation", stream: Random) -> None:
        self._world = world
        self._stream = stream

    def plan(self) -> None:
        """Plan who does what, and when."""
        for customer in self._world.scenario.customers:
            self._request(customer.tenant_id)
        if self._stream.random() < 0.15:
            self._request(self._stream.choice(self._world.scenario.strangers))
        for kind, act in self._happenings().items():
            if self._world.faults.has(kind):
                act(self._world.faults.streams[kind])

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
            Kind.STORAGE_AWAY: lambda stream: self._outage(Kind.STORAGE_AWAY, stream),
            Kind.PARTNER_CENTER_AWAY: lambda stream: self._outage(Kind.PARTNER_CENTER_AWAY, stream),
            Kind.SIGN_IN_REFUSED: lambda stream: self._outage(Kind.SIGN_IN_REFUSED, stream),
        }

    def _sometime(self, stream: Random, act: Act) -> None:
        """Let something happen at one of the next calls, or within minutes."""
        if stream.random() < 0.75:
            self._world.agenda.add(stream.randint(1, 110), act)
        else:
            self._world.later(stream.uniform(0, 600), act)

    def _tenant(self, stream: Random) -> str:
        return stream.choice(self._world.scenario.customers).tenant_id

    def _request(self, tenant: str) -> None:
        stream = self._stream
        moment = stream.uniform(0, 20)
        if stream.random() < 0.6:
            text = drop_text(stream, tenant)
            self._world.later(moment, lambda: self._drop(text))
        else:
            self._world.later(moment, lambda: self._post(tenant))

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

    def _post(self, tenant: str, *, dry: bool = False) -> None:
        body: dict[str, object] = {"tenantId": tenant, "requestedBy": "somebody"}
        if dry:
            body["dryRun"] = True
        self._ask("POST", "deletions", body=body)

    def _ask(self, method: str, route: str, **request: object) -> None:
        alive = [each for each in self._world.processes if each.alive]
        if alive:
            process: Process = self._stream.choice(alive)
            process.request(method, route, **request)  # type: ignore[arg-type]
        else:
            self._world.later(20, lambda: self._ask(method, route, **request))

    def _aborts(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            tenant = self._tenant(stream)
            self._sometime(stream, lambda tenant=tenant: self._abort(tenant))  # type: ignore[misc]

    def _abort(self, tenant: str) -> None:
        self._ask("DELETE", "deletions/{tenantId}", tenant=tenant, requestedBy="somebody")

    def _trips(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            pause = stream.uniform(1, 60) if stream.random() < 0.4 else stream.uniform(60, 1500)
            # One person trips it again while another resets it.
            again = pause + stream.uniform(-0.1, 0.1) if stream.random() < 0.3 else None
            self._sometime(stream, lambda p=pause, a=again: self._trip(p, a))  # type: ignore[misc]

    def _trip(self, pause: float, again: float | None = None) -> None:
        self._ask("PUT", "switch", body={"requestedBy": "somebody", "reason": "to be safe"})
        self._world.later(pause, self.reset)
        if again is not None:
            self._world.later(again, lambda: self._trip(pause))

    def reset(self) -> None:
        """Reset the switch, unless the account has turned out to be production."""
        if self._world.sandbox.account.sandbox:
            self._ask("DELETE", "switch", requestedBy="somebody", reason="all is well")

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
            self._sometime(stream, lambda: self._post(tenant, dry=True))

    def _sweep(self, stream: Random) -> None:
        self._spare(stream)
        if stream.random() < 0.5:
            mode = stream.choice(("delete", "report"))
            self._sometime(stream, lambda: self._ask("POST", "sweeps", body={"mode": mode}))
        else:
            self._sometime(stream, lambda: self._world.fire("sweep_sandbox"))

    def _repeat(self, stream: Random) -> None:
        for _ in range(stream.choice((1, 1, 2))):
            tenant = self._tenant(stream)
            text = drop_text(stream, tenant)
            if stream.random() < 0.6:
                self._sometime(stream, lambda text=text: self._drop(text))  # type: ignore[misc]
            else:
                self._sometime(stream, lambda tenant=tenant: self._post(tenant))  # type: ignore[misc]

    def _several(self, stream: Random) -> None:
        """Drop several customers in one message; nobody else requests those of a bad one."""
        bad = stream.random() < 0.4
        customers = () if bad else self._world.scenario.customers
        spares = [self._bystander() for _ in range(stream.choice((1, 2)) + bad)]
        tenants = [each.tenant_id for each in (*customers, *spares)]
        stream.shuffle(tenants)
        if not bad and stream.random() < 0.2:
            tenants.append(stream.choice((*tenants, *self._world.scenario.strangers)))
        text = several_text(stream, tenants, bad=bad)
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

        if stream.random() < 0.5:
            turn()
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
        world = self._world
        services = _AWAY[kind]
        if kind is Kind.STORAGE_AWAY and stream.random() < 0.5:
            services = (stream.choice(services),)
        seconds = stream.uniform(3, 90) if stream.random() < 0.5 else stream.uniform(90, 1500)

        def begin() -> None:
            if world.faults.calm:
                return
            world.wire.outages.away |= dict.fromkeys(services, kind)
            world.log.note(world.clock.now, f"{kind} begins", services=", ".join(services))
            world.later(seconds, end)

        def end() -> None:
            for service in services:
                world.wire.outages.away.pop(service, None)
            world.log.note(world.clock.now, f"{kind} ends")

        self._sometime(stream, begin)
