"""Shows what a deletion would do, under the same rules; writes nothing to Partner Center.

Over the queue, the result is stored beside the deletion records, and whatever happens to a dry run,
no deletion record is written.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery
from shared.deletion.deletion import next_delay
from shared.deletion.dry_run_result import DryRunResult, Outcome
from shared.deletion.held_up import described, is_outside, log_held_up
from shared.deletion.messages import DeletionRequest
from shared.events import Event, emit
from shared.partner_center.errors import HeldBack, PartnerCenterError
from shared.partner_center.resources import Customer
from shared.purchases.plan import Plan, make_plan
from shared.purchases.snapshot import PurchaseReader, merge_snapshot, take_snapshot
from shared.safety.rules import Refused
from shared.services import Services, StorageServices
from shared.storage.history import EntryKind, HistoryEntry
from shared.storage.names import CUSTOMERS_TO_DELETE
from shared.storage.plans import UnreadablePlan
from shared.storage.rejected import RejectedMessage
from shared.tenants import TenantId

_NOTHING_REMEMBERED: Final = Plan(())
_FAILED_REMEDY: Final = "Find the cause in the log, then request the dry run again."


@dataclass(frozen=True, slots=True)
class DryRun:
    """A customer, and the plan that its deletion would start with."""

    customer: Customer
    plan: Plan


def dry_run(services: Services, tenant: TenantId) -> DryRun:
    """Return what a deletion would start with.

    Raises Refused, or the errors of Partner Center.
    """
    with services.conversation() as client:
        customer = services.safety.require_customer(client, tenant)
        reader = PurchaseReader(client, tenant, services.safety.require_sandbox_purchases)
        with services.safety.confirming_gone(client, tenant):
            snapshot = take_snapshot(reader, _NOTHING_REMEMBERED)
    return DryRun(customer, make_plan(merge_snapshot(snapshot), services.now()))


def dry_run_now(services: Services, request: DeletionRequest) -> DryRun:
    """Make the dry run that a caller waits for; the history tells if it is refused or fails."""
    try:
        return dry_run(services, request.tenant)
    except Refused as refusal:
        _tell(services, request, EntryKind.DRY_RUN_REFUSED, str(refusal))
        raise
    except PartnerCenterError as error:
        _tell(services, request, EntryKind.DRY_RUN_FAILED, str(error))
        raise


def run_dry(services: Services, request: DeletionRequest, delivery: Delivery) -> None:
    """Make the dry run that a dropped message asks for, and store and log its result.

    Trouble that passes, or that a person ends, puts the request back on its queue; any other error
    is stored and raised.
    """
    try:
        _find_out(services, request)
    except Exception as error:
        if isinstance(error, PartnerCenterError | AzureError) and is_outside(error):
            _put_back(services, request, delivery, error)
            return
        _note_try(services, request, error)
        raise


def _find_out(services: Services, request: DeletionRequest) -> None:
    try:
        found = dry_run(services, request.tenant)
    except Refused as refusal:
        reason = f"rule {refusal.rule}: {refusal.finding}"
        refused = _result(services, request, Outcome.REFUSED)
        _keep(services, replace(refused, reason=reason, remedy=refusal.remedy))
        _tell(services, request, EntryKind.DRY_RUN_REFUSED, str(refusal))
    else:
        _log_plan(request.tenant, found.plan)
        planned = _result(services, request, Outcome.DELETE if found.plan.clear else Outcome.CANCEL)
        _keep(
            services,
            replace(
                planned,
                domain=found.customer.domain,
                company_name=found.customer.company_name,
                entries=found.plan.entries,
            ),
            never=len(found.plan.never),
        )


def _tell(
    services: StorageServices, request: DeletionRequest, kind: EntryKind, detail: str
) -> None:
    entry = HistoryEntry(kind, services.now(), request.requested_by, detail=detail)
    services.history.add(request.tenant, [entry])


def _note_try(services: Services, request: DeletionRequest, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    try:
        _keep(services, replace(_failure(services, request, reason), final=False))
    except AzureError as outage:
        # The error itself must reach the host.
        log_held_up(outage, tenant=request.tenant)


def note_failure(
    services: StorageServices, request: DeletionRequest, reason: str, message_id: str
) -> None:
    """Store and log that a dry run found nothing out, and will not be tried again.

    The failure is listed under the ID of its last message.
    """
    _keep(services, replace(_failure(services, request, reason), message_id=message_id))
    _tell(services, request, EntryKind.DRY_RUN_FAILED, reason)


def _failure(services: StorageServices, request: DeletionRequest, reason: str) -> DryRunResult:
    failed = _result(services, request, Outcome.FAILED)
    return replace(failed, reason=reason, remedy=_FAILED_REMEDY)


def _result(services: StorageServices, request: DeletionRequest, outcome: Outcome) -> DryRunResult:
    return DryRunResult(request.tenant, outcome, services.now(), request.requested_by)


def noted_failure(services: StorageServices, request: DeletionRequest, delivery: Delivery) -> str:
    """Return the error that a try of this very request has stored, "" if none has.

    `delivery` is that of the message on the poison queue. It was inserted there, or first put back,
    after its tries, but the host does not say when it was dropped. A message that has ended the
    request before may be delivered again.
    """
    result = _last_result(services, request.tenant)
    if result is None or result.outcome is not Outcome.FAILED:
        return ""
    if result.final:
        return result.reason if result.message_id == delivery.message_id else ""
    if result.requested_by != request.requested_by:
        return ""
    since = delivery.inserted_at
    if since is not None and not request.attempt:
        since -= services.settings.checks.deadline
    return result.reason if since is None or result.made_at >= since else ""


def _last_result(services: StorageServices, tenant: TenantId) -> DryRunResult | None:
    # One that cannot be read is logged, and says nothing about this request.
    with suppress(UnreadablePlan):
        return services.plans.last(tenant, DryRunResult.from_json)
    return None


def _keep(services: StorageServices, result: DryRunResult, never: int | None = None) -> None:
    services.plans.keep(result.tenant, result.to_json(), result.made_at)
    emit(
        Event.DRY_RUN_FINISHED,
        tenant=result.tenant,
        domain=result.domain or None,
        outcome=result.outcome,
        never=never,
        reason=result.reason or None,
    )


def _put_back(
    services: Services,
    request: DeletionRequest,
    delivery: Delivery,
    error: PartnerCenterError | AzureError,
) -> None:
    """Send the same request with a delay, until it is as old as a deletion may become.

    As a message of its own it does not come closer to the poison queue.
    """
    checks, now = services.settings.checks, services.now()
    dropped_at = delivery.inserted_at or delivery.known_since or now
    if now >= dropped_at + checks.deadline:
        _give_up(services, request, delivery, described(error))
        return
    retry_after = error.retry_after if isinstance(error, PartnerCenterError) else None
    delay = next_delay(checks, request.attempt, services.jitter(), retry_after)
    seconds = round(delay.total_seconds(), 1)
    log_held_up(error, tenant=request.tenant, delay_seconds=seconds)
    emit(
        Event.DRY_RUN_WAITING,
        tenant=request.tenant,
        delay_seconds=seconds,
        reason=described(error),
    )
    # Our own limit says nothing about Partner Center, so it does not make the tries rarer.
    attempt = request.attempt + (not isinstance(error, HeldBack))
    again = replace(request, attempt=attempt)
    text = again.sealed(dropped_at, trip=services.switch.unstored)
    services.queues.send(CUSTOMERS_TO_DELETE, text, delay)


def _give_up(services: Services, request: DeletionRequest, delivery: Delivery, reason: str) -> None:
    note_failure(services, request, reason, delivery.message_id)
    services.rejected.keep(
        RejectedMessage(
            queue=CUSTOMERS_TO_DELETE,
            message_id=delivery.message_id,
            body=request.to_json().encode(),
            tenant=request.tenant,
            reason=reason,
            at=services.now(),
        )
    )


def _log_plan(tenant: TenantId, plan: Plan) -> None:
    for entry in plan.entries:
        emit(
            Event.DRY_RUN_ACTION,
            tenant=tenant,
            kind=entry.purchase.kind,
            id=entry.purchase.id,
            name=entry.purchase.name or None,
            status=entry.purchase.status,
            standing=entry.standing,
            action=entry.action,
            reason=entry.reason or None,
        )
