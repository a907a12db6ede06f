"""Records and plans as JSON, in the one form that all answers use."""

from datetime import datetime
from typing import Any

from shared.deletion.dry_run import DryRun
from shared.purchases.plan import Entry, make_plan
from shared.storage.records import DeletionRecord


def record_members(record: DeletionRecord, now: datetime) -> dict[str, Any]:
    """Return a record; the purchases stand as they stood at the end of a finished deletion."""
    plan = make_plan(record.purchases, record.finished_at or now)
    return {
        "tenantId": record.tenant,
        "domain": record.domain,
        "state": record.state,
        "reason": record.reason,
        "remedy": record.remedy,
        "lastError": record.last_error,
        "requestedBy": record.requested_by,
        "requestedAt": timestamp(record.requested_at),
        "deadline": timestamp(record.deadline),
        "nextCheckAt": timestamp(record.next_check_at),
        "finishedAt": timestamp(record.finished_at),
        "correlationId": record.correlation_id,
        "purchases": [_entry_members(entry) for entry in plan.entries],
    }


def dry_run_members(found: DryRun) -> dict[str, Any]:
    """Return what a deletion would begin with; `next` is the first thing it would do."""
    return {
        "tenantId": found.customer.id,
        "domain": found.customer.domain,
        "companyName": found.customer.company_name,
        "dryRun": True,
        "next": "delete" if found.plan.clear else "cancel",
        "purchases": [_entry_members(entry) for entry in found.plan.entries],
    }


def timestamp(value: datetime | None) -> str | None:
    """Return a timestamp by RFC 3339, to the second."""
    return None if value is None else value.isoformat(timespec="seconds")


def _entry_members(entry: Entry) -> dict[str, Any]:
    purchase = entry.purchase
    return {
        "kind": purchase.kind,
        "id": purchase.id,
        "name": purchase.name,
        "product": purchase.product,
        "status": purchase.status,
        "standing": entry.standing,
        "move": entry.move,
        "reason": entry.reason,
        "createdAt": timestamp(purchase.created),
    }
