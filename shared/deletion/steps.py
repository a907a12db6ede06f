"""The steps of a deletion, each one message long: read, plan, act, decide the next message."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.deletion.admission import admit_request, admit_step
from shared.deletion.delays import is_at_longest_delay
from shared.deletion.deletion import Deletion
from shared.deletion.dry_run import find_customer, log_dry_run
from shared.deletion.error_handling import require_switch, work
from shared.deletion.messages import DeletionRequest, StepMessage
from shared.deletion.reasons import (
    refused_delete_reason,
    refused_delete_remedy,
    unfinished_reason,
    unfinished_remedy,
)
from shared.events import Event, emit
from shared.partner_center.errors import (
    Busy,
    ErrorStatus,
    NoRelationship,
    NotASandbox,
    NotFound,
    NotSupportedHere,
    Throttled,
    Unavailable,
)
from shared.purchases.cancellation import CancellationResult, Sender, carry_out
from shared.purchases.plan import Plan, make_plan
from shared.purchases.purchase import forget_sent, merge_snapshot
from shared.purchases.snapshot import take_snapshot
from shared.safety.rules import require_sandbox_limits
from shared.services import Services
from shared.storage.names import CUSTOMERS_READY, ORDERS_TO_CHECK
from shared.storage.records import State

_AT_ONCE: Final = timedelta(0)
_UNAUTHORIZED: Final = 401


def request_deletion(
    services: Services, request: DeletionRequest, message_id: str, inserted_at: datetime | None
) -> None:
    """Start the deletion that a dropped message asks for, and make its first move."""
    if request.dry_run:
        log_dry_run(services, request)
        return
    deletion = admit_request(services, request, message_id, inserted_at)
    if deletion is not None:
        work(deletion, "cancel_orders", ORDERS_TO_CHECK, _advance)


def check_orders(services: Services, message: StepMessage, message_id: str) -> None:
    """Look at a customer again and make the next move."""
    deletion = admit_step(services, message, message_id)
    if deletion is not None:
        work(deletion, "check_orders", ORDERS_TO_CHECK, _advance)


def delete_customer(services: Services, message: StepMessage, message_id: str) -> None:
    """Send the DELETE of a customer whose purchases have all ended."""
    deletion = admit_step(services, message, message_id)
    if deletion is not None:
        work(deletion, "delete_customer", CUSTOMERS_READY, _delete)


def _guard(deletion: Deletion) -> None:
    """Apply the rules that come before the first write; raises Refused or SwitchTripped."""
    require_switch(deletion.services)
    customer = find_customer(deletion.services, deletion.client, deletion.record.tenant)
    deletion.record = replace(deletion.record, seen=True, domain=customer.domain)


def _advance(deletion: Deletion) -> None:
    _guard(deletion)
    record, now = deletion.record, deletion.services.now()
    look = take_snapshot(deletion.client, record.tenant, record.purchases, now)
    require_sandbox_limits(look.subscriptions or ())
    read = {each.id: each for each in look.subscriptions or ()}
    sender = Sender(deletion.client, record.tenant, read)
    purchases = merge_snapshot(look, record.purchases)
    if is_at_longest_delay(deletion.services.settings.checks, record.attempt):
        purchases = forget_sent(purchases)
    _decide(deletion, carry_out(sender, purchases, now, lambda: _must_stop(deletion)))


def _must_stop(deletion: Deletion) -> bool:
    """Ask before each single write: for the switch, and for an abort."""
    services = deletion.services
    record = services.records.get(deletion.record.tenant)
    overtaken = record is None or record.etag != deletion.record.etag
    return overtaken or services.switch.read().tripped


def _decide(deletion: Deletion, found: CancellationResult) -> None:
    """Send the message that follows a round of moves; progress shortens the wait again."""
    before = make_plan(deletion.record.purchases, deletion.services.now())
    progress = found.plan.unfinished < before.unfinished
    attempt = 0 if progress else deletion.record.attempt
    deletion.record = replace(deletion.record, purchases=found.purchases, attempt=attempt)
    if found.interruption is not None:
        raise found.interruption
    if found.plan.clear:
        never = len(found.plan.never)
        emit(Event.DELETION_READY, **deletion.ids, never=never)
        deletion.send_on(CUSTOMERS_READY, _AT_ONCE, state=State.CHECKING)
    elif deletion.overdue:
        plan = found.plan
        deletion.finish(State.STUCK, unfinished_reason(plan), unfinished_remedy(plan))
    else:
        _wait(deletion, found.plan)


def _wait(deletion: Deletion, plan: Plan) -> None:
    delay = deletion.delay()
    emit(
        Event.DELETION_WAITING,
        **deletion.ids,
        open=len(plan.open),
        waiting=len(plan.waiting),
        delay_seconds=round(delay.total_seconds(), 1),
    )
    attempt = deletion.record.attempt + 1
    deletion.send_on(ORDERS_TO_CHECK, delay, state=State.CHECKING, attempt=attempt)


def _delete(deletion: Deletion) -> None:
    _guard(deletion)
    # The guards may have waited for a listing meanwhile.
    require_switch(deletion.services)
    deletion.save(state=State.DELETING)
    try:
        deletion.client.delete_customer(deletion.record.tenant)
    except NotSupportedHere as error:
        # Production is expected to answer so, although no page says it.
        raise NotASandbox(error.response) from error
    except (NotFound, NoRelationship, NotASandbox, Throttled, Unavailable):
        raise
    except ErrorStatus as error:
        if error.response.status == _UNAUTHORIZED:
            raise
        _after_refused_delete(deletion, error)
    else:
        deletion.finish(State.DELETED)


def _after_refused_delete(deletion: Deletion, error: ErrorStatus) -> None:
    """End as stuck where nothing can change any more, else look at everything again."""
    plan = make_plan(deletion.record.purchases, deletion.services.now())
    reason = refused_delete_reason(str(error), plan)
    emit(Event.DELETE_REFUSED, **deletion.ids, reason=reason)
    if deletion.overdue or (plan.never and not isinstance(error, Busy)):
        deletion.finish(State.STUCK, reason, refused_delete_remedy(plan))
        return
    deletion.send_on(
        ORDERS_TO_CHECK,
        deletion.delay(),
        state=State.CHECKING,
        attempt=deletion.record.attempt + 1,
        reason=reason,
        purchases=(),
    )
