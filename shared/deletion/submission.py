"""Requests that do not come over the queue: submit a deletion, or abort one."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.deletion.admission import in_hand, new_record, write
from shared.deletion.claims import first_message
from shared.deletion.messages import DeletionRequest
from shared.errors import TipsweepError
from shared.services import Services
from shared.storage.names import ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, RecordChanged, RecordExists, State
from shared.tenants import TenantId

_AT_ONCE: Final = timedelta(0)


class NotAbortable(TipsweepError):
    """The deletion has ended, or its DELETE may have been sent."""


class NoDeletion(TipsweepError):
    """The customer has no deletion record."""


def submit(services: Services, request: DeletionRequest) -> DeletionRecord:
    """Write the record of a deletion, then queue it; return the one in progress if there is one.

    A crash in between leaves a record whose next check is overdue, which redrive finds. The
    message carries the record's generation, so that nothing comes of it after an abort.
    """
    while True:
        record = services.records.get(request.tenant)
        if record is not None and record.live:
            return record
        fresh = replace(new_record(services, request, record), next_check_at=services.now())
        try:
            submitted = write(services, fresh)
        except (RecordExists, RecordChanged):
            continue
        services.queues.send_step(ORDERS_TO_CHECK, first_message(submitted), _AT_ONCE)
        return submitted


def abort(services: Services, tenant: TenantId, by: str) -> DeletionRecord:
    """Stop a deletion that has not sent its DELETE; aborting it again changes nothing.

    Raises NoDeletion or NotAbortable.
    """
    while True:
        record = services.records.get(tenant)
        if record is None:
            message = f"Customer {tenant} has no deletion: nothing to abort"
            raise NoDeletion(message)
        if record.state is State.ABORTED:
            return record
        if not record.live or record.state is State.DELETING:
            message = f"The deletion of customer {tenant} is {record.state}: too late to abort"
            raise NotAbortable(message)
        deletion = in_hand(services, record)
        try:
            deletion.finish(State.ABORTED, f"aborted by {by}", "Request it again to start over.")
        except RecordChanged:
            continue
        return deletion.record
