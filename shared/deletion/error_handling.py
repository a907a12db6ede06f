"""What an error in a step means for its deletion: wait, refuse, end, or fail the message."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from shared.deletion.deletion import Deletion
from shared.deletion.reasons import LATE_REMEDY
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import (
    TEMPORARY,
    ErrorStatus,
    HeldBack,
    NoRelationship,
    NotFound,
    PartnerCenterError,
    SignInFailed,
    Throttled,
)
from shared.safety.rules import ForeignCustomer, Refused, Safety, customer_by_id
from shared.safety.switch import SwitchTripped
from shared.services import Services
from shared.storage.history import EntryKind
from shared.storage.records import RecordChanged, State


@contextmanager
def error_handling(
    services: Services, deletion: Deletion, step: str, queue: str
) -> Iterator[PartnerCenter]:
    """Give a step its client, and decide what becomes of the deletion if the step raises.

    Every exit leaves one of three things behind: the next message and a higher generation; a
    terminal record; or, after an unexpected error, the message itself, which the host delivers
    again, with the error noted in the record.
    """
    client = services.client(deletion.record.correlation_id, deletion.journal.sent)
    try:
        # From the inside out: a 404 is confirmed, a production account trips the switch, and the
        # errors that remain decide about the deletion.
        with (
            _handled(deletion, queue),
            services.conversation(client),
            _confirmed_gone(services.safety, deletion, client),
        ):
            yield client
    except RecordChanged:
        # Another message or an abort was faster and owns the deletion: write nothing over it.
        emit(Event.DELETION_DUPLICATE, **deletion.ids, reason="overtaken")
        deletion.journal.note(EntryKind.OVERTAKEN)
    except Exception as error:
        _note_failure(deletion, step, error)
        raise
    finally:
        _log_step(deletion, step, client)
        deletion.journal.write()


@contextmanager
def _handled(deletion: Deletion, queue: str) -> Iterator[None]:
    try:
        yield
    except SwitchTripped as error:
        # Parked: the message comes back until a person has reset the switch.
        deletion.record = replace(deletion.record, reason=str(error))
        deletion.journal.note(EntryKind.WAITING, str(error))
        deletion.send_on(queue, deletion.checks.max_delay)
    except TEMPORARY as error:
        _postpone(deletion, queue, error)
    except ForeignCustomer as refusal:
        _without_customer(deletion, refusal)
    except Refused as refusal:
        _refuse(deletion, refusal)


@contextmanager
def _confirmed_gone(safety: Safety, deletion: Deletion, client: PartnerCenter) -> Iterator[None]:
    """Turn a 404 into ForeignCustomer if a new listing and the customer's own URL lack it too.

    Raises the error itself otherwise: an outage of one route also looks like a 404, and must not
    record a customer as deleted that still exists.
    """
    try:
        yield
    except (NotFound, NoRelationship):
        tenant = deletion.record.tenant
        if tenant not in safety.customers.refresh(client):
            customer_by_id(client, tenant)
        raise


def _postpone(deletion: Deletion, queue: str, error: PartnerCenterError) -> None:
    """Put the deletion back on its queue, with a delay that grows while the trouble lasts.

    The state must stay as it is: after a DELETE without a clear response it is `deleting`, which
    keeps an abort too late.
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
    deletion.journal.note(EntryKind.WAITING, str(error))
    # Our own limit says nothing about the customer, so it does not make checks rarer.
    attempt = deletion.record.attempt + (not isinstance(error, HeldBack))
    deletion.record = replace(deletion.record, attempt=attempt, last_error=str(error))
    deletion.send_on(queue, delay)


def _refuse(deletion: Deletion, refusal: Refused) -> None:
    deletion.finish(State.REFUSED, f"rule {refusal.rule}: {refusal.finding}", refusal.remedy)


def _without_customer(deletion: Deletion, refusal: ForeignCustomer) -> None:
    """Record a customer as deleted if it was seen before, and refuse one that never was."""
    if deletion.record.seen:
        deletion.finish(State.DELETED, "the customer was already gone")
    else:
        _refuse(deletion, refusal)


def _note_failure(deletion: Deletion, step: str, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    # A failed sign-in is logged where it happens, for every caller.
    if not isinstance(error, SignInFailed):
        emit(Event.STEP_FAILED, step=step, **deletion.ids, reason=reason)
    deletion.journal.note(EntryKind.FAILED, reason)
    deletion.record = replace(deletion.record, last_error=reason)
    try:
        deletion.save()
    except RecordChanged:
        emit(Event.DELETION_DUPLICATE, **deletion.ids, reason="overtaken")


def _log_step(deletion: Deletion, step: str, client: PartnerCenter) -> None:
    age = deletion.now() - deletion.record.requested_at
    emit(
        Event.STEP_FINISHED,
        step=step,
        **deletion.ids,
        state=deletion.record.state,
        calls=client.calls,
        throttled=client.throttled,
        seconds=round(age.total_seconds(), 1),
    )
