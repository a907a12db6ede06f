"""Problem documents (RFC 9457): the response to every request that goes wrong."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError

from functions.api.representations import switch_members
from shared.deletion.messages import BadMessage
from shared.deletion.submission import NoDeletion, NotAbortable, NotDismissable
from shared.environment import SettingsError
from shared.errors import TipsweepError
from shared.partner_center.errors import (
    TEMPORARY,
    TOKEN_REFUSED,
    ErrorStatus,
    LacksRights,
    PartnerCenterError,
    SignInFailed,
    SignInMisconfigured,
)
from shared.partner_center.verdicts import Refused as SignInRefusal
from shared.safety.rules import Refused
from shared.safety.switch import SwitchChanged, SwitchTripped
from shared.storage.plans import UnreadablePlan
from shared.storage.records import RecordChanged, State, UnreadableRecord
from shared.tenants import NotATenantId

RETRY_SECONDS: Final = 30
SWITCH_RETRY_SECONDS: Final = 300
SIGN_IN_RETRY_SECONDS: Final = 60


class BadRequest(TipsweepError):
    """The request is not one that tipsweep understands."""


class NoPlan(TipsweepError):
    """No dry run over the queue has left a result for the customer."""


class NoRejectedRequest(TipsweepError):
    """No rejected request has this ID, or it is dismissed."""


class NoPrincipal(TipsweepError):
    """The request names no caller, and the settings require one."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem; callers may rely on `uri` and `status`."""

    name: str
    status: HTTPStatus
    title: str

    @property
    def uri(self) -> str:
        """The value of the member `type`."""
        return f"urn:tipsweep:problem:{self.name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `retry_after` is in seconds, `members` are added to the document."""

    type: ProblemType
    detail: str
    retry_after: int | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def document(self) -> dict[str, Any]:
        """Return the members of the document."""
        return {
            "type": self.type.uri,
            "title": self.type.title,
            "status": self.type.status.value,
            "detail": self.detail,
            "correlationId": self.correlation_id,
            **self.members,
        }


BAD_REQUEST: Final = ProblemType("bad-request", HTTPStatus.BAD_REQUEST, "The request is not valid")
NO_PRINCIPAL: Final = ProblemType(
    "no-principal", HTTPStatus.UNAUTHORIZED, "The request names no caller"
)
NO_DELETION: Final = ProblemType(
    "no-deletion", HTTPStatus.NOT_FOUND, "The customer has no deletion"
)
NO_PLAN: Final = ProblemType("no-plan", HTTPStatus.NOT_FOUND, "The customer has no plan")
NO_REJECTED_REQUEST: Final = ProblemType(
    "no-rejected-request", HTTPStatus.NOT_FOUND, "There is no such rejected request"
)
NOT_ABORTABLE: Final = ProblemType(
    "not-abortable", HTTPStatus.CONFLICT, "It is too late to stop the deletion"
)
NOT_DISMISSABLE: Final = ProblemType(
    "not-dismissable", HTTPStatus.CONFLICT, "The deletion needs no attention"
)
STUCK: Final = ProblemType("stuck", HTTPStatus.CONFLICT, "The customer could not be deleted")
ABORTED: Final = ProblemType("aborted", HTTPStatus.CONFLICT, "The deletion was stopped")
SWITCH_CHANGED: Final = ProblemType(
    "switch-changed", HTTPStatus.PRECONDITION_FAILED, "The safety switch has changed"
)
REFUSED: Final = ProblemType(
    "refused", HTTPStatus.UNPROCESSABLE_ENTITY, "A safety rule forbids the deletion"
)
PARTNER_CENTER: Final = ProblemType(
    "partner-center", HTTPStatus.BAD_GATEWAY, "Partner Center rejected a call"
)
SIGN_IN_REFUSED: Final = ProblemType(
    "sign-in-refused", HTTPStatus.BAD_GATEWAY, "The sign-in to Partner Center is refused"
)
PARTNER_CENTER_BUSY: Final = ProblemType(
    "partner-center-busy", HTTPStatus.SERVICE_UNAVAILABLE, "Partner Center is unavailable"
)
SWITCH_TRIPPED: Final = ProblemType(
    "switch-tripped", HTTPStatus.SERVICE_UNAVAILABLE, "The safety switch is tripped"
)
STORAGE: Final = ProblemType(
    "storage", HTTPStatus.SERVICE_UNAVAILABLE, "The storage account is unavailable"
)
SETTINGS: Final = ProblemType(
    "settings", HTTPStatus.SERVICE_UNAVAILABLE, "The app is not fully configured"
)

