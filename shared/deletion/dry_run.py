"""Shows what a deletion would do, under the same rules; writes nothing."""

from dataclasses import dataclass
from typing import Final

from shared.events import Event, emit
from shared.partner_center.resources import Customer
from shared.purchases.plan import Plan, make_plan
from shared.purchases.snapshot import merge_snapshot, take_snapshot
from shared.safety.rules import Refused
from shared.services import Services
from shared.tenants import TenantId

_NOTHING_REMEMBERED: Final = Plan(())


@dataclass(frozen=True, slots=True)
class DryRun:
    """A customer, and the plan that its deletion would start with."""

    customer: Customer
    plan: Plan


def dry_run(services: Services, tenant: TenantId) -> DryRun:
    """Return what a deletion would start with, and write nothing.

    Raises Refused, or the errors of Partner Center.
    """
    with services.conversation() as client:
        customer = services.safety.require_customer(client, tenant)
        with services.safety.confirming_gone(client, tenant):
            snapshot = take_snapshot(client, tenant, _NOTHING_REMEMBERED)
        services.safety.require_sandbox_purchases(snapshot.subscriptions or ())
    return DryRun(customer, make_plan(merge_snapshot(snapshot), services.now()))


def log_dry_run(services: Services, tenant: TenantId) -> None:
    """Log what a deletion would do, one line for each purchase."""
    try:
        found = dry_run(services, tenant)
    except Refused as refusal:
        emit(Event.DRY_RUN_FINISHED, tenant=tenant, outcome="refused", reason=str(refusal))
        return
    _log_plan(tenant, found.plan)
    emit(
        Event.DRY_RUN_FINISHED,
        tenant=tenant,
        domain=found.customer.domain,
        outcome="delete" if found.plan.clear else "cancel",
        never=len(found.plan.never),
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
