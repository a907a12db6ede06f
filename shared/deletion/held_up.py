"""Trouble that is no customer's fault; if only a person can end it, one event says what to do."""

from enum import StrEnum
from typing import Final

from azure.core.exceptions import AzureError

from shared.environment import SettingsError
from shared.events import Event, emit
from shared.inputs import readable
from shared.partner_center.errors import (
    TEMPORARY,
    TOKEN_REFUSED,
    ErrorStatus,
    LacksRights,
    NoRelationship,
    NotForThisCredential,
    NotFound,
    SignInFailed,
    Unauthorized,
)
from shared.storage.outages import SlowStorage, is_outage


class Cause(StrEnum):
    """What deletions wait for."""

    SIGN_IN = "sign_in"
    TOKEN = "token"  # noqa: S105 - what is wrong, not a token
    SETTINGS = "settings"
    STORAGE = "storage"


_REMEDIES: Final = {
    Cause.SIGN_IN: "Repair or renew the credential that PARTNER_CENTER_AUTH names.",
    Cause.TOKEN: "Check the app registration's consent and rights in the sandbox account.",
    Cause.SETTINGS: "Correct these settings of the function app.",
    Cause.STORAGE: "Check the storage account, its firewall and the roles of the app's identity.",
}


# The last two come after the customer was listed again, so they say nothing about it.
_OUTSIDE: Final = (
    *TEMPORARY,
    *TOKEN_REFUSED,
    LacksRights,
    SignInFailed,
    SlowStorage,
    NotFound,
    NoRelationship,
)


def is_outside(error: Exception) -> bool:
    """Whether an error says nothing about the customer or the message, and may not come again.

    Without a code of Partner Center, something in front of it may have made the response.
    """
    if isinstance(error, AzureError):
        return is_outage(error)
    uncoded = isinstance(error, ErrorStatus) and not error.response.coded
    return uncoded or isinstance(error, _OUTSIDE)


def cause_of(error: Exception) -> Cause | None:
    """Return what has to be repaired, None if the error is of another kind."""
    match error:
        case SettingsError():
            return Cause.SETTINGS
        case SignInFailed():
            return Cause.SIGN_IN
        case Unauthorized() | NotForThisCredential() | LacksRights():
            return Cause.TOKEN
        case SlowStorage():
            return Cause.STORAGE
        case AzureError() if is_outage(error):
            return Cause.STORAGE
        case _:
            return None


def remedy_of(error: Exception) -> str:
    """Return what a person does about a sign-in or a token that is refused, else ""."""
    refused = SignInFailed | Unauthorized | NotForThisCredential | LacksRights
    refusal = error.refusal if isinstance(error, refused) else None
    return refusal.remedy if refusal else ""


def log_held_up(error: Exception, **fields: str | float | None) -> None:
    """Log trouble that holds deletions up, with what to do; nothing if it is of another kind."""
    cause = cause_of(error)
    if cause is not None:
        remedy = f"{remedy_of(error) or _REMEDIES[cause]} Deletions go on by themselves then."
        emit(Event.WORK_HELD_UP, cause=cause, remedy=remedy, reason=described(error), **fields)


def described(error: Exception) -> str:
    """Return an error in one line; the storage library writes several."""
    text = readable(" ".join(str(error).split()))
    return f"storage failed: {text}" if isinstance(error, AzureError) else text
