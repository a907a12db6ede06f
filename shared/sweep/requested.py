"""A sweep that somebody asks for: its row is stored at once, and a message does the work."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from azure.core.exceptions import AzureError

from shared.deletion.claims import Delivery
from shared.deletion.deletion import next_delay
from shared.deletion.held_up import cause_of, described, is_outside, log_held_up, remedy_of
from shared.deletion.messages import BadMessage, SweepMessage, parse_sweep
from shared.deletion.poison import Poisoned, record_rejected
from shared.deletion.put_back import TRIES
from shared.deletion.redrive import GRACE
from shared.errors import TipsweepError, shown
from shared.events import Event, emit
from shared.partner_center.deadline import time_is_left
from shared.partner_center.errors import PartnerCenterError
from shared.safety.rules import Refused
from shared.safety.switch import SwitchTripped
from shared.services import Services, StorageServices
from shared.settings import SweepMode
from shared.storage.columns import UNREADABLE
from shared.storage.names import SWEEPS_TO_RUN
from shared.storage.outages import SlowStorage
from shared.storage.sweeps import SweepChanged, SweepRun, SweepState, UnreadableSweep
from shared.sweep.report import SweepReport
from shared.sweep.run import run_sweep

_AFTER_FAILURES: Final = timedelta(seconds=5)
_RESET: Final = "Reset the switch, then request the sweep again."
_REQUEST_AGAIN: Final = "Fix the cause, then request the sweep again."
_UNKNOWN: Final = "the message failed every time; the log says why"
_EXPECTED: Final = "the message of a sweep that POST /api/sweeps has accepted"


class NoSweep(TipsweepError):
    """No sweep has this ID."""


def request_sweep(services: Services, mode: SweepMode, requested_by: str) -> SweepRun:
    """Store a sweep and queue it; return the one of this mode that has not ended, if there is one.

    The row comes first, so that whoever is told of the sweep finds it. Raises Refused,
    SwitchTripped or AzureError, which has a note if the sweep may run all the same.
    """
    if mode is SweepMode.DELETE:
        services.safety.require_protection()
        services.safety.require_writable()
    running = next((run for run in services.sweeps.live() if run.mode is mode), None)
    if running is not None:
        return running
    now = services.now()
    run = SweepRun(
        id=str(uuid.uuid4()),
        mode=mode,
        requested_by=requested_by,
        requested_at=now,
        next_try_at=now,
    )
    try:
        services.sweeps.add(run)
        _send(services, run)
    except AzureError as error:
        error.add_note(f"Sweep {run.id} may be recorded and may run: GET /api/sweeps/{run.id}.")
        raise
    return run


def run_requested(services: Services, message: SweepMessage, delivery: Delivery) -> None:  # noqa: ARG001 - as steps are called
    """Run the sweep of a message, and store its report or why there is none.

    A sweep is decided from what is there, so one that runs twice does no harm. Raises BadMessage
    for a sweep that nobody asked for, and unexpected errors.
    """
    run = _known(services, message)
    if not run.live or message.generation < run.generation:
        _log_stale(run)
        return
    try:
        _run(services, _begun(services, run, message))
    except SweepChanged:
        _log_stale(run)


def _known(services: StorageServices, message: SweepMessage) -> SweepRun:
    run = services.sweeps.get(message.sweep_id)
    if run is None:
        text = f"No sweep has the ID {shown(message.sweep_id)}"
        raise BadMessage(text, expected=_EXPECTED)
    return run


def _begun(services: Services, run: SweepRun, message: SweepMessage) -> SweepRun:
    begun = replace(
        run,
        state=SweepState.RUNNING,
        generation=message.generation,
        next_try_at=services.now(),
    )
    return services.sweeps.save(begun)


def _run(services: Services, run: SweepRun) -> None:
    try:
        report = run_sweep(services, run.mode, run.requested_by)
    except Refused as refusal:
        reason = f"rule {refusal.rule}: {refusal.finding}"
        _end(services, run, SweepState.REFUSED, reason, refusal.remedy)
    except SwitchTripped as error:
        _end(services, run, SweepState.FAILED, str(error), _RESET)
    except (PartnerCenterError, AzureError, SlowStorage) as error:
        if isinstance(error, AzureError) and not is_outside(error):
            _note_failure(services, run, error)
            raise
        _after_trouble(services, run, error)
    except Exception as error:
        _note_failure(services, run, error)
        raise
    else:
        finished = replace(run, state=SweepState.FINISHED, reason="", remedy="")
        _save_end(services, replace(finished, report=report.to_json()))


def _after_trouble(services: Services, run: SweepRun, error: Exception) -> None:
    """Try again later while the trouble may pass, for as long as a deletion may take."""
    if _late(services, run) or not is_outside(error):
        remedy = remedy_of(error) or _REQUEST_AGAIN
        _end(services, run, SweepState.FAILED, described(error), remedy)
        return
    retry_after = error.retry_after if isinstance(error, PartnerCenterError) else None
    attempt, jitter = run.generation - 1, services.jitter()
    delay = next_delay(services.settings.checks, attempt, jitter, retry_after)
    waiting = replace(run, reason=described(error), remedy=remedy_of(error))
    seconds = round(delay.total_seconds(), 1)
    if cause_of(error):
        log_held_up(error, sweep=run.id, delay_seconds=seconds)
    else:
        emit(Event.STEP_FAILED, sweep=run.id, delay_seconds=seconds, reason=str(error))
    _send_again(services, waiting, delay)


def _end(
    services: StorageServices, run: SweepRun, state: SweepState, reason: str, remedy: str
) -> None:
    event = Event.SWEEP_REFUSED if state is SweepState.REFUSED else Event.SWEEP_FAILED
    emit(event, sweep=run.id, reason=reason, remedy=remedy)
    _save_end(services, replace(run, state=state, reason=reason, remedy=remedy))


def _save_end(services: StorageServices, run: SweepRun) -> None:
    services.sweeps.save(replace(run, finished_at=services.now()))


def _note_failure(services: Services, run: SweepRun, error: Exception) -> None:
    """Count a try that ended in an unexpected error; an outage of its own leaves it uncounted."""
    reason = f"{type(error).__name__}: {error}"
    emit(Event.STEP_FAILED, sweep=run.id, reason=reason)
    try:
        services.sweeps.save(replace(run, failures=run.failures + 1, reason=reason))
    except AzureError as outage:
        log_held_up(outage, sweep=run.id)


def _send(services: StorageServices, run: SweepRun, delay: timedelta = timedelta(0)) -> None:
    message = SweepMessage(run.id, run.generation)
    services.queues.send(SWEEPS_TO_RUN, message.to_json(), delay)


def _send_again(services: StorageServices, run: SweepRun, delay: timedelta) -> SweepRun:
    """Send the next message, then raise the generation: a crash doubles a message, loses none."""
    following = replace(run, generation=run.generation + 1, next_try_at=services.now() + delay)
    _send(services, following, delay)
    return services.sweeps.save(following)


def redrive_sweeps(services: StorageServices) -> int:
    """Send a message for each sweep whose message was lost; return how many were sent."""
    now = services.now()
    overdue = [run for run in services.sweeps.live() if _overdue(run, now)]
    return sum(time_is_left() and _redrive(services, run) for run in overdue)


def _overdue(run: SweepRun, now: datetime) -> bool:
    return run.next_try_at + GRACE <= now


def _redrive(services: StorageServices, run: SweepRun) -> bool:
    try:
        _send_again(services, run, timedelta(0))
    except SweepChanged:
        return False
    emit(Event.MESSAGE_PUT_BACK, queue=SWEEPS_TO_RUN, sweep=run.id, reason="message lost")
    return True


def record_poisoned_sweep(services: StorageServices, poisoned: Poisoned) -> None:
    """Continue a sweep whose tries failed for a reason around it; end any other as failed."""
    try:
        message = parse_sweep(poisoned.body)
        run = _known(services, message)
    except BadMessage as error:
        record_rejected(services, poisoned, error)
        return
    except UnreadableSweep as error:
        # It is left to the version that wrote it.
        record_rejected(services, poisoned, BadMessage(str(error), expected=_EXPECTED))
        return
    if not run.live or message.generation < run.generation:
        _log_stale(run)
        return
    try:
        _settle(services, run)
    except SweepChanged:
        _log_stale(run)


def _settle(services: StorageServices, run: SweepRun) -> None:
    # A process that dies at each try counts none; as long as a sweep is live, no other begins.
    if run.failures < TRIES and not _late(services, run):
        _send_again(services, run, _AFTER_FAILURES)
        emit(Event.MESSAGE_PUT_BACK, queue=SWEEPS_TO_RUN, sweep=run.id, reason=run.reason)
        return
    reason = run.reason or _UNKNOWN
    emit(Event.MESSAGE_POISONED, queue=SWEEPS_TO_RUN, sweep=run.id, reason=reason)
    _end(services, run, SweepState.FAILED, reason, _REQUEST_AGAIN)


def _late(services: StorageServices, run: SweepRun) -> bool:
    return services.now() >= run.requested_at + services.settings.checks.deadline


def find_sweep(services: StorageServices, sweep_id: str) -> SweepRun:
    """Return a sweep; raises NoSweep or UnreadableSweep."""
    run = services.sweeps.get(sweep_id)
    if run is None:
        message = f"No sweep has the ID {shown(sweep_id)}. POST to /api/sweeps to run one."
        raise NoSweep(message)
    return run


def report_of(run: SweepRun) -> SweepReport | None:
    """Return the report of a sweep; None before its end. Raises UnreadableSweep."""
    if not run.report:
        return None
    try:
        return SweepReport.from_json(run.report)
    except UNREADABLE as error:
        message = f"The report of sweep {run.id} cannot be read ({type(error).__name__}: {error})"
        raise UnreadableSweep(message) from error


def _log_stale(run: SweepRun) -> None:
    emit(Event.MESSAGE_STALE, sweep=run.id, generation=run.generation)
