"""Requests over HTTP and by sweeps: submit a deletion, or abort one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from shared.deletion.claims import started
from shared.deletion.deletion import ended, first_message, log_end
from shared.deletion.messages import DeletionRequest
from shared.errors import TipsweepError
from shared.services import Services
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, Records, State
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

    The record comes first: after a crash in between its check is overdue and redrive finds it,
    while a message without a record would be dropped. Raises Refused, SwitchTripped or
    RecordChanged.
    """
    services.safety.require_acceptable(request.tenant)
    services.safety.require_writable()
    now, deadline = services.now(), services.settings.checks.deadline

    def change(current: DeletionRecord | None) -> DeletionRecord:
        if current is not None and current.live:
            return current
        record = started(request, current, now=now, deadline=deadline)
        return replace(record, next_check_at=now)

    update = services.records.update(request.tenant, change)
    if update.written:
        services.queues.send(ORDERS_TO_CHECK, first_message(update.record).to_json())
    return update.record


def abort(
    records: Records, tenant: TenantId, requested_by: str, now: Callable[[], datetime]
) -> DeletionRecord:
    """Stop a deletion that has not sent its DELETE; aborting it again changes nothing.

    Raises NoDeletion, NotAbortable or RecordChanged.
    """

    def change(current: DeletionRecord | None) -> DeletionRecord:
        if current is None:
            raise NoDeletion(tenant)
        if current.state is State.ABORTED:
            return current
        # While deleting, the DELETE may have arrived, so "aborted" might not be true.
        if not current.live or current.state is State.DELETING:
            message = f"The deletion of customer {tenant} is {current.state}: too late to abort"
            raise NotAbortable(message)
        reason = f"aborted by {requested_by}"
        return ended(current, State.ABORTED, reason, "Request it again to start over.", now())

    update = records.update(tenant, change)
    if update.written:
        log_end(update.record)
    return update.record
