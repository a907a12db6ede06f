"""Requests over HTTP and by sweeps: submit a deletion, or abort one."""

from dataclasses import replace

from shared.deletion.claims import started
from shared.deletion.deletion import ended, first_message, log_end
from shared.deletion.journal import Journal
from shared.deletion.messages import DeletionRequest
from shared.errors import TipsweepError
from shared.safety.rules import Refused
from shared.services import Services
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, State
from shared.tenants import TenantId


class NotAbortable(TipsweepError):
    """The deletion has ended, or its DELETE may have been sent."""


class NoDeletion(TipsweepError):
    """The customer has no deletion record."""

    def __init__(self, tenant: TenantId) -> None:
        super().__init__(
            f"Customer {tenant} has no deletion. POST the ID to /api/deletions to start one."
        )


def submit(services: Services, request: DeletionRequest) -> DeletionRecord:
    """Write the record of a deletion, then queue it; return the one in progress if there is one.

    Raises Refused or SwitchTripped. The record comes first: after a crash in between its check is
    overdue and redrive finds it, while a message without a record would be dropped.
    """
    _require_acceptable(services, request)
    services.safety.require_writable()
    now, deadline = services.now(), services.settings.checks.deadline

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        if current is not None and current.live:
            return None
        record = started(request, current, now=now, deadline=deadline)
        return replace(record, next_check_at=now)

    update = services.records.update(request.tenant, change)
    record = update.record
    if record is None:
        raise NoDeletion(request.tenant)
    if update.written:
        journal = Journal(services.history, record, services.now)
        journal.requested()
        journal.write()
        services.queues.send(ORDERS_TO_CHECK, first_message(record).to_json())
    return record


def _require_acceptable(services: Services, request: DeletionRequest) -> None:
    try:
        services.safety.require_acceptable(request.tenant)
    except Refused as refusal:
        entry = HistoryEntry(
            EntryKind.REFUSED, services.now(), request.requested_by, detail=str(refusal)
        )
        services.history.add(request.tenant, [entry])
        raise


def abort(services: Services, tenant: TenantId, requested_by: str) -> DeletionRecord:
    """Stop a deletion that has not sent its DELETE; aborting it again changes nothing.

    Raises NoDeletion or NotAbortable.
    """

    def change(current: DeletionRecord | None) -> DeletionRecord | None:
        if current is None:
            raise NoDeletion(tenant)
        if current.state is State.ABORTED:
            return None
        # While deleting, the DELETE may have arrived, so "aborted" might not be true.
        if not current.live or current.state is State.DELETING:
            message = f"The deletion of customer {tenant} is {current.state}: too late to abort"
            raise NotAbortable(message)
        reason = f"aborted by {requested_by}"
        remedy = "Request it again to start over."
        return ended(current, State.ABORTED, reason, remedy, services.now())

    update = services.records.update(tenant, change)
    if update.record is None:
        raise NoDeletion(tenant)
    if update.written:
        log_end(update.record)
        aborted = HistoryEntry(
            EntryKind.ABORTED, services.now(), requested_by, update.record.correlation_id
        )
        services.history.add(tenant, [aborted])
    return update.record
