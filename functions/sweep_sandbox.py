"""Sweeps the sandbox on a schedule."""

import os

import azure.functions as func

from shared.deletion.held_up import log_held_up
from shared.environment import SettingsError
from shared.events import Event, emit
from shared.safety.rules import Refused
from shared.safety.switch import SwitchTripped
from shared.services import current_services
from shared.settings import SweepMode, require_trigger_settings, sweep_schedule
from shared.sweep.run import run_sweep

blueprint = func.Blueprint()


def schedule_at_start() -> str:
    """Return the schedule; what the host would keep to itself about triggers is logged at start."""
    try:
        require_trigger_settings(os.environ)
    except SettingsError as error:
        log_held_up(error)
    return sweep_schedule()


@blueprint.timer_trigger(arg_name="timer", schedule=schedule_at_start())
def sweep_sandbox(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Run the sweep that SWEEP_MODE asks for."""
    services = current_services()
    mode = services.settings.sweep.mode
    if mode is SweepMode.OFF:
        return
    try:
        run_sweep(services, mode)
    except (Refused, SwitchTripped) as refusal:
        emit(Event.SWEEP_REFUSED, reason=str(refusal))
