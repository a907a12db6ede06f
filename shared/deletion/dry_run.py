"""Finds a customer under the safety rules and tells what a deletion would do; writes nothing."""

import uuid
from dataclasses import dataclass

from shared.deletion.messages import DeletionRequest
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import AccessDenied, NoRelationship, NotFound
from shared.partner_center.resources import Customer
from shared.purchases.plan import Plan, make_plan
from shared.purchases.purchase import merge_snapshot
from shared.purchases.snapshot import take_snapshot
from shared.safety.rules import (
    ForeignCustomer,
    Refused,
    Rule,
    require_confirmation,
    require_other_tenant,
    require_sandbox_limits,
    require_sandbox_size,
    require_token_tenant,
    require_unlisted,
    require_unprotected,
)
from shared.services import Services
from shared.tenants import TenantId

_UNAUTHORIZED = 401


def find_customer(services: Services, client: PartnerCenter, tenant: TenantId) -> Customer:
    """Return the customer if rules 1 to 3 allow its deletion as far as they can tell yet.

    Raises Refused; ForeignCustomer where this partner has no such customer.
    """
    settings = services.settings
    require_other_tenant(tenant, settings.partner_center.tenant_id)
    require_unlisted(tenant, settings.protection)
    require_confirmation(settings)
    require_token_tenant(client.token_tenant(), settings.partner_center.tenant_id)
    customers = services.customer_list.customers(client)
    require_sandbox_size(len(customers))
    customer = customers.get(tenant) or services.customer_list.newer(tenant)
    if customer is None:
        customer = customer_by_id(client, tenant)
        services.customer_list.remember(customer)
    require_unprotected(customer, settings.protection)
    return customer


def customer_by_id(client: PartnerCenter, tenant: TenantId) -> Customer:
    """Ask for one customer.

    Raises ForeignCustomer where this partner has none of that ID, and another Refused where it may
    not see it: that must not be taken for a customer that is gone.
    """
    try:
        return client.customer(tenant)
    except (NotFound, NoRelationship) as error:
        raise ForeignCustomer(tenant) from error
    except AccessDenied as error:
        if error.response.status == _UNAUTHORIZED:
            raise
        finding = f"Partner Center does not show tenant {tenant} ({error})"
        remedy = "Check the ID, and the rights of the app registration."
        raise Refused(Rule.CUSTOMER, finding, remedy) from error


@dataclass(frozen=True, slots=True)
class DryRun:
    """A customer, and the plan that its deletion would begin with."""

    customer: Customer
    plan: Plan


def dry_run(services: Services, tenant: TenantId) -> DryRun:
    """Return what a deletion would begin with, and write nothing.

    Raises Refused, or the errors of Partner Center.
    """
    client = services.client(str(uuid.uuid4()))
    customer = find_customer(services, client, tenant)
    look = take_snapshot(client, tenant, (), services.now())
    require_sandbox_limits(look.subscriptions or ())
    return DryRun(customer, make_plan(merge_snapshot(look), services.now()))


def log_dry_run(services: Services, request: DeletionRequest) -> None:
    """Log what a deletion would do, one line for each purchase."""
    tenant = request.tenant
    try:
        found = dry_run(services, tenant)
    except Refused as refusal:
        emit(Event.DRY_RUN_FINISHED, tenant=tenant, outcome="refused", reason=str(refusal))
        return
    plan = found.plan
    for entry in plan.entries:
        emit(
            Event.DRY_RUN_ACTION,
            tenant=tenant,
            kind=entry.purchase.kind,
            id=entry.purchase.id,
            name=entry.purchase.name or None,
            status=entry.purchase.status,
            standing=entry.standing,
            move=entry.move,
            reason=entry.reason or None,
        )
    outcome = "delete" if plan.clear else "cancel"
    emit(
        Event.DRY_RUN_FINISHED,
        tenant=tenant,
        domain=found.customer.domain,
        outcome=outcome,
        never=len(plan.never),
    )
