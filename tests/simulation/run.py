"""One run of a seed, from its first event to its last."""

import gc
import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.simulation import chance as chances
from tests.simulation import locks, process, quick
from tests.simulation.chance import Chance
from tests.simulation.clock import Clock, travelling
from tests.simulation.faults import Faults, Kind, Strike
from tests.simulation.host import QUEUE_URL, Limits, Process, Surroundings
from tests.simulation.log import Log, Service
from tests.simulation.order import Order
from tests.simulation.partner_center import Reply, Sandbox
from tests.simulation.people import People
from tests.simulation.process import AppCopy, Environment, Replacement, import_copy
from tests.simulation.scenario import Agenda, Scenario, behaviour, draw, truth
from tests.simulation.scheduler import Scheduler
from tests.simulation.storage import Request, Storage
from tests.simulation.storage.account import ACCOUNT, TABLES_HOST
from tests.simulation.watch import Watch
from tests.simulation.wire import Ask, Socket, Wire

ROOT: Final = Path(__file__).parents[2]
TICK: Final = 300.0
RARELY: Final = 0.1
OFTEN: Final = 0.3
MOST_PROCESSES: Final = 3
MOST_CALLS: Final = 6000
LONGER: Final = 3 * 3600.0
PARKED: Final = 3600.0
EARLY_CALM: Final = 2400.0
TABLE_URL: Final = f"http://{TABLES_HOST}/{ACCOUNT}"
TERMINAL: Final = frozenset({"deleted", "stuck", "refused", "aborted"})


class Machine:
    """What is set up once for many runs: copies of the app and the seams below them."""

    def __init__(self) -> None:
        self.clock = travelling()
        locks.install(self.clock.monotonic)
        chances.install()
        quick.install()
        self.environment = Environment()
        self.environment.install()
        self.socket = Socket()
        self.socket.install()
        self.limits = Limits.read(ROOT / "host.json")
        self._copies: dict[str, list[AppCopy]] = {}
        self.copies = self._unchanged()
        self.lines = Lines()
        self.lines.install()
        # What is created once for all runs, such as keys, must not depend on the first seed.
        simulate(self, 0)
        _keep()

    def plant(self, name: str, planted: Mapping[str, Replacement]) -> None:
        """Use copies of the app with this mistake from now on; without a name, the app as it is."""
        self.copies = self._copies_of(name, planted)

    def _unchanged(self) -> list[AppCopy]:
        return self._copies_of("", {})

    def _copies_of(self, name: str, planted: Mapping[str, Replacement]) -> list[AppCopy]:
        if name not in self._copies:
            self._copies[name] = [import_copy(planted) for _ in range(MOST_PROCESSES)]
            _keep()
        return self._copies[name]

    def import_anew(self) -> None:
        """Discard the copies, so that a coverage measurement includes the import."""
        self._copies.clear()
        self.copies = self._unchanged()


class Lines(logging.Handler):
    """Copies the app's log lines to the log of the run."""

    def __init__(self) -> None:
        super().__init__()
        self.take: Callable[[str], None] = lambda _: None

    def emit(self, record: logging.LogRecord) -> None:
        """Copy one line."""
        self.take(record.getMessage())

    def install(self) -> None:
        """Attach to the app's logger, and keep the libraries' lines off the screen."""
        logging.getLogger().addHandler(logging.NullHandler())
        app = logging.getLogger("tipsweep")
        app.setLevel(logging.INFO)
        app.propagate = False
        app.addHandler(self)


@dataclass(frozen=True, slots=True)
class Options:
    """Kinds of fault and single strikes to leave out of a run."""

    without: Collection[str] = ()
    skipped: Collection[Strike] = ()


