"""Resends lost messages, removes old rows and measures the backlog, every five minutes."""

from datetime import datetime

import azure.functions as func

from shared.deletion.backlog import log_backlog, token_age_days
from shared.deletion.held_up import log_held_up
from shared.deletion.redrive import redrive_overdue
from shared.environment import SettingsError
from shared.partner_center.deadline import limited
from shared.services import Services, StorageServices, current_services, current_storage
from shared.sweep.requested import redrive_sweeps

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def redrive(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Send overdue deletions a message; needs queues and tables only."""
    services = _services()
    with limited(services.deadline()):
        _redrive(services)


def _redrive(services: StorageServices) -> None:
    records, now = list(services.records.all()), services.now()
    log_backlog(
        records,
        services.queues,
        now,
        redriven=redrive_overdue(services, records) + redrive_sweeps(services),
        removed=services.retention.clear(records, now),
        refresh_token_age_days=_token_age_days(services, now),
        budget=services.budget.fill() if isinstance(services, Services) else None,
    )


def _services() -> StorageServices:
    """Return what is there; wrong settings are logged here too, where no message has to arrive."""
    try:
        return current_services()
    except SettingsError as error:
        log_held_up(error)
        return current_storage()


def _token_age_days(services: StorageServices, now: datetime) -> float | None:
    """Return the age of the refresh token; None also while settings are wrong."""
    if not isinstance(services, Services):
        return None
    return token_age_days(services.settings.partner_center, now)
