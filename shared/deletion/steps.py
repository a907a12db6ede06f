"""The steps of a deletion, one per message: read, plan, act, decide on the next message."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery, claim_request, claim_step, take_step
from shared.deletion.deletion import Deletion, is_at_longest_delay
from shared.deletion.dry_run import run_dry
from shared.deletion.error_handling import error_handling, handled
from shared.deletion.messages import DeletionRequest, Drop, StepMessage
from shared.deletion.reasons import (
    LATE_REMEDY,
    UNCLEAR_DELETE_REASON,
    rejected_delete_reason,
    rejected_delete_remedy,
    retry_at,
    unfinished_reason,
    unfinished_remedy,
)
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.deadline import STEP_SECONDS
from shared.partner_center.errors import (
    TOKEN_REFUSED,
    Busy,
    ErrorStatus,
    NoRelationship,
    NotASandbox,
    NotFound,
    PartnerCenterError,
    Throttled,
    Unavailable,
)
from shared.purchases.cancellation import Sender, carry_out
from shared.purchases.plan import Plan, closed_since, make_plan
from shared.purchases.purchase import forget_sent
from shared.purchases.snapshot import PurchaseReader, merge_snapshot, take_snapshot
from shared.services import Services
from shared.storage.history import EntryKind
from shared.storage.memory import require_room
from shared.storage.names import CUSTOMERS_READY, CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK
from shared.storage.records import DeletionRecord, State
from shared.tenants import TenantId

# The step that sent it has ended by then, and with it the call.
EARLIER_DELETE: Final = timedelta(seconds=STEP_SECONDS * 1.2)


def take_drop(services: Services, drop: Drop, delivery: Delivery) -> None:
    """Handle the only request of a drop, or put each of several back on the queue."""
    if len(drop) == 1:
        cancel_orders(services, drop[0], delivery)
    else:
        _split(services, drop, delivery)


def _split(services: Services, drop: Drop, delivery: Delivery) -> None:
    """Send a message for each request.

    A drop that is delivered again is split again. Each message carries when the drop was inserted,
    so that the later ones count as dropped before the end, or the abort, of what the first started.
    """
    trip = services.switch.unstored
    for request in drop:
        text = request.sealed(delivery.inserted_at, delivery.known_since, trip)
        services.queues.send(CUSTOMERS_TO_DELETE, text)
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
    taken = take_step(services.records, message, delivery.message_id, services.now())
    if taken is None:
        return
    deletion = Deletion.of(services, taken.record)
    gate = deletion.require_deletable
    if taken.record.state is State.DELETING:
        # The step before may have died between its DELETE and its last write.
        deletion.journal.note(EntryKind.UNCLEAR, "an earlier step may have sent a DELETE")
    with error_handling(services, deletion, "delete_customer", CUSTOMERS_READY, gate) as client:
        _require_customer(services, deletion, client)
        if taken.again and _may_still_run(taken.record):
            _wait_for_earlier_delete(deletion)
            return
        try:
            _send_delete(deletion, client)
        except (NotFound, NoRelationship, NotASandbox, *TOKEN_REFUSED, Throttled, Unavailable):
            # Not a verdict on the customer's purchases, so error_handling decides.
            raise
        except ErrorStatus as error:
            reader = _reader(services, client, deletion.record.tenant)
            # What fails from here on must not bring another DELETE before the next look.
            with handled(deletion, ORDERS_TO_CHECK, client):
                _after_rejected_delete(deletion, reader, error)
        else:
            deletion.finish(State.DELETED)


def _require_customer(services: Services, deletion: Deletion, client: PartnerCenter) -> None:
    """Apply the rules to the customer before anything is written, and note that it was seen."""
    services.safety.require_writable()
    if deletion.record.state is State.DELETING:
        services.safety.require_undeleted(client, deletion.record.tenant)
    tenant, seen = deletion.record.tenant, deletion.record.seen
    customer = services.safety.require_customer(client, tenant, seen=seen)
    deletion.record = replace(deletion.record, seen=True, domain=customer.domain)


def _may_still_run(record: DeletionRecord) -> bool:
    """Whether the DELETE of an earlier delivery may be on its way; a failed try has ended."""
    return record.state is State.DELETING and not record.failures


def _wait_for_earlier_delete(deletion: Deletion) -> None:
    """Come back when the DELETE of an earlier delivery of this message has certainly ended.

    The customer is still there, and two DELETEs at once would be one too many. After the deadline,
    a last look follows instead of a DELETE: the host may stop at each of them.
    """
    deletion.journal.note(EntryKind.WAITING, "an earlier DELETE may still be running")
    queue = ORDERS_TO_CHECK if deletion.ends_late() else CUSTOMERS_READY
    deletion.send_again(queue, EARLIER_DELETE)


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


def _reader(services: Services, client: PartnerCenter, tenant: TenantId) -> PurchaseReader:
    """Return what reads a customer's purchases, under the part of rule 2 that only these show."""
    return PurchaseReader(client, tenant, services.safety.require_sandbox_purchases)


