"""Finds lost messages and measures the backlog, every five minutes."""

import azure.functions as func

from shared.deletion.redrive import redrive_deletions
from shared.services import current_services

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def redrive(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Give overdue deletions their message again."""
    redrive_deletions(current_services())
