"""The steps of a deletion, one per message: read, plan, act, decide on the next message."""

from dataclasses import replace
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery, claim_request, claim_step
from shared.deletion.deletion import Deletion, is_at_longest_delay
from shared.deletion.dry_run import run_dry
from shared.deletion.error_handling import error_handling
from shared.deletion.messages import DeletionRequest, Drop, StepMessage
from shared.deletion.reasons import (
    rejected_delete_reason,
    rejected_delete_remedy,
    retry_at,
    unfinished_reason,
    unfinished_remedy,
)
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    Busy,
    ErrorStatus,
    NoRelationship,
    NotASandbox,
    NotFound,
    PartnerCenterError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from shared.purchases.cancellation import Sender, carry_out
from shared.purchases.plan import Plan, make_plan
from shared.purchases.purchase import forget_sent
from shared.purchases.snapshot import merge_snapshot, take_snapshot
from shared.services import Services
from shared.storage.history import EntryKind
from shared.storage.memory import require_room
from shared.storage.names import CUSTOMERS_READY, CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.queues import Queues
from shared.storage.records import DeletionRecord, State


def take_drop(services: Services, drop: Drop, delivery: Delivery) -> None:
    """Handle the only request of a drop, or put each of several back on the queue."""
    if len(drop) == 1:
        cancel_orders(services, drop[0], delivery)
    else:
        _split(services.queues, drop, delivery)


def _split(queues: Queues, drop: Drop, delivery: Delivery) -> None:
    """Send a message for each request.

    A drop that is delivered again is split again. Each message carries when the drop was inserted,
    so that the later ones count as dropped before the end, or the abort, of what the first started.
    """
    for request in drop:
        forwarded = replace(request, dropped_at=delivery.inserted_at)
        queues.send(CUSTOMERS_TO_DELETE, forwarded.to_json())
    emit(Event.REQUESTS_SPLIT, message=delivery.message_id, requests=len(drop))


def cancel_orders(services: Services, request: DeletionRequest, delivery: Delivery) -> None:
    """Start the deletion that a dropped message asks for, and take its first step."""
    if request.dry_run:
        run_dry(services, request, delivery)
        return
    deadline = services.settings.checks.deadline
    record = claim_request(services.records, request, delivery, services.now(), deadline)
    if record is not None:
        deletion = Deletion.of(services, record)
        deletion.journal.requested()
        _cancel(services, deletion, "cancel_orders")


def check_orders(services: Services, message: StepMessage, delivery: Delivery) -> None:
    """Read a customer again and take the next step."""
    record = claim_step(services.records, message, delivery.message_id, services.now())
    if record is not None:
        _cancel(services, Deletion.of(services, record), "check_orders")


def delete_customer(services: Services, message: StepMessage, delivery: Delivery) -> None:
    """Send the DELETE for a customer whose purchases have all ended."""
    record = claim_step(services.records, message, delivery.message_id, services.now())
    if record is None:
        return
    deletion = Deletion.of(services, record)
    gate = deletion.require_deletable
    if record.state is State.DELETING:
        # The step before may have died between its DELETE and its last write.
        deletion.journal.note(EntryKind.UNCLEAR, "an earlier step may have sent a DELETE")
    with error_handling(services, deletion, "delete_customer", CUSTOMERS_READY, gate) as client:
        services.safety.require_writable()
        customer = services.safety.require_customer(client, record.tenant)
        deletion.record = replace(deletion.record, seen=True, domain=customer.domain)
        try:
            _send_delete(deletion, client)
        except (NotFound, NoRelationship, NotASandbox, Unauthorized, Throttled, Unavailable):
            # Not a verdict on the customer's purchases, so error_handling decides.
            raise
        except ErrorStatus as error:
            _after_rejected_delete(deletion, error)
        else:
            deletion.finish(State.DELETED)


def _send_delete(deletion: Deletion, client: PartnerCenter) -> None:
    """Send the DELETE; an error that says it was not carried out leaves the state as it was.

    A DELETE of an earlier step may still have been carried out: then the state was `deleting`.
    """
    before = deletion.record.state
    try:
        client.delete_customer(deletion.record.tenant)
    except (TipsweepError, AzureError) as error:
        if not (isinstance(error, PartnerCenterError) and error.may_be_done):
            deletion.record = replace(deletion.record, state=before)
        raise