class Simulation:
    """One run of one seed."""

    def __init__(self, machine: Machine, seed: int, options: Options) -> None:
        chance = Chance(seed)
        machine.clock.start()
        chances.sow(chance)
        self.clock: Clock = machine.clock
        self.scheduler = Scheduler(machine.clock)
        locks.LOCKS.scheduler = self.scheduler
        locks.LOCKS.chance = chance.stream("locks")
        self.log = Log()
        self.faults = Faults(chance, without=options.without, skipped=options.skipped)
        self.wire = Wire(
            self.scheduler, self.log, self.faults, chance.stream("wire"), self._respond
        )
        machine.socket.wire = self.wire
        machine.lines.take = self._line
        self.storage = Storage(self.clock.moment, chance.stream("storage"))
        self._provision()
        self.sandbox = Sandbox(
            behaviour(chance.stream("behaviour"), self.faults), chance.stream("identifiers")
        )
        self.scenario: Scenario = draw(chance.stream("scenario"), self.faults, self.sandbox)
        self.around = Surroundings(
            scheduler=self.scheduler,
            log=self.log,
            faults=self.faults,
            storage=self.storage,
            environment=machine.environment,
            outages=self.wire.outages,
            limits=machine.limits,
            chance=chance.stream("host"),
            announce=self._announce,
        )
        order = Order(self.clock, self.faults, self._announce)
        self.storage.queues.pick = order.pick
        self.processes = self._processes(machine.copies)
        self.agenda = Agenda()
        self._expected = 0
        self.wire.after_call = self._on_call
        self.scheduler.hazard = lambda actor, seconds: actor.process.may_die(seconds)
        self.trouble: dict[Kind, Callable[[], None]] = {}
        self.people = People(self, chance.stream("people"))

    def run(self) -> Log:
        """Run until nothing is left to do, or to the first violation that stays one."""
        for each in self.processes:
            self.scheduler.after(0.0, each.start)
        self.people.plan()
        self._note_truth()
        self.scheduler.at(self.scenario.calm_at, self._calm)
        end = self._latest_end()
        tick = self.around.chance.uniform(1, 150)
        watch = Watch(self.log, self.clock, self.faults)
        while self.clock.now < end and self.wire.calls < MOST_CALLS and not self._parked():
            self.scheduler.run(tick)
            if watch.sees_violation():
                self.log.note(self.clock.now, "cut off")
                return self.log
            tick += TICK
            quiet = self._quiet()
            if quiet:
                left = self.agenda.rest()
                if not left and self.faults.calm:
                    break
                for act in left:
                    act()
                if not left:
                    self._calm()
            # A timer with nothing to do proves nothing, and costs a tenth of a run.
            if self.around.chance.random() < (RARELY if self._idle() else OFTEN):
                self.fire("redrive")
        self.scheduler.run(self.clock.now + 2 * TICK)
        self._look_back()
        return self.log

    def _processes(self, copies: list[AppCopy]) -> list[Process]:
        shared = {
            **process.SYSTEM_ENVIRONMENT,
            **self.sandbox.settings(),
            **self.scenario.settings,
            "AzureWebJobsStorage": self.storage.connection_string,
        }
        skews = self.scenario.skews
        return [
            Process(self.around, f"p{number}", copy, shared, skew)
            for number, (copy, skew) in enumerate(zip(copies, skews, strict=False), 1)
        ]

    def _provision(self) -> None:
        for name in process.queue_names():
            self.storage.respond(Request("PUT", f"{QUEUE_URL}/{name}", {}, b""))
        for name in process.table_names():
            body = json.dumps({"TableName": name}).encode()
            self.storage.respond(Request("POST", f"{TABLE_URL}/Tables", {}, body))

    def _respond(self, ask: Ask) -> Reply:
        if ask.service in {Service.PARTNER_CENTER, Service.SIGN_IN}:
            return self.sandbox.respond(ask.method, ask.path, ask.headers, ask.body)
        host = f"{ask.pool.scheme}://{ask.pool.host}:{ask.pool.port}"
        response = self.storage.respond(Request(ask.method, host + ask.path, ask.headers, ask.body))
        if ask.service is Service.QUEUE and ask.method == "POST":
            self._sent(ask.path)
        if ask.service is Service.TABLE and "/deletions" in ask.path and response.status < 300:
            self._note_end(ask.body)
        return Reply(response.status, response.headers, response.body)

    def _sent(self, path: str) -> None:
        parts = urlsplit(path)
        queue = parts.path.split("/")[2]
        hidden = float(parse_qs(parts.query).get("visibilitytimeout", ["0"])[0])
        self._announce(queue, self.clock.now + hidden)

    def _note_end(self, body: bytes) -> None:
        """Log the truth about a customer at the moment at which its deletion ends."""
        row = json.loads(body or b"{}")
        if row.get("state") in TERMINAL:
            self._note_truth(row["RowKey"])

    def _announce(self, queue: str, at: float) -> None:
        def visible() -> None:
            for each in self.processes:
                each.visible(queue, self.clock.now)

        self.scheduler.at(at, visible)

    def _line(self, text: str) -> None:
        actor = self.scheduler.actor
        name, run = (actor.process.name, actor.name) if actor else ("", "")
        self.log.note(self.clock.now, "log", name, run, line=text)

    def _on_call(self) -> None:
        for act in self.agenda.due(self.wire.calls):
            self.scheduler.after(0.0, act)

    def _calm(self) -> None:
        """End all trouble, so that every deletion can finish."""
        if not self.faults.calm:
            self.faults.calm = True
            for kind in list(self.trouble):
                self.end_trouble(kind)
            self.log.note(self.clock.now, "calm")

    def _parked(self) -> bool:
        """Return whether everything has waited long enough for an account that is production."""
        long_after = self.scenario.calm_at + PARKED
        return not self.sandbox.account.sandbox and self.clock.now > long_after

    def _latest_end(self) -> float:
        """Return when the run is cut off; trouble may push each deadline by as long as it lasts."""
        deadline, calm_at = self.scenario.deadline, self.scenario.calm_at
        return deadline + LONGER + (calm_at if calm_at > EARLY_CALM else 0.0)

    def not_calm_before(self, moment: float) -> None:
        """Keep trouble possible up to a moment."""
        self.scenario.calm_at = max(self.scenario.calm_at, moment + 1)

    def end_trouble(self, kind: Kind) -> None:
        """End trouble, if it has not ended yet."""
        end = self.trouble.pop(kind, None)
        if end is not None:
            end()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Let people do something after a while; the run does not end before that."""
        self._expected += 1

        def do() -> None:
            self._expected -= 1
            act()

        self.scheduler.after(max(0.0, seconds), do)

    def fire(self, timer: str) -> None:
        """Fire a timer on one process, or on two if the seed says so."""
        alive = [each for each in self.processes if each.alive]
        if not alive:
            return
        chance = self.around.chance
        chance.choice(alive).fire(timer)
        if self.faults.strikes(Kind.TIMER_TWICE):
            twin = chance.choice(alive)
            self.scheduler.after(chance.uniform(0, 0.3), lambda: twin.fire(timer))

    def _quiet(self) -> bool:
        return not self._expected and self._idle()

    def _idle(self) -> bool:
        """Return whether the app has nothing to do at the moment."""
        return (
            not any(each.busy() or not each.alive for each in self.processes)
            and not self._messages()
            and not any(row["state"] not in TERMINAL for row in self._records())
        )

    def _messages(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for queue in process.queue_names():
            found += [(queue, text) for text in self.storage.texts(queue)]
        return found

    def _records(self) -> list[dict[str, Any]]:
        return self._rows("deletions")

    def _rows(self, table: str) -> list[dict[str, Any]]:
        response = self.storage.respond(Request("GET", f"{TABLE_URL}/{table}()", {}, b""))
        rows: list[dict[str, Any]] = json.loads(response.body)["value"]
        return rows

    def _look_back(self) -> None:
        """Log how everything ended: the truth, and what the app has recorded."""
        now = self.clock.now
        self._note_truth()
        for row in self._records():
            facts = {name: row.get(name, "") for name in ("state", "reason", "correlationId")}
            self.log.note(now, "record", tenant=row["RowKey"], **facts)
        for queue, text in self._messages():
            self.log.note(now, "left on a queue", queue=queue, text=text)
        for each in self.processes:
            for name in each.running():
                self.log.note(now, "still running", each.name, name)
        self.log.note(now, "end", calls=self.wire.calls, most=MOST_CALLS)

    def _note_truth(self, tenant: str = "") -> None:
        """Log the truth about a customer, or about all."""
        for customer in self.sandbox.account.customers:
            if tenant in {"", customer.tenant_id}:
                self.log.note(self.clock.now, "customer", **truth(customer, self.sandbox))


def simulate(machine: Machine, seed: int, options: Options | None = None) -> Simulation:
    """Run a seed and return the finished simulation; garbage is only collected before it."""
    gc.disable()
    gc.collect()
    simulation = Simulation(machine, seed, options or Options())
    simulation.run()
    return simulation


def _keep() -> None:
    """Spare later collections the look at everything that stays for all runs."""
    gc.collect()
    gc.freeze()
