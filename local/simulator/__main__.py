"""Run the simulator as a process: python -m local.simulator --port P."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence

from local.simulator.exchange import PREFIX
from local.simulator.seeds import SEEDS
from local.simulator.simulator import Simulator
from local.simulator.state.behaviour import Behaviour, changed
from local.simulator.views import customer_summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line of JSON once the simulator listens, then serve until SIGTERM or SIGINT."""
    options = _options(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Simulator.start(options.port, behaviour=options.behaviour, seed=options.seed) as simulator:
        sys.stdout.write(json.dumps(description(simulator)) + "\n")
        sys.stdout.flush()
        ended.wait()
    return 0


def description(simulator: Simulator) -> dict[str, object]:
    """Return what a client needs to connect; the secrets are valid for this run only."""
    production = simulator.production
    return {
        "url": simulator.url,
        "authority": simulator.authority,
        "scope": simulator.scope,
        "caFile": str(simulator.ca_file),
        "controlUrl": simulator.url + PREFIX,
        "partnerTenantId": simulator.sandbox.tenant_id,
        "environment": simulator.environment(),
        "keyVaultUrl": simulator.key_vault_url,
        "customers": [customer_summary(customer) for customer in simulator.sandbox.customers],
        "production": {
            "partnerTenantId": production.tenant_id,
            "environment": simulator.environment(production),
            "customers": [customer_summary(customer) for customer in production.customers],
        },
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: 0, which picks a free port")
    parser.add_argument("--seed", choices=sorted(SEEDS), default="small")
    parser.add_argument("--latency-ms", type=int, metavar="N")
    parser.add_argument("--latency-up-to-ms", type=int, metavar="N")
    parser.add_argument("--requests-per-minute", type=int, metavar="N")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set a field of Behaviour to a value, given as JSON or text; repeatable",
    )
    options = parser.parse_args(arguments)
    try:
        options.behaviour = changed(Behaviour(), _changes(options))
    except ValueError as error:
        parser.error(str(error))
    return options


def _changes(options: argparse.Namespace) -> dict[str, object]:
    changes = {
        "latency_ms": options.latency_ms,
        "latency_up_to_ms": options.latency_up_to_ms,
        "requests_per_minute": options.requests_per_minute,
    }
    given: dict[str, object] = {name: value for name, value in changes.items() if value is not None}
    for assignment in options.set:
        name, separator, value = assignment.partition("=")
        if not separator:
            message = f"--set expects FIELD=VALUE, got {assignment!r}"
            raise ValueError(message)
        given[name] = _json_or_text(value)
    return given


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


if __name__ == "__main__":
    sys.exit(main())
