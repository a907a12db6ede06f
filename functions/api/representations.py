"""Records, plans and reports as JSON, in the form that all responses share."""

from datetime import datetime
from typing import Any

from shared.deletion.deletion import unparked
from shared.deletion.dry_run import DryRun
from shared.deletion.dry_run_result import DryRunResult
from shared.limits import SANDBOX_CUSTOMERS
from shared.purchases.plan import Entry, make_plan
from shared.safety.switch import SwitchState
from shared.storage.history import HistoryEntry, attempt_members
from shared.storage.records import DeletionRecord
from shared.storage.rejected import BODY_CHARACTERS, RejectedMessage
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
        "deadline": timestamp(_deadline(record, now)),
        "nextCheckAt": timestamp(record.next_check_at),
        "finishedAt": timestamp(record.finished_at),
        "retryAt": timestamp(record.retry_at),
        "dismissedBy": record.dismissed_by,
        "dismissedAt": timestamp(record.dismissed_at),
        "correlationId": record.correlation_id,
        "purchases": [_entry_members(entry) for entry in plan.entries],
    }


def _deadline(record: DeletionRecord, now: datetime) -> datetime:
    """Return the deadline as it would be if the time that the deletion is parked ended now."""
    return unparked(record, now).deadline if record.live else record.deadline


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


def plan_members(result: DryRunResult) -> dict[str, Any]:
    """Return the result of a dry run over the queue, as it was when it was made."""
    return {
        "tenantId": result.tenant,
        "domain": result.domain,
        "companyName": result.company_name,
        "outcome": result.outcome,
        "madeAt": timestamp(result.made_at),
        "requestedBy": result.requested_by,
        "reason": result.reason,
        "remedy": result.remedy,
        "purchases": [_entry_members(entry) for entry in result.entries],
    }


def rejected_members(message: RejectedMessage) -> dict[str, Any]:
    """Return a message that was not handled, with the beginning of its body."""
    return {
        "id": message.message_id,
        "queue": message.queue,
        "tenantId": message.tenant,
        "reason": message.reason,
        "expected": message.expected,
        "body": message.body.decode(errors="replace")[:BODY_CHARACTERS],
        "at": timestamp(message.at),
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


def switch_members(state: SwitchState) -> dict[str, Any]:
    """Return the state of the safety switch."""
    return {
        "tripped": state.tripped,
        "requestedBy": state.requested_by,
        "reason": state.reason,
        "at": timestamp(state.at),
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
            "attempts": write.attempts,
            "responses": [attempt_members(each) for each in write.responses],
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
