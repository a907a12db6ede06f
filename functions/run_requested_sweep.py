"""Runs the sweeps that people ask for over HTTP."""

import azure.functions as func

from functions.delivery import deliver
from shared.deletion.messages import parse_sweep
from shared.storage.names import SWEEPS_TO_RUN
from shared.sweep.requested import run_requested

blueprint = func.Blueprint()


@blueprint.queue_trigger(
    arg_name="message",
    queue_name=SWEEPS_TO_RUN,
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def run_requested_sweep(message: func.QueueMessage) -> None:
    """Run a sweep and store its report."""
    deliver(message, SWEEPS_TO_RUN, parse_sweep, run_requested)
