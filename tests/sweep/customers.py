"""Customers for a sweep, and what it did with them."""

from datetime import timedelta

from local.simulator import Customer, ProductKind, Simulator
from shared.sweep.decision import REQUESTED_BY, Candidate, SweepVerdict
from shared.sweep.report import SweepReport
from shared.tenants import TenantId
from tests.bench import Bench

PROTECTED = {"PROTECTED_DOMAINS": "keep-*"}


def add(
    simulator: Simulator,
    count: int,
    *,
    age_days: float | None = 20,
    prefix: str = "tipdemo",
) -> list[Customer]:
    """Add customers, each a tenth of a day older than the next."""
    customers = []
    for number in range(count):
        customer = simulator.sandbox.add_customer(f"{prefix}{number:03}.onmicrosoft.com")
        if age_days is not None:
            customer.add_order(ProductKind.PERPETUAL_SOFTWARE, age_days=age_days - number / 10)
        customers.append(customer)
    return customers


def ids(customers: list[Customer]) -> list[TenantId]:
    return [TenantId(each.tenant_id) for each in customers]


def found(report: SweepReport, customer: Customer) -> Candidate:
    return next(each for each in report.candidates if each.tenant == customer.tenant_id)


def verdicts(report: SweepReport) -> dict[TenantId, SweepVerdict]:
    return {each.tenant: each.verdict for each in report.candidates}


def started(bench: Bench) -> list[TenantId]:
    """Return the customers that sweeps have started to delete."""
    return [
        each.tenant for each in bench.services.records.all() if each.requested_by == REQUESTED_BY
    ]


def later(bench: Bench, time: timedelta) -> None:
    bench.move_clock_to(bench.services.now() + time)


def orders_read(bench: Bench) -> list[str]:
    return [call.path.split("/")[3] for call in bench.calls("GET", "/orders")]
