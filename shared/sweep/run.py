"""The sweep: reads the whole sandbox, decides, and submits the deletions it selects."""

import uuid
from typing import Final

from shared.deletion.messages import DeletionRequest
from shared.deletion.submission import submit
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.deadline import limited, time_is_left
from shared.partner_center.rate_limit import Rank
from shared.services import Services
from shared.settings import Settings, SweepMode
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.records import DeletionRecord, Records, UnreadableRow
from shared.storage.reports import Reports
from shared.storage.sightings import Age
from shared.sweep.ages import read_ages
from shared.sweep.decision import (
    REQUESTED_BY,
    Sandbox,
    counts_as_started,
    decide,
    exclude,
    remembered,
)
from shared.sweep.memory import known_ages, seen, with_ages
from shared.sweep.report import SweepReport
from shared.tenants import TenantId

BY_TIMER: Final = "the timer"


def preview_sweep(services: Services) -> SweepReport:
    """Return what a sweep would do, using the ages that the last one found; writes nothing.

    Raises Refused, or the errors of Partner Center.
    """
    known = services.sightings.all()
    with services.conversation() as client:
        customers = services.safety.require_sandbox(client)
    at = services.now()
    ages = known_ages(seen(customers, known, at))
    sandbox = Sandbox(customers, _by_tenant(services.records), ages, at)
    return _report(services.settings, services.settings.sweep.mode, sandbox)


def run_sweep(services: Services, mode: SweepMode, requested_by: str = BY_TIMER) -> SweepReport:
    """Decide on every customer, store the report, and in mode delete submit what it selected.

    Reading and starting have the time of a step each; what was not started in time is left to the
    next sweep. Raises Refused, SwitchTripped (in mode delete, after the report is stored), or the
    errors of Partner Center. A sweep that fails half-way has submitted some; the next selects the
    others.
    """
    client = services.client(str(uuid.uuid4()), rank=Rank.STARTED)

    def note(kind: EntryKind, detail: str) -> None:
        entry = HistoryEntry(kind, services.now(), requested_by, client.correlation_id, detail)
        services.history.add_for_account(entry)

    try:
        report, started = _sweep(services, mode, client)
    except Exception as error:
        note(EntryKind.SWEEP_FAILED, f"mode {mode}: {type(error).__name__}: {error}")
        raise
    selected = len(report.selected)
    note(EntryKind.SWEEP, f"mode {mode}: {selected} selected, {started} started")
    emit(
        Event.SWEEP_FINISHED,
        mode=mode,
        customers=report.customers,
        free_slots=report.free_slots,
        selected=selected,
        started=started,
    )
    return report


def _sweep(services: Services, mode: SweepMode, client: PartnerCenter) -> tuple[SweepReport, int]:
    """Return the report, which is stored, and how many deletions were submitted."""
    if mode is SweepMode.DELETE:
        services.safety.require_protection()
    with limited(client.deadline):
        report = _report(services.settings, mode, _read_sandbox(services, client))
        services.reports.keep(report.to_json())
    with limited(services.deadline()):
        return report, _start(services, report) if mode is SweepMode.DELETE else 0


def last_report(reports: Reports) -> SweepReport | None:
    """Return the report of the last sweep; None if there is none that this version can read."""
    return reports.last(SweepReport.from_json)


def _read_sandbox(services: Services, client: PartnerCenter) -> Sandbox:
    """List the customers, read the orders of those that could qualify, and store the ages."""
    known = services.sightings.all()
    with services.conversation(client):
        customers = services.safety.require_sandbox(client)
        at = services.now()
        records = _by_tenant(services.records)
        sightings = seen(customers, known, at)
        open_to_age = [
            tenant
            for tenant, customer in customers.items()
            if exclude(customer, records.get(tenant), services.settings, at) is None
        ]
        read: dict[TenantId, Age] = read_ages(client, open_to_age, sightings, services.now)
    services.sightings.note(with_ages(sightings, read), at)
    services.sightings.forget(known.keys() - customers.keys())
    return Sandbox(customers, records, {**known_ages(sightings), **read}, at)


def _by_tenant(records: Records) -> dict[TenantId, DeletionRecord | UnreadableRow]:
    return {row.tenant: row for row in records.rows()}


def _report(settings: Settings, mode: SweepMode, sandbox: Sandbox) -> SweepReport:
    return SweepReport(
        at=sandbox.at,
        mode=mode,
        customers=len(sandbox.customers),
        free_slots=sandbox.free_slots,
        candidates=decide(sandbox, settings),
    )


def _start(services: Services, report: SweepReport) -> int:
    """Submit what was selected and still qualifies, up to the limit.

    Another sweep may have started some since the decision, and may go on at the same time.
    """
    services.safety.require_writable()
    running = {each.tenant for each in services.records.rows() if counts_as_started(each)}
    started = 0
    for tenant in report.selected:
        if len(running) >= services.settings.sweep.max_deletions or not time_is_left():
            break
        record = services.records.get(tenant)
        # A person may have aborted or requested the deletion since the decision.
        if remembered(record, services.now()) is None:
            record = submit(services, DeletionRequest(tenant, REQUESTED_BY))
            started += 1
        if record is not None and counts_as_started(record):
            running.add(tenant)
    return started