PROBLEM_TYPES: Final = (
    BAD_REQUEST,
    NO_PRINCIPAL,
    NO_DELETION,
    NO_PLAN,
    NO_REJECTED_REQUEST,
    NOT_ABORTABLE,
    NOT_DISMISSABLE,
    STUCK,
    ABORTED,
    SWITCH_CHANGED,
    REFUSED,
    PARTNER_CENTER,
    SIGN_IN_REFUSED,
    PARTNER_CENTER_BUSY,
    SWITCH_TRIPPED,
    STORAGE,
    SETTINGS,
)

# Partner Center does not accept the credential; a person has to act.
_REJECTED: Final = (*TOKEN_REFUSED, LacksRights)

# The first match wins, so a subclass comes before its base class.
_MEANINGS: Final[tuple[tuple[type[Exception], ProblemType], ...]] = (
    (BadRequest, BAD_REQUEST),
    (BadMessage, BAD_REQUEST),
    (NotATenantId, BAD_REQUEST),
    (NoPrincipal, NO_PRINCIPAL),
    (NoDeletion, NO_DELETION),
    (NoPlan, NO_PLAN),
    (NoRejectedRequest, NO_REJECTED_REQUEST),
    (NotAbortable, NOT_ABORTABLE),
    (SwitchChanged, SWITCH_CHANGED),
    (NotDismissable, NOT_DISMISSABLE),
    (Refused, REFUSED),
    (SwitchTripped, SWITCH_TRIPPED),
    (SettingsError, SETTINGS),
    (SignInMisconfigured, SETTINGS),
    (SignInFailed, SIGN_IN_REFUSED),
    *((kind, SIGN_IN_REFUSED) for kind in _REJECTED),
    *((kind, PARTNER_CENTER_BUSY) for kind in TEMPORARY),
    (PartnerCenterError, PARTNER_CENTER),
    (RecordChanged, STORAGE),
    (UnreadableRecord, STORAGE),
    (UnreadablePlan, STORAGE),
    (AzureError, STORAGE),
)


def problem_of(error: TipsweepError | AzureError) -> Problem:
    """Return the problem that an error is to the caller; re-raises one that has no meaning here."""
    # A 400 from storage is our own mistake, not an outage, so it must surface as a 500.
    if isinstance(error, HttpResponseError) and error.status_code == HTTPStatus.BAD_REQUEST:
        raise error
    for kind, problem_type in _MEANINGS:
        if isinstance(error, kind):
            return Problem(problem_type, _detail(error), _retry_after(error), _members(error))
    raise error


def _detail(error: TipsweepError | AzureError) -> str:
    if isinstance(error, AzureError):
        said = "The storage account failed or did not respond. See the log."
        return " ".join([said, *getattr(error, "__notes__", ())])
    if isinstance(error, SettingsError):
        return f"Missing or wrong: {', '.join(error.names)}. The log says what is expected."
    return str(error)


def _retry_after(error: TipsweepError | AzureError) -> int | None:
    if isinstance(error, SwitchTripped):
        return SWITCH_RETRY_SECONDS
    if isinstance(error, _REJECTED):
        return SIGN_IN_RETRY_SECONDS
    if isinstance(error, SignInFailed):
        return max(1, round(error.next_try or SIGN_IN_RETRY_SECONDS))
    storage = (AzureError, RecordChanged, UnreadableRecord, UnreadablePlan)
    if not isinstance(error, (*storage, SettingsError, *TEMPORARY)):
        return None
    asked_for = error.retry_after if isinstance(error, PartnerCenterError) else None
    return max(1, round(asked_for)) if asked_for else RETRY_SECONDS


def _members(error: TipsweepError | AzureError) -> dict[str, Any]:
    """Return what else the caller gets; a refusal has the members that a refused record has."""
    if isinstance(error, Refused):
        reason = f"rule {error.rule}: {error.finding}"
        return {"state": State.REFUSED, "reason": reason, "remedy": error.remedy}
    if isinstance(error, _REJECTED):
        return {
            **_refusal_members(error.refusal),
            "partnerCenterRequestId": error.response.request_id,
        }
    if isinstance(error, SignInFailed) and error.refusal:
        return _refusal_members(error.refusal)
    if isinstance(error, SwitchChanged):
        return switch_members(error.state)
    if isinstance(error, ErrorStatus):
        return {"partnerCenterRequestId": error.response.request_id}
    return {}


def _refusal_members(refusal: SignInRefusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "remedy": refusal.remedy,
        "settings": list(refusal.settings),
        "page": refusal.page,
    }
