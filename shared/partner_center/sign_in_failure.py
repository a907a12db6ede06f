"""The error and the log line of a sign-in that failed, from the verdict on it."""

from shared.events import Event, emit
from shared.partner_center.errors import (
    PartnerCenterError,
    SignInFailed,
    SignInMisconfigured,
    SignInUnavailable,
)
from shared.partner_center.verdicts import (
    Misconfigured,
    Refused,
    Throttled,
    Transient,
    Verdict,
    told,
)


def failure(message: str, verdict: Verdict, next_try: float | None = None) -> PartnerCenterError:
    """Return the error that a verdict means; `next_try` is in seconds."""
    match verdict:
        case Misconfigured():
            return SignInMisconfigured(told(message, verdict), verdict, next_try)
        case Refused():
            return SignInFailed(told(message, verdict), verdict, next_try)
        case Throttled() | Transient():
            return SignInUnavailable(message, next_try or verdict.retry_after)


def log_failure(failed: PartnerCenterError) -> None:
    """Log a sign-in that failed: one event if a person must act, another if it passes."""
    if not isinstance(failed, SignInFailed):
        seconds = failed.retry_after
        emit(Event.SIGN_IN_UNAVAILABLE, reason=str(failed), retry_after_seconds=seconds)
    elif (refusal := failed.refusal) is None:
        emit(Event.SIGN_IN_FAILED, reason=str(failed))
    else:
        emit(
            Event.SIGN_IN_FAILED,
            reason=str(failed),
            code=refusal.code,
            remedy=refusal.remedy,
            settings=", ".join(refusal.settings) or None,
            page=refusal.page,
        )
