"""The sweep: looks at the whole sandbox, decides, and submits the deletions it selects."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice

from shared.deletion.error_handling import require_switch, trip
from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import submit
from shared.events import Event, emit
from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import NotASandbox
from shared.partner_center.resources import Customer
from shared.safety.rules import (
    require_confirmation,
    require_protection,
    require_sandbox_size,
    require_token_tenant,
)
from shared.services import Services
from shared.settings import SweepMode
from shared.storage.records import DeletionRecord
from shared.sweep.ages import NEVER_READ, read_ages
from shared.sweep.decision import (
    REQUESTED_BY,
    Age,
    Candidate,
    Sandbox,
    SweepVerdict,
    decide,
    exclude,
    remembered,
)
from shared.sweep.memory import Sighting, SweepMemory
from shared.sweep.report import SweepReport
from shared.tenants import TenantId, tenant_id

__all__ = [
    "Candidate",
    "SweepReport",
    "SweepVerdict",
    "last_report",
    "run_sweep",
    "survey_sandbox",
]

Customers = Mapping[TenantId, Customer]
Sightings = Mapping[TenantId, Sighting]


def survey_sandbox(services: Services) -> SweepReport:
    """Return what a sweep would do, by the ages that the last one found; writes nothing.

    Raises Refused, or the errors of Partner Center.
    """
    known = _memory(services).sightings()
    customers = _customers(services, _client(services))
    at = services.now()
    ages = _known_ages(_sightings(customers, known, at))
    sandbox = Sandbox(customers, _records(services), ages, at)
    return _report(services, services.settings.sweep.mode, sandbox)


def run_sweep(services: Services, mode: SweepMode) -> SweepReport:
    """Decide on every customer, store the report, and in mode delete submit what it selected.

    Raises Refused, SwitchTripped (in mode delete, after the report is stored), or the errors of
    Partner Center. A sweep that fails half-way has submitted some: the next selects the others.
    """
    if mode is SweepMode.DELETE:
        require_protection(services.settings.protection)
    report = _report(services, mode, _look_closely(services))
    _memory(services).keep(report)
    started = _start(services, report) if mode is SweepMode.DELETE else 0
    emit(
        Event.SWEEP_FINISHED,
        mode=mode,
        customers=report.customers,
        free_slots=report.free_slots,
        selected=len(report.selected),
        started=started,
    )
    return report


def last_report(services: Services) -> SweepReport | None:
    """Return the report of the last sweep."""
    return _memory(services).last_report()


def _look_closely(services: Services) -> Sandbox:
    """Look at the sandbox, read the orders of whoever could qualify, and remember the ages."""
    client, memory = _client(services), _memory(services)
    known = memory.sightings()
    customers = _customers(services, client)
    at = services.now()
    records = _records(services)
    sightings = _sightings(customers, known, at)
    open_to_age = [
        tenant
        for tenant, customer in customers.items()
        if exclude(customer, records.get(tenant), services.settings, at) is None
    ]
    try:
        read = read_ages(services, client, open_to_age, sightings)
    except NotASandbox as error:
        raise trip(services, error) from error
    memory.note(_with_ages(sightings, read), at)
    memory.forget(known.keys() - customers.keys())
    return Sandbox(customers, records, {**_known_ages(sightings), **read}, at)


def _customers(services: Services, client: PartnerCenter) -> Customers:
    """List all customers of what is confirmed to be the sandbox account; raises Refused."""
    require_confirmation(services.settings)
    require_token_tenant(client.token_tenant(), services.settings.partner_center.tenant_id)
    try:
        listed = list(islice(client.customers(), SANDBOX_CUSTOMERS + 1))
    except NotASandbox as error:
        raise trip(services, error) from error
    require_sandbox_size(len(listed))
    return {tenant_id(customer.id): customer for customer in listed}


def _client(services: Services) -> PartnerCenter:
    return services.client(str(uuid.uuid4()))


def _memory(services: Services) -> SweepMemory:
    return SweepMemory(services.sandbox, services.settings.partner_center.tenant_id)


def _records(services: Services) -> dict[TenantId, DeletionRecord]:
    return {record.tenant: record for record in services.records.all()}


def _sightings(customers: Customers, known: Sightings, at: datetime) -> Sightings:
    return {tenant: known.get(tenant, Sighting(at)) for tenant in customers}


def _known_ages(sightings: Sightings) -> dict[TenantId, Age]:
    return {tenant: each.age or NEVER_READ for tenant, each in sightings.items()}


def _with_ages(sightings: Sightings, read: Mapping[TenantId, Age]) -> Sightings:
    known = {tenant: age for tenant, age in read.items() if age.since is not None}
    return {
        tenant: replace(each, age=known.get(tenant, each.age)) for tenant, each in sightings.items()
    }


def _report(services: Services, mode: SweepMode, sandbox: Sandbox) -> SweepReport:
    return SweepReport(
        at=sandbox.at,
        mode=mode,
        customers=len(sandbox.customers),
        free_slots=sandbox.free_slots,
        candidates=decide(sandbox, services.settings),
    )


def _start(services: Services, report: SweepReport) -> int:
    """Submit what was selected and still qualifies, and no more than a sweep may."""
    require_switch(services)
    started = 0
    for tenant in report.selected:
        running = sum(_is_own(record) for record in services.records.all())
        if running >= services.settings.sweep.max_deletions:
            break
        if remembered(services.records.get(tenant), services.now()) is None:
            submit(services, DeletionRequest(tenant, REQUESTED_BY))
            started += 1
    return started


def _is_own(record: DeletionRecord) -> bool:
    return record.live and record.requested_by == REQUESTED_BY
