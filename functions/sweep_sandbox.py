"""Sweeps the sandbox on a schedule."""

import azure.functions as func

from shared.events import Event, emit
from shared.safety.rules import Refused
from shared.safety.switch import SwitchTripped
from shared.services import current_services
from shared.settings import SweepMode, sweep_schedule
from shared.sweep.run import run_sweep

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule=sweep_schedule())
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
