"""Takes a message in: claims its deletion in the records, or says why it is dropped."""

import uuid
from datetime import datetime

from shared.deletion.claims import Claim, claim_request, claim_step, claimed, started
from shared.deletion.deletion import Deletion
from shared.deletion.messages import DeletionRequest, StepMessage
from shared.events import Event, emit
from shared.services import Services
from shared.storage.records import DeletionRecord, RecordChanged, RecordExists


def admit_request(
    services: Services, request: DeletionRequest, message_id: str, inserted_at: datetime | None
) -> Deletion | None:
    """Claim the deletion that a dropped message asks for; None where it is in progress."""
    while True:
        record = services.records.get(request.tenant)
        claim = claim_request(record, message_id, inserted_at)
        if claim is Claim.DUPLICATE:
            emit(Event.DELETION_DUPLICATE, tenant=request.tenant, message=message_id)
            return None
        if record is None or claim is Claim.START:
            record = new_record(services, request, record)
        try:
            mine = write(services, claimed(record, record.generation, message_id, services.now()))
        except (RecordExists, RecordChanged):
            continue
        emit(
            Event.DELETION_STARTED,
            tenant=mine.tenant,
            correlation=mine.correlation_id,
            requested_by=mine.requested_by or None,
        )
        return in_hand(services, mine)


def admit_step(services: Services, message: StepMessage, message_id: str) -> Deletion | None:
    """Claim the deletion that one of our own messages moves on; None where it is outdated."""
    while True:
        record = services.records.get(message.tenant)
        claim = claim_step(record, message, message_id)
        if record is None or claim is not Claim.CONTINUE:
            event = Event.MESSAGE_STALE if claim is Claim.STALE else Event.DELETION_DUPLICATE
            emit(event, tenant=message.tenant, generation=message.generation, message=message_id)
            return None
        try:
            mine = services.records.replace(
                claimed(record, message.generation, message_id, services.now())
            )
        except RecordChanged:
            continue
        return in_hand(services, mine)


def new_record(
    services: Services, request: DeletionRequest, previous: DeletionRecord | None
) -> DeletionRecord:
    """Return the record of a new deletion, not written yet."""
    now = services.now()
    return started(
        request,
        previous,
        correlation_id=str(uuid.uuid4()),
        now=now,
        deadline=now + services.settings.checks.deadline,
    )


def write(services: Services, record: DeletionRecord) -> DeletionRecord:
    """Insert a new record or replace the one it was made from.

    Raises RecordExists or RecordChanged.
    """
    records = services.records
    return records.replace(record) if record.etag else records.insert(record)


def in_hand(services: Services, record: DeletionRecord) -> Deletion:
    """Return the deletion with a client that carries its correlation ID."""
    return Deletion(services, record, services.client(record.correlation_id))
