"""Records, plans and reports as JSON, in the form that all responses share."""

from datetime import datetime
from typing import Any

from shared.deletion.dry_run import DryRun
from shared.limits import SANDBOX_CUSTOMERS
from shared.purchases.plan import Entry, make_plan
from shared.storage.history import HistoryEntry
from shared.storage.records import DeletionRecord
from shared.sweep.decision import Candidate
from shared.sweep.report import SweepReport


def record_members(record: DeletionRecord, now: datetime) -> dict[str, Any]:
    """Return a record; for an ended deletion, the purchases are shown as they were at its end."""
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
    """Return what a deletion would start with; `next` is the first thing it would do."""
    return {
        "tenantId": found.customer.id,
        "domain": found.customer.domain,
        "companyName": found.customer.company_name,
        "dryRun": True,
        "next": "delete" if found.plan.clear else "cancel",
        "purchases": [_entry_members(entry) for entry in found.plan.entries],
    }


def report_members(report: SweepReport) -> dict[str, Any]:
    """Return the report of a sweep."""
    return {
        "at": timestamp(report.at),
        "mode": report.mode,
        "slots": {
            "total": SANDBOX_CUSTOMERS,
            "used": report.customers,
            "free": report.free_slots,
        },
        "customers": [_candidate_members(candidate) for candidate in report.candidates],
    }


def history_members(entry: HistoryEntry) -> dict[str, Any]:
    """Return an entry of the history, to the millisecond: a step does much within a second."""
    write = entry.write
    return {
        "kind": entry.kind,
        "at": entry.at.isoformat(timespec="milliseconds"),
        "requestedBy": entry.requested_by,
        "correlationId": entry.correlation_id,
        "detail": entry.detail,
        "call": write
        and {
            "method": write.method,
            "path": write.path,
            "asked": write.asked,
            "status": write.status,
            "code": write.code,
            "requestId": write.request_id,
        },
    }


def timestamp(value: datetime | None) -> str | None:
    """Return an RFC 3339 timestamp, to the second."""
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
        "action": entry.action,
        "reason": entry.reason,
        "createdAt": timestamp(purchase.created),
    }


def _candidate_members(candidate: Candidate) -> dict[str, Any]:
    return {
        "tenantId": candidate.tenant,
        "domain": candidate.domain,
        "companyName": candidate.company_name,
        "verdict": candidate.verdict,
        "reason": candidate.reason,
        "ageDays": candidate.age_days,
    }
