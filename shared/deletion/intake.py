"""Requests that do not come over the queue: submit a deletion, or abort one."""

import json
from dataclasses import replace

from shared.deletion.admission import in_hand, new_record, write
from shared.deletion.messages import DeletionRequest
from shared.deletion.names import CUSTOMERS_TO_DELETE
from shared.deletion.pipeline import Pipeline
from shared.deletion.records import DeletionRecord, RecordChanged, RecordExists, State
from shared.errors import TipsweepError
from shared.tenants import TenantId


class NotAbortable(TipsweepError):
    """The deletion has ended, or its DELETE may have been sent."""


class NoDeletion(TipsweepError):
    """The customer has no deletion record."""


def submit(pipeline: Pipeline, request: DeletionRequest) -> DeletionRecord:
    """Write the record of a deletion, then queue it; return the one in progress if there is one.

    A crash in between leaves a record whose next check is overdue, which redrive finds.
    """
    while True:
        record = pipeline.records.get(request.tenant)
        if record is not None and record.live:
            return record
        fresh = replace(new_record(pipeline, request, record), next_check_at=pipeline.now())
        try:
            submitted = write(pipeline, fresh)
        except (RecordExists, RecordChanged):
            continue
        queue_request(pipeline, submitted)
        return submitted


def queue_request(pipeline: Pipeline, record: DeletionRecord) -> None:
    """Put the request of a record on the queue, for the first time or again."""
    text = json.dumps({"tenantId": record.tenant, "requestedBy": record.requested_by})
    pipeline.queues.send_text(CUSTOMERS_TO_DELETE, text)


def abort(pipeline: Pipeline, tenant: TenantId, by: str) -> DeletionRecord:
    """Stop a deletion that has not sent its DELETE; aborting it again changes nothing.

    Raises NoDeletion or NotAbortable.
    """
    while True:
        record = pipeline.records.get(tenant)
        if record is None:
            message = f"Customer {tenant} has no deletion: nothing to abort"
            raise NoDeletion(message)
        if record.state is State.ABORTED:
            return record
        if not record.live or record.state is State.DELETING:
            message = f"The deletion of customer {tenant} is {record.state}: too late to abort"
            raise NotAbortable(message)
        deletion = in_hand(pipeline, record)
        try:
            deletion.finish(State.ABORTED, f"aborted by {by}", "Request it again to start anew.")
        except RecordChanged:
            continue
        return deletion.record
