"""What can go wrong between tipsweep and Partner Center, by meaning.

PartnerCenterError
├── SignInFailed              no token was issued
├── NoResponse                  connection lost or timed out: the call may have been carried out
├── ForeignLink               an answer pointed to another host
├── UnexpectedResponse          a success whose body is not as documented
└── ErrorStatus               Partner Center said no
    ├── NotASandbox           the account is not an integration sandbox
    ├── AccessDenied          the credential lacks a right
    ├── NotFound              the customer, order or subscription does not exist
    ├── NoRelationship        the customer belongs to somebody else
    ├── Busy                  something is in progress: the same call succeeds later
    ├── OrderRouteClosed      this order is cancelled through its subscriptions
    ├── NotCancellable        the call will never succeed
    │   └── NotSupportedHere  this environment does not know the operation
    ├── AlreadyDeleted        the subscription is gone
    ├── NotActivated          a marketplace subscription must be activated first
    ├── AzureSubscriptionsActive  an Azure plan outlives its Azure subscriptions
    ├── Throttled             too many calls
    │   └── HeldBack          not sent: our own ceiling, or the pause that was asked for
    ├── Unavailable           the service failed
    └── Rejected              anything else

Codes and statuses are those of Microsoft's page "Partner Center error codes".
"""

from dataclasses import dataclass
from typing import Final

from shared.errors import TipsweepError


class PartnerCenterError(TipsweepError):
    """A call to Partner Center did not succeed."""


class SignInFailed(PartnerCenterError):
    """Entra ID issued no token."""


class NoResponse(PartnerCenterError):
    """The connection was lost or timed out; whether the call was carried out is unknown."""


class ForeignLink(PartnerCenterError):
    """An answer pointed to another host, which must never see the token."""


class UnexpectedResponse(PartnerCenterError):
    """Partner Center reported success with a body that is not as documented."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """What Partner Center said instead of yes; `retry_after` is in seconds."""

    method: str
    path: str
    status: int
    code: str
    description: str
    retry_after: float | None
    request_id: str


class ErrorStatus(PartnerCenterError):
    """Partner Center answered with an error status."""

    def __init__(self, refusal: ErrorResponse) -> None:
        code = f"/{refusal.code}" if refusal.code else ""
        super().__init__(
            f"{refusal.method} {refusal.path} was answered {refusal.status}{code}: "
            f"{refusal.description or 'no description'} (MS-RequestId {refusal.request_id})"
        )
        self.response = refusal


class NotASandbox(ErrorStatus):
    """The credential belongs to an account that is not an integration sandbox."""


class AccessDenied(ErrorStatus):
    """The credential is not accepted or lacks a right."""


class NotFound(ErrorStatus):
    """The customer, order or subscription does not exist."""


class NoRelationship(ErrorStatus):
    """The customer has no relationship with this partner."""


class Busy(ErrorStatus):
    """An operation is in progress or the resource has changed; the same call succeeds later."""


class OrderRouteClosed(ErrorStatus):
    """The order cannot be cancelled itself; its subscriptions can."""


class NotCancellable(ErrorStatus):
    """The window has passed, or the product cannot be cancelled here."""


class NotSupportedHere(NotCancellable):
    """The operation does not exist in this environment."""


class AlreadyDeleted(ErrorStatus):
    """The subscription is deleted already."""


class NotActivated(ErrorStatus):
    """A marketplace subscription cannot be changed before it is activated."""


class AzureSubscriptionsActive(ErrorStatus):
    """The Azure plan still holds active Azure subscriptions."""


class Throttled(ErrorStatus):
    """Too many calls were made."""


class HeldBack(Throttled):
    """The call was not sent, because our own ceiling or Partner Center asks to wait."""


class Unavailable(ErrorStatus):
    """The service failed or is overloaded."""


class Rejected(ErrorStatus):
    """Partner Center refused for a reason that has no meaning of its own here."""


_BY_CODE: Final[dict[str, type[ErrorStatus]]] = {
    **dict.fromkeys(("800019", "6002"), NotASandbox),
    **dict.fromkeys(("800061", "800063", "800077"), OrderRouteClosed),
    **dict.fromkeys(("800014", "800060", "800082", "900278", "900311", "2055"), Busy),
    **dict.fromkeys(("900117", "900213", "900277", "900279", "900280"), NotCancellable),
    **dict.fromkeys(("800040", "800091", "800096", "900321", "900322"), NotCancellable),
    **dict.fromkeys(("20002", "900159"), NoRelationship),
    "900127": NotSupportedHere,
    "2011": AlreadyDeleted,
    "800081": NotActivated,
    "900115": AzureSubscriptionsActive,
}

_BY_STATUS: Final[dict[int, type[ErrorStatus]]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    408: Unavailable,
    409: Busy,
    412: Busy,
    429: Throttled,
}


def error_of(refusal: ErrorResponse) -> ErrorStatus:
    """Return the error that a refusal means: by its code, else by its status."""
    if refusal.status == _TOO_MANY_REQUESTS:
        return Throttled(refusal)
    by_status = Unavailable if refusal.status >= _SERVER_ERROR else Rejected
    meaning = _BY_CODE.get(refusal.code) or _BY_STATUS.get(refusal.status, by_status)
    return meaning(refusal)


_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