def _cancel(services: Services, deletion: Deletion, step: str) -> None:
    """Cancel what is open, and decide on the next message from the outcome."""
    gate = deletion.require_writable
    with error_handling(services, deletion, step, ORDERS_TO_CHECK, gate) as client:
        services.safety.require_writable()
        customer = services.safety.require_customer(client, deletion.record.tenant)
        deletion.record = replace(deletion.record, seen=True, domain=customer.domain)

        now = services.now()
        remembered = make_plan(deletion.record.purchases, now)
        snapshot = take_snapshot(client, customer.id, remembered, deletion.record.attempt)
        if snapshot.left_out:
            deletion.record = replace(deletion.record, last_error=snapshot.left_out)
        # Only the purchases show this part of rule 2, so it stands between reading and writing.
        services.safety.require_sandbox_purchases(snapshot.subscriptions or ())
        purchases = merge_snapshot(snapshot, deletion.record.purchases)
        # A call must not be sent that the record could not remember.
        require_room(purchases)
        if is_at_longest_delay(deletion.checks, deletion.record.attempt):
            # An accepted call may have had no effect; at this rate, repeating it costs little.
            purchases = forget_sent(purchases)

        sender = Sender(client, customer.id, snapshot.subscriptions_by_id(), services.now)
        found = carry_out(sender, purchases, now)
        progress = len(found.plan.unfinished) < len(remembered.unfinished)
        attempt = 0 if progress else deletion.record.attempt
        deletion.record = replace(deletion.record, purchases=found.purchases, attempt=attempt)
        # Raised last, so that postponing the deletion keeps what this step has learned.
        if found.interruption is not None:
            raise found.interruption
        if found.missing is not None:
            # One odd order must not end the deletion, but a customer that is gone must.
            services.safety.require_present(client, customer.id)
        _decide(deletion, found.plan)


def _decide(deletion: Deletion, plan: Plan) -> None:
    """Send the message that follows a step, or end a deletion that took too long."""
    if plan.clear:
        emit(Event.DELETION_READY, **deletion.ids, never=len(plan.never))
        deletion.send_on(CUSTOMERS_READY, changed=_checked(deletion.record))
        deletion.journal.note(EntryKind.READY)
    elif plan.wait_until is not None:
        _wait_until(deletion, plan, plan.wait_until)
    elif deletion.ends_late():
        deletion.finish(State.STUCK, unfinished_reason(plan), unfinished_remedy(plan))
    else:
        _wait(deletion, plan, deletion.delay(), deletion.record)


def _wait_until(deletion: Deletion, plan: Plan, until: datetime) -> None:
    """Wait as Partner Center asks for: that says nothing about the customer, so it is parked."""
    now = deletion.now()
    delay = deletion.delay(max(0.0, (until - now).total_seconds()))
    _wait(deletion, plan, delay, replace(deletion.record, parked_since=now))


def _wait(deletion: Deletion, plan: Plan, delay: timedelta, changed: DeletionRecord) -> None:
    open_count, waiting_count = len(plan.open), len(plan.waiting)
    deletion.journal.note(EntryKind.WAITING, f"{open_count} open, {waiting_count} waited for")
    emit(
        Event.DELETION_WAITING,
        **deletion.ids,
        open=open_count,
        waiting=waiting_count,
        delay_seconds=round(delay.total_seconds(), 1),
    )
    _check_after(deletion, delay, changed)


def _check_after(deletion: Deletion, delay: timedelta, changed: DeletionRecord) -> None:
    checked = _checked(replace(changed, attempt=changed.attempt + 1))
    deletion.send_on(ORDERS_TO_CHECK, delay, checked)


def _checked(record: DeletionRecord) -> DeletionRecord:
    """Return the record after a look at the customer; a DELETE may still have been carried out."""
    return record if record.state is State.DELETING else replace(record, state=State.CHECKING)


def _after_rejected_delete(deletion: Deletion, error: ErrorStatus) -> None:
    """End as stuck if nothing can change any more; otherwise read everything again."""
    now = deletion.now()
    plan = make_plan(deletion.record.purchases, now)
    reason = rejected_delete_reason(str(error), plan)
    emit(Event.DELETE_REJECTED, **deletion.ids, reason=reason)
    busy = isinstance(error, Busy)
    must_wait = busy and error.retry_after is not None
    ends_late = not must_wait and deletion.ends_late()
    if ends_late or (plan.never and not busy):
        later = retry_at(plan, now)
        deletion.finish(State.STUCK, reason, rejected_delete_remedy(plan, later), later)
        return
    # The plan is clear, so the next step reads everything again and finds what was missed. What
    # was rejected for good need not be tried again only because the customer is busy.
    kept = deletion.record.purchases if plan.never else ()
    parked_since = now if must_wait else None
    changed = replace(deletion.record, reason=reason, purchases=kept, parked_since=parked_since)
    if not isinstance(error, Busy):
        # A definite no to this DELETE, and so to an earlier one without a clear response.
        changed = replace(changed, state=State.CHECKING)
    deletion.journal.note(EntryKind.WAITING, reason)
    _check_after(deletion, deletion.delay(error.retry_after), changed)
