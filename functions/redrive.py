"""Resends lost messages, removes old rows and measures the backlog, every five minutes."""

import azure.functions as func

from shared.deletion.backlog import log_backlog, token_age_days
from shared.deletion.redrive import redrive_overdue
from shared.services import current_services

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def redrive(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Send overdue deletions a message."""
    services = current_services()
    records, now = list(services.records.all()), services.now()
    log_backlog(
        records,
        services.queues,
        now,
        redriven=redrive_overdue(services, records),
        removed=services.retention.clear(records, now),
        refresh_token_age_days=token_age_days(services.settings.partner_center, now),
    )