def _cancel(services: Services, deletion: Deletion, step: str) -> None:
    """Cancel what is open, and decide on the next message from the outcome."""
    gate = deletion.require_writable
    with error_handling(services, deletion, step, ORDERS_TO_CHECK, gate) as client:
        _require_customer(services, deletion, client)
        tenant, now = deletion.record.tenant, services.now()
        remembered = make_plan(deletion.record.purchases, now)
        reader = _reader(services, client, tenant)
        snapshot = take_snapshot(reader, remembered, deletion.record.attempt)
        if snapshot.left_out:
            deletion.record = replace(deletion.record, last_error=snapshot.left_out)
        purchases = merge_snapshot(snapshot, deletion.record.purchases)
        # A call must not be sent that the record could not remember.
        require_room(purchases)
        if deletion.record.resumed:
            deletion.journal.perhaps_sent(closed_since(remembered, make_plan(purchases, now)))
        if is_at_longest_delay(deletion.checks, deletion.record.attempt):
            # An accepted call may have had no effect; at this rate, repeating it costs little.
            purchases = forget_sent(purchases)

        sender = Sender(reader, snapshot.subscriptions_by_id(), services.now)
        found = carry_out(sender, purchases, now, deletion.record.attempt)
        progress = len(found.plan.unfinished) < len(remembered.unfinished)
        attempt = 0 if progress else deletion.record.attempt
        deletion.record = replace(deletion.record, purchases=found.purchases, attempt=attempt)
        # Raised last, so that postponing the deletion keeps what this step has learned.
        if found.interruption is not None:
            raise found.interruption
        if found.missing is not None:
            # One odd order must not end the deletion, but a customer that is gone must.
            services.safety.require_present(client, tenant, seen=True)
        if found.forbidden is not None:
            raise found.forbidden
        _decide(deletion, found.plan, crowded=services.budget.crowded)
        due = deletion.record.next_check_at
        if due is not None and not found.plan.clear:
            services.budget.expect((due - services.now()).total_seconds())


def _decide(deletion: Deletion, plan: Plan, *, crowded: bool) -> None:
    """Send the message that follows a step, or end a deletion that took too long."""
    if plan.clear:
        _go_on_to_delete(deletion, plan)
        return
    delay = _delay(deletion, plan.wait_until, crowded=crowded)
    if deletion.ends_late():
        deletion.finish(State.STUCK, unfinished_reason(plan), unfinished_remedy(plan))
    else:
        _wait(deletion, plan, delay)


def _go_on_to_delete(deletion: Deletion, plan: Plan) -> None:
    """Send the message of the DELETE, unless earlier ones have led to nothing for too long."""
    if deletion.record.state is State.DELETING and deletion.ends_late():
        deletion.finish(State.STUCK, UNCLEAR_DELETE_REASON, LATE_REMEDY)
        return
    emit(Event.DELETION_READY, **deletion.ids, never=len(plan.never))
    deletion.send_on(CUSTOMERS_READY, changed=_checked(deletion.record))
    deletion.journal.note(EntryKind.READY)


def _delay(deletion: Deletion, until: datetime | None, *, crowded: bool) -> timedelta:
    """Return the delay before the next check, until a time that Partner Center has asked for."""
    if until is None:
        return deletion.delay(crowded=crowded)
    delay = deletion.delay(max(0.0, (until - deletion.now()).total_seconds()))
    deletion.grant(delay)
    return delay


def _wait(deletion: Deletion, plan: Plan, delay: timedelta) -> None:
    open_count, waiting_count = len(plan.open), len(plan.waiting)
    deletion.journal.note(EntryKind.WAITING, f"{open_count} open, {waiting_count} waited for")
    emit(
        Event.DELETION_WAITING,
        **deletion.ids,
        open=open_count,
        waiting=waiting_count,
        delay_seconds=round(delay.total_seconds(), 1),
    )
    _check_after(deletion, delay, deletion.record)


def _check_after(deletion: Deletion, delay: timedelta, changed: DeletionRecord) -> None:
    checked = _checked(replace(changed, attempt=changed.attempt + 1))
    deletion.send_on(ORDERS_TO_CHECK, delay, checked)


def _checked(record: DeletionRecord) -> DeletionRecord:
    """Return the record after a look at the customer; a DELETE may still have been carried out."""
    return record if record.state is State.DELETING else replace(record, state=State.CHECKING)


def _after_rejected_delete(deletion: Deletion, reader: PurchaseReader, error: ErrorStatus) -> None:
    """End as stuck if nothing can change; otherwise read everything again."""
    plan = make_plan(deletion.record.purchases, deletion.now())
    reason = rejected_delete_reason(str(error), plan)
    emit(Event.DELETE_REJECTED, **deletion.ids, reason=reason)
    delay = deletion.delay(error.retry_after)
    busy = isinstance(error, Busy)
    if busy and error.retry_after is not None:
        deletion.grant(delay)
    ends = deletion.ends_late() or (
        plan.never and not busy and not _finds_more(deletion, reader, plan)
    )
    if ends:
        later = retry_at(plan, deletion.now())
        deletion.finish(State.STUCK, reason, rejected_delete_remedy(plan, later), later)
        return
    # The plan is clear, so the next step reads everything again and finds what was missed. What
    # was rejected for good need not be tried again only because the customer is busy.
    kept = deletion.record.purchases if plan.never else ()
    changed = replace(deletion.record, reason=reason, purchases=kept)
    if not busy and error.response.coded:
        # A definite no to this DELETE, and so to an earlier one without a clear response.
        changed = replace(changed, state=State.CHECKING)
    deletion.journal.note(EntryKind.WAITING, reason)
    _check_after(deletion, delay, changed)


def _finds_more(deletion: Deletion, reader: PurchaseReader, plan: Plan) -> bool:
    """Read everything again after a rejected DELETE; whether there is more to cancel.

    A late order may be what blocks it, not the purchases that can never be cancelled.
    """
    record = deletion.record
    snapshot = take_snapshot(reader, plan, record.attempt)
    purchases = merge_snapshot(snapshot, record.purchases)
    require_room(purchases)
    deletion.record = replace(record, purchases=purchases)
    return not make_plan(purchases, deletion.now()).clear
