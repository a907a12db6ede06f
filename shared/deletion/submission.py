"""Requests over HTTP and by sweeps: submit a deletion, abort one, or dismiss how one ended."""

from dataclasses import replace

from azure.core.exceptions import AzureError

from shared.deletion.claims import started
from shared.deletion.deletion import ended, first_message, ids, log_end
from shared.deletion.journal import STOPPED_STEP, Journal
from shared.deletion.messages import DeletionRequest
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.safety.rules import Refused
from shared.safety.switch import SwitchTripped
from shared.services import Services
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.records import NEED_ATTENTION, DeletionRecord, State
from shared.storage.rejected import RejectedMessage
from shared.tenants import TenantId


class NotAbortable(TipsweepError):
    """The deletion has ended, or its DELETE may have been sent."""


class NotDismissable(TipsweepError):
    """The deletion needs no person's attention."""


class NoDeletion(TipsweepError):
    """The customer has no deletion record."""

    def __init__(self, tenant: TenantId) -> None:
        super().__init__(
            f"Customer {tenant} has no deletion. POST the ID to /api/deletions to start one."
        )


def submit(services: Services, request: DeletionRequest) -> DeletionRecord:
    """Write the record of a deletion, then queue it; return the one in progress if there is one.

    The record comes first: after a crash in between its check is overdue and redrive finds it,
    while a message without a record would be dropped. Raises Refused, SwitchTripped,
    RecordChanged, or AzureError; one with a note if the deletion may start all the same.
    """
    _require_acceptable(services, request)
    now, deadline = services.now(), services.settings.checks.deadline

    def change(current: DeletionRecord | None) -> DeletionRecord:
        if current is not None and current.live:
            return current
        record = started(request, current, now=now, deadline=deadline)
        return replace(record, next_check_at=now)

    try:
        update = services.records.update(request.tenant, change)
        if update.written:
            _queue(services, update.record)
    except AzureError as error:
        error.add_note(_may_start(request.tenant))
        raise
    return update.record


def _queue(services: Services, record: DeletionRecord) -> None:
    journal = Journal(services.history, record, services.now)
    journal.requested()
    journal.write()
    services.queues.send(ORDERS_TO_CHECK, first_message(record).to_json())


def _may_start(tenant: TenantId) -> str:
    return (
        f"The deletion of customer {tenant} may be recorded and may still start: look at "
        f"GET /api/deletions/{tenant}. While it is in progress, repeating the request starts "
        "no second one."
    )


def _require_acceptable(services: Services, request: DeletionRequest) -> None:
    try:
        services.safety.require_acceptable(request.tenant)
        services.safety.require_writable()
    except (Refused, SwitchTripped) as error:
        kind = EntryKind.REFUSED if isinstance(error, Refused) else EntryKind.STOPPED
        entry = HistoryEntry(kind, services.now(), request.requested_by, detail=str(error))
        services.history.add(request.tenant, [entry])
        raise


def abort(services: Services, tenant: TenantId, requested_by: str) -> DeletionRecord:
    """Stop a deletion that has not sent its DELETE.

    Aborting it again also stops what was dropped since. Raises NoDeletion, NotAbortable or
    RecordChanged.
    """
    again, interrupted = False, False

    def change(current: DeletionRecord | None) -> DeletionRecord:
        nonlocal again, interrupted
        current = _known(current, tenant)
        again = current.state is State.ABORTED
        if again:
            # Written again, so that the row's timestamp is later than every drop so far.
            return replace(current, ended_at=None)
        # While deleting, the DELETE may have arrived, so "aborted" might not be true.
        if not current.live or current.state is State.DELETING:
            message = f"The deletion of customer {tenant} is {current.state}: too late to abort"
            raise NotAbortable(message)
        interrupted = current.interrupted
        reason = f"aborted by {requested_by}"
        remedy = "Request it again to start over."
        return ended(current, State.ABORTED, reason, remedy, services.now())

    record = services.records.update(tenant, change).record
    detail = STOPPED_STEP if interrupted else ""
    _tell(services, record, EntryKind.ABORTED, requested_by, detail)
    if not again:
        log_end(record)
    return record


def dismiss(services: Services, tenant: TenantId, requested_by: str) -> DeletionRecord:
    """Note that a person has dealt with a stuck or refused deletion; once is enough.

    Raises NoDeletion or NotDismissable.
    """

    def change(current: DeletionRecord | None) -> DeletionRecord:
        current = _known(current, tenant)
        if current.state not in NEED_ATTENTION:
            expected = " or ".join(sorted(NEED_ATTENTION))
            message = f"The deletion of customer {tenant} is {current.state}, not {expected}"
            raise NotDismissable(message)
        if current.dismissed_at is not None:
            return current
        return replace(current, dismissed_at=services.now(), dismissed_by=requested_by)

    update = services.records.update(tenant, change)
    if update.written:
        _tell(services, update.record, EntryKind.DISMISSED, requested_by)
        emit(Event.DELETION_DISMISSED, **ids(update.record), requested_by=requested_by)
    return update.record


def dismiss_rejected(
    services: Services, message_id: str, requested_by: str
) -> RejectedMessage | None:
    """Note that a person has dealt with a rejected message, and return it; None if unknown."""
    dismissed = services.rejected.dismiss(message_id, requested_by, services.now())
    if dismissed is None:
        return None
    detail = f"message {dismissed.message_id} on {dismissed.queue}: {dismissed.reason}"
    entry = HistoryEntry(EntryKind.REJECTED_DISMISSED, services.now(), requested_by, detail=detail)
    if dismissed.tenant is None:
        services.history.add_for_account(entry)
    else:
        services.history.add(dismissed.tenant, [entry])
    emit(
        Event.REQUEST_DISMISSED,
        message=dismissed.message_id,
        tenant=dismissed.tenant,
        requested_by=requested_by,
    )
    return dismissed


def _tell(
    services: Services,
    record: DeletionRecord,
    kind: EntryKind,
    requested_by: str,
    detail: str = "",
) -> None:
    """Tell the history what a person did, who need not be the one who requested the deletion."""
    entry = HistoryEntry(kind, services.now(), requested_by, record.correlation_id, detail)
    services.history.add(record.tenant, [entry])


def _known(record: DeletionRecord | None, tenant: TenantId) -> DeletionRecord:
    if record is None:
        raise NoDeletion(tenant)
    return record
