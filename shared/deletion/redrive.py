"""Gives deletions whose message got lost a new one, clears what is old, measures the backlog."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from azure.core.exceptions import AzureError

from shared.deletion.admission import in_hand
from shared.deletion.poison import POISONED_ROW_PREFIX
from shared.events import Event, emit
from shared.partner_center.credentials import key_vault
from shared.services import Services
from shared.settings import Auth
from shared.storage.names import (
    CUSTOMERS_READY,
    CUSTOMERS_TO_DELETE,
    ORDERS_TO_CHECK,
    POISON_QUEUES,
)
from shared.storage.records import DeletionRecord, RecordChanged, State
from shared.sweep.memory import SEEN_ROW_PREFIX

# A crashed instance's message comes back after a lease of 10 minutes, and is then polled for.
GRACE: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=90)
_AT_ONCE: Final = timedelta(0)
_DAY: Final = timedelta(days=1)


def redrive_deletions(services: Services) -> None:
    """Redrive what is overdue, remove what ended long ago, and log the backlog in one line."""
    now = services.now()
    records = list(services.records.all())
    redriven = sum(_redrive(services, each) for each in records if _overdue(each, now))
    removed = sum(_remove(services, each) for each in records if _outdated(each, now))
    removed += _remove_rows(services, now)
    _log_backlog(services, records, redriven, removed)


def _overdue(record: DeletionRecord, now: datetime) -> bool:
    due = record.next_check_at or record.requested_at
    return record.live and due + GRACE <= now


def _redrive(services: Services, record: DeletionRecord) -> bool:
    """Send the message of a deletion; False where it has moved on meanwhile."""
    deletion = in_hand(services, record)
    try:
        ready = record.state is State.DELETING
        deletion.send_on(CUSTOMERS_READY if ready else ORDERS_TO_CHECK, _AT_ONCE)
    except RecordChanged:
        return False
    emit(Event.DELETION_REDRIVEN, tenant=record.tenant, state=record.state)
    return True


def _outdated(record: DeletionRecord, now: datetime) -> bool:
    return not record.live and (record.finished_at or record.requested_at) + KEPT <= now


def _remove(services: Services, record: DeletionRecord) -> bool:
    try:
        services.records.remove(record)
    except RecordChanged:
        return False
    return True


def _remove_rows(services: Services, now: datetime) -> int:
    """Remove poisoned messages, and customers that no sweep has seen, after 90 days."""
    rows = services.sandbox.query_entities(
        "PartitionKey eq @partner and at lt @limit",
        parameters={
            "partner": services.settings.partner_center.tenant_id,
            "limit": (now - KEPT).isoformat(),
        },
        select=["PartitionKey", "RowKey"],
    )
    old = [row for row in rows if row["RowKey"].startswith((POISONED_ROW_PREFIX, SEEN_ROW_PREFIX))]
    for row in old:
        services.sandbox.delete_entity(row["PartitionKey"], row["RowKey"])
    return len(old)


def _log_backlog(
    services: Services, records: Iterable[DeletionRecord], redriven: int, removed: int
) -> None:
    live = [each for each in records if each.live]
    oldest = min((each.requested_at for each in live), default=services.now())
    depth = services.queues.depth
    emit(
        Event.REDRIVE_FINISHED,
        live=len(live),
        stuck=sum(each.state is State.STUCK for each in records),
        redriven=redriven,
        removed=removed,
        oldest_seconds=max(0, round((services.now() - oldest).total_seconds())),
        refresh_token_age_days=_refresh_token_age_days(services),
        customers_to_delete=depth(CUSTOMERS_TO_DELETE),
        orders_to_check=depth(ORDERS_TO_CHECK),
        customers_ready=depth(CUSTOMERS_READY),
        poison=sum(depth(queue) for queue in POISON_QUEUES),
    )


def _refresh_token_age_days(services: Services) -> float | None:
    """Return the age of the refresh token; None where another credential is used."""
    settings = services.settings.partner_center
    if settings.auth is not Auth.USER:
        return None
    name = str(settings.refresh_token_secret_name)
    try:
        with key_vault(settings) as vault:
            stored = vault.get_secret(name).properties.updated_on
    except AzureError as error:
        reason = f"secret {name} could not be read: {error.message}"
        emit(Event.SIGN_IN_FAILED, step="redrive", reason=reason)
        return None
    return None if stored is None else round((services.now() - stored) / _DAY, 1)
