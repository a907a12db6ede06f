"""Takes a message in: claims its deletion in the records, or says why it is dropped."""

import uuid
from datetime import datetime

from shared.deletion.claims import Claim, claim_request, claim_step, claimed, started
from shared.deletion.deletion import Deletion
from shared.deletion.messages import DeletionRequest, StepMessage
from shared.events import Event, emit
from shared.services import Pipeline
from shared.storage.records import DeletionRecord, RecordChanged, RecordExists


def admit_request(
    pipeline: Pipeline, request: DeletionRequest, message_id: str, inserted_at: datetime | None
) -> Deletion | None:
    """Claim the deletion that a dropped message asks for; None where it is in progress."""
    while True:
        record = pipeline.records.get(request.tenant)
        claim = claim_request(record, message_id, inserted_at)
        if claim is Claim.DUPLICATE:
            emit(Event.DELETION_DUPLICATE, tenant=request.tenant, message=message_id)
            return None
        if record is None or claim is Claim.START:
            record = new_record(pipeline, request, record)
        try:
            mine = write(pipeline, claimed(record, record.generation, message_id, pipeline.now()))
        except (RecordExists, RecordChanged):
            continue
        emit(
            Event.DELETION_STARTED,
            tenant=mine.tenant,
            correlation=mine.correlation_id,
            requested_by=mine.requested_by or None,
        )
        return in_hand(pipeline, mine)


def admit_step(pipeline: Pipeline, message: StepMessage, message_id: str) -> Deletion | None:
    """Claim the deletion that one of our own messages moves on; None where it is outdated."""
    while True:
        record = pipeline.records.get(message.tenant)
        claim = claim_step(record, message, message_id)
        if record is None or claim is not Claim.CONTINUE:
            event = Event.MESSAGE_STALE if claim is Claim.STALE else Event.DELETION_DUPLICATE
            emit(event, tenant=message.tenant, generation=message.generation, message=message_id)
            return None
        try:
            mine = pipeline.records.replace(
                claimed(record, message.generation, message_id, pipeline.now())
            )
        except RecordChanged:
            continue
        return in_hand(pipeline, mine)


def new_record(
    pipeline: Pipeline, request: DeletionRequest, previous: DeletionRecord | None
) -> DeletionRecord:
    """Return the record of a new deletion, not written yet."""
    now = pipeline.now()
    return started(
        request,
        previous,
        correlation_id=str(uuid.uuid4()),
        now=now,
        deadline=now + pipeline.settings.checks.deadline,
    )


def write(pipeline: Pipeline, record: DeletionRecord) -> DeletionRecord:
    """Insert a new record or replace the one it was made from.

    Raises RecordExists or RecordChanged.
    """
    records = pipeline.records
    return records.replace(record) if record.etag else records.insert(record)


def in_hand(pipeline: Pipeline, record: DeletionRecord) -> Deletion:
    """Return the deletion with a client that carries its correlation ID."""
    return Deletion(pipeline, record, pipeline.client(record.correlation_id))
