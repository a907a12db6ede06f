"""What the errors of a step mean for its deletion: wait, refuse, end, or rise to the host."""

from collections.abc import Callable

from shared.deletion.deletion import Deletion
from shared.deletion.dry_run import customer_by_id
from shared.deletion.reasons import LATE_REMEDY
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center.errors import (
    ErrorStatus,
    HeldBack,
    NoRelationship,
    NotASandbox,
    NotFound,
    PartnerCenterError,
    SignInFailed,
    Throttled,
)
from shared.purchases.cancellation import LATER
from shared.safety.rules import ForeignCustomer, Refused, Rule
from shared.services import Services
from shared.storage.records import RecordChanged, State


class SwitchTripped(TipsweepError):
    """The safety switch is tripped, so nothing may be written."""


def require_switch(services: Services) -> None:
    """Rule 4: the safety switch is not tripped; raises SwitchTripped."""
    state = services.switch.read()
    if state.tripped:
        message = f"the safety switch was tripped by {state.by}: {state.reason}"
        raise SwitchTripped(message)


def trip(services: Services, error: NotASandbox) -> Refused:
    """Trip the switch because Partner Center names another kind of account; return the refusal."""
    services.switch.trip("tipsweep", str(error))
    remedy = "The safety switch is tripped: make sure of the account, then reset the switch."
    return Refused(Rule.SANDBOX, str(error), remedy)


def work(deletion: Deletion, step: str, queue: str, move: Callable[[Deletion], None]) -> None:
    """Make one move; what is put back goes to `queue`.

    An error that nothing is decided on is noted in the record and rises, so that the host tries
    the message again.
    """
    try:
        _settle(deletion, queue, move)
    except RecordChanged:
        emit(Event.DELETION_DUPLICATE, **deletion.ids, reason="overtaken")
    except Exception as error:
        _note_failure(deletion, step, error)
        raise
    finally:
        emit(
            Event.STEP_FINISHED,
            step=step,
            **deletion.ids,
            state=deletion.record.state,
            calls=deletion.client.calls,
            throttled=deletion.client.throttled,
            seconds=round(deletion.age.total_seconds(), 1),
        )


def _settle(deletion: Deletion, queue: str, move: Callable[[Deletion], None]) -> None:
    try:
        _perform(deletion, move)
    except SwitchTripped as error:
        deletion.send_on(queue, deletion.services.settings.checks.max_delay, reason=str(error))
    except LATER as error:
        _postpone(deletion, queue, error)
    except ForeignCustomer as refusal:
        _without_customer(deletion, refusal)
    except Refused as refusal:
        _refuse(deletion, refusal)
    except NotASandbox as error:
        _refuse(deletion, trip(deletion.services, error))


def _perform(deletion: Deletion, move: Callable[[Deletion], None]) -> None:
    try:
        move(deletion)
    except (NotFound, NoRelationship) as error:
        _confirm_gone(deletion, error)


def _postpone(deletion: Deletion, queue: str, error: PartnerCenterError) -> None:
    """Put the deletion back on its queue, with a delay that grows where the trouble lasts.

    The state stays: after a DELETE without a clear answer the deletion cannot be aborted.
    """
    if deletion.overdue:
        deletion.finish(State.STUCK, str(error), LATE_REMEDY)
        return
    delay = deletion.delay(error.response.retry_after if isinstance(error, ErrorStatus) else None)
    emit(
        Event.THROTTLED if isinstance(error, Throttled) else Event.STEP_FAILED,
        **deletion.ids,
        delay_seconds=round(delay.total_seconds(), 1),
        reason=str(error),
    )
    attempt = deletion.record.attempt + (not isinstance(error, HeldBack))
    deletion.send_on(queue, delay, attempt=attempt, last_error=str(error))


def _refuse(deletion: Deletion, refusal: Refused) -> None:
    deletion.finish(State.REFUSED, f"rule {refusal.rule}: {refusal.finding}", refusal.remedy)


def _without_customer(deletion: Deletion, refusal: ForeignCustomer) -> None:
    """Call a customer gone that was seen before, and refuse one that never was."""
    if deletion.record.seen:
        deletion.finish(State.DELETED, "the customer was gone already")
    else:
        _refuse(deletion, refusal)


def _confirm_gone(deletion: Deletion, error: PartnerCenterError) -> None:
    """Raise ForeignCustomer if a new listing and the customer's own page know it no more.

    Raises the error itself otherwise: a 404 alone is also what an outage of a route looks like.
    """
    tenant = deletion.record.tenant
    if tenant not in deletion.services.customer_list.refresh(deletion.client):
        customer_by_id(deletion.client, tenant)
    raise error


def _note_failure(deletion: Deletion, step: str, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    event = Event.SIGN_IN_FAILED if isinstance(error, SignInFailed) else Event.STEP_FAILED
    emit(event, step=step, **deletion.ids, reason=reason)
    try:
        deletion.save(last_error=reason)
    except RecordChanged:
        emit(Event.DELETION_DUPLICATE, **deletion.ids, reason="overtaken")
