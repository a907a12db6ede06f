"""What an error in a step means for its deletion: wait, refuse, end, or fail the message."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

from azure.core.exceptions import AzureError

from shared.deletion.deletion import Deletion
from shared.deletion.held_up import cause_of, described, is_outside, log_held_up, remedy_of
from shared.deletion.reasons import LATE_REMEDY, TOO_MANY_REMEDY
from shared.events import Event, emit
from shared.partner_center.client import PartnerCenter
from shared.partner_center.connection import Gate
from shared.partner_center.errors import (
    TOKEN_REFUSED,
    HeldBack,
    NotForThisCredential,
    PartnerCenterError,
    SignInFailed,
    SignInUnavailable,
    Throttled,
)
from shared.partner_center.rate_limit import Rank
from shared.safety.rules import ForeignCustomer, Refused
from shared.safety.switch import SwitchTripped
from shared.services import Services
from shared.storage.history import EntryKind
from shared.storage.memory import TooManyPurchases
from shared.storage.names import CUSTOMERS_READY
from shared.storage.outages import SlowStorage, is_outage
from shared.storage.records import RecordChanged, State

# Trouble that says nothing about the customer, so the deadline moves however long it takes.
_PARKING: Final = (
    SignInFailed,
    SignInUnavailable,
    *TOKEN_REFUSED,
    AzureError,
    SlowStorage,
    HeldBack,
)


@contextmanager
def error_handling(
    services: Services, deletion: Deletion, step: str, queue: str, gate: Gate
) -> Iterator[PartnerCenter]:
    """Give a step its client, and decide what becomes of the deletion if the step raises.

    The client's writes ask the gate. Every exit leaves one of three things behind: the next message
    and a higher generation; a terminal record; or, after an unexpected error and while the queues
    are away, the message itself, which the host delivers again.
    """
    rank = Rank.STARTED if queue == CUSTOMERS_READY else deletion.rank
    client = services.client(deletion.record.correlation_id, gate, deletion.journal.sent, rank)
    deletion.unpark()
    try:
        # From the inside out: a 404 or 403 is confirmed, a production account trips the switch, and
        # the errors that remain decide about the deletion.
        with (
            handled(deletion, queue, client),
            services.conversation(client),
            services.safety.confirming_gone(
                client, deletion.record.tenant, lambda: deletion.record.seen
            ),
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
def handled(deletion: Deletion, queue: str, client: PartnerCenter) -> Iterator[None]:
    """Decide what becomes of the deletion if a step, or a part of it, raises.

    For trouble that passes, the deletion is put back on the queue.
    """
    try:
        yield
    except SwitchTripped as error:
        # Parked: the message comes back until a person has reset the switch.
        parked = replace(deletion.record, reason=str(error))
        deletion.park(queue, deletion.checks.max_delay, parked)
        deletion.journal.note(EntryKind.WAITING, str(error))
    except (PartnerCenterError, AzureError, SlowStorage) as error:
        if not is_outside(error):
            raise
        looked = client.calls > 0 and not isinstance(error, AzureError)
        _postpone(deletion, queue, error, looked=looked)
    except ForeignCustomer as refusal:
        _without_customer(deletion, refusal)
    except Refused as refusal:
        _refuse(deletion, refusal)
    except TooManyPurchases as error:
        deletion.finish(State.STUCK, str(error), TOO_MANY_REMEDY)


def _postpone(deletion: Deletion, queue: str, error: Exception, *, looked: bool) -> None:
    """Put the deletion back on its queue, with a delay that grows while the trouble lasts.

    `looked` says whether Partner Center was called. The state stays as it is: `deleting` while a
    DELETE may have been carried out, which keeps an abort too late.
    """
    parked = not looked or (isinstance(error, _PARKING) and not _concerns_a_purchase(error))
    delay = _delay(deletion, error)
    if not parked and _asks_to_wait(error):
        deletion.grant(delay)
    if not parked and deletion.ends_late():
        deletion.finish(State.STUCK, str(error), remedy_of(error) or LATE_REMEDY)
        return
    _log_postponed(deletion, error, round(delay.total_seconds(), 1))
    # Our own limit says nothing about the customer, so it does not make checks rarer.
    attempt = deletion.record.attempt + (not isinstance(error, HeldBack))
    postponed = replace(
        deletion.record, attempt=attempt, last_error=described(error), remedy=remedy_of(error)
    )
    (deletion.park if parked else deletion.put_back)(queue, delay, postponed)
    deletion.journal.note(EntryKind.WAITING, described(error))


def _delay(deletion: Deletion, error: Exception) -> timedelta:
    """Return how long to wait; our own limit gives each step a time of its own to come back."""
    seconds = _retry_after(error)
    if isinstance(error, HeldBack) and seconds is not None:
        return timedelta(seconds=seconds)
    return deletion.delay(seconds)


def _concerns_a_purchase(error: Exception) -> bool:
    """Whether a credential that works otherwise may not cancel something.

    Nobody may ever allow it, so the deadline stands.
    """
    return isinstance(error, NotForThisCredential) and error.of_purchase


def _asks_to_wait(error: Exception) -> bool:
    return isinstance(error, Throttled) or _retry_after(error) is not None


def _retry_after(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, PartnerCenterError) else None


def _log_postponed(deletion: Deletion, error: Exception, delay_seconds: float) -> None:
    if cause_of(error):
        log_held_up(error, delay_seconds=delay_seconds, **deletion.ids)
        return
    event = Event.THROTTLED if isinstance(error, Throttled | HeldBack) else Event.STEP_FAILED
    emit(event, **deletion.ids, delay_seconds=delay_seconds, reason=str(error))


def _refuse(deletion: Deletion, refusal: Refused) -> None:
    deletion.finish(State.REFUSED, f"rule {refusal.rule}: {refusal.finding}", refusal.remedy)


def _without_customer(deletion: Deletion, refusal: ForeignCustomer) -> None:
    """Record a customer as deleted if it was seen before, and refuse one that never was."""
    if deletion.record.seen:
        deletion.finish(State.DELETED, "the customer was already gone")
    else:
        _refuse(deletion, refusal)


def _note_failure(deletion: Deletion, step: str, error: Exception) -> None:
    """Count a try that failed because of the message or a bug; an outage is neither."""
    if isinstance(error, AzureError) and is_outage(error):
        return
    reason = f"{type(error).__name__}: {error}"
    emit(Event.STEP_FAILED, step=step, **deletion.ids, reason=reason)
    deletion.journal.note(EntryKind.FAILED, reason)
    failures = deletion.record.failures + 1
    try:
        deletion.save(replace(deletion.record, last_error=reason, failures=failures, told=True))
    except RecordChanged:
        emit(Event.DELETION_DUPLICATE, **deletion.ids, reason="overtaken")
    except AzureError as outage:
        # The error itself must reach the host; the try is not counted then.
        log_held_up(outage, **deletion.ids)


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
