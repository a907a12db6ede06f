"""What can go wrong between tipsweep and Partner Center, by meaning.

PartnerCenterError
├── SignInFailed              no token was issued, and a person must act
│   └── SignInMisconfigured   a setting is wrong
├── NoResponse                connection lost, or none came about
│   ├── TimedOut              no response in time
│   └── SignInUnavailable     no token was issued at the moment
├── HeldBack                  not sent: our own limit, or the pause that was asked for
├── OutOfTime                 the step's time is over
├── ForeignLink               a response pointed to another host
├── UnexpectedResponse        a success whose body is not as documented
│   ├── Redirected            a redirection, which is not followed
│   └── NoContent             204 instead of a list
└── ErrorStatus               Partner Center responded with an error status
    ├── NotASandbox           the account is not an integration sandbox
    ├── Unauthorized          the token is not accepted
    ├── Forbidden             the credential lacks a right
    │   ├── NotForThisCredential  this credential may not make the call
    │   │   └── BlockedByPolicy   a conditional access policy forbids it
    │   └── LacksRights       the user or the application has too few rights
    ├── NotFound              the customer, order or subscription does not exist
    │   ├── PurchaseGone      the order or subscription itself does not exist
    │   └── NoRoute           a 404 without a code, perhaps from something in front of it
    ├── NoRelationship        the customer belongs to somebody else
    ├── Busy                  something is in progress: the same call succeeds later
    ├── OrderRouteClosed      this order is cancelled through its subscriptions
    ├── NotCancellable        the call will never succeed
    │   └── NotSupportedHere  this environment does not know the operation
    ├── AlreadyDeleted        the subscription is gone
    ├── NotActivated          a marketplace subscription must be activated first
    ├── AzureSubscriptionsActive  an Azure plan outlives its Azure subscriptions
    ├── Throttled             too many calls
    ├── Unavailable           the service failed
    └── Rejected              anything else

Codes and statuses are those of Microsoft's page "Partner Center error codes".
"""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from typing import Final

from shared.errors import TipsweepError
from shared.inputs import json_of, readable
from shared.partner_center.token_refusals import RIGHTS_CODES, refusal_of
from shared.partner_center.verdicts import Refused, told


class PartnerCenterError(TipsweepError):
    """A call to Partner Center did not succeed.

    `may_be_done` says whether it, or an earlier attempt at it, may have been carried out all the
    same. `retry_after` is the wait in seconds that was asked for.
    """

    may_be_done = False
    retry_after: float | None = None


class SignInFailed(PartnerCenterError):
    """No token was issued, and only a person can change that.

    `refusal` says what to do, if it is known; the next try comes after `next_try` seconds.
    """

    def __init__(
        self, message: str, refusal: Refused | None = None, next_try: float | None = None
    ) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.next_try = next_try


class SignInMisconfigured(SignInFailed):
    """No token was issued, because a setting is wrong."""


class NoResponse(PartnerCenterError):
    """The connection was lost, timed out, or did not come about."""

    def __init__(self, message: str, *, may_be_done: bool) -> None:
        super().__init__(message)
        self.may_be_done = may_be_done


class TimedOut(NoResponse):
    """No response came in time."""


class SignInUnavailable(NoResponse):
    """No token was issued for a reason that passes; nothing was sent to Partner Center."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message, may_be_done=False)
        self.retry_after = retry_after


class HeldBack(PartnerCenterError):
    """The call was not sent, because our own limit or Partner Center asks to wait."""

    def __init__(self, method: str, path: str, seconds: float) -> None:
        super().__init__(f"{method} {path} was not sent: no call may be sent for {seconds:.0f} s")
        self.retry_after = seconds


class OutOfTime(PartnerCenterError):
    """The time of the step is over, so the call was not sent or its end not waited for."""


class ForeignLink(PartnerCenterError):
    """A response pointed to another host, which must never see the token."""


class UnexpectedResponse(PartnerCenterError):
    """Partner Center reported success with a body that is not as documented."""

    may_be_done = True


class Redirected(UnexpectedResponse):
    """Partner Center, or something in front of it, responded with a redirection (3xx)."""


class NoContent(UnexpectedResponse):
    """Partner Center responded to a listing with 204, which says that it holds nothing."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A response with an error status; `retry_after` is in seconds."""

    method: str
    path: str
    status: int
    code: str
    description: str
    retry_after: float | None
    request_id: str

    @property
    def coded(self) -> bool:
        """Whether Partner Center itself responded: its codes are numbers.

        Something in front of it sends no code, its status, or a name such as `ResourceNotFound`.
        """
        return self.code.isdecimal() and self.code != str(self.status)


class ErrorStatus(PartnerCenterError):
    """Partner Center responded with an error status."""

    def __init__(self, response: ErrorResponse) -> None:
        code = f"/{response.code}" if response.code else ""
        super().__init__(
            f"{response.method} {response.path} failed with status {response.status}{code}: "
            f"{response.description or 'no description'} (MS-RequestId {response.request_id})"
        )
        self.response = response
        self.retry_after = response.retry_after


class NotASandbox(ErrorStatus):
    """The credential belongs to an account that is not an integration sandbox."""


class _AboutToken(ErrorStatus):
    """The token is not accepted; `refusal` says what a person does about it."""

    def __init__(self, response: ErrorResponse) -> None:
        super().__init__(response)
        self.refusal = refusal_of(response.status, response.code)
        self.args = (told(str(self), self.refusal),)


class Unauthorized(_AboutToken):
    """The token is not accepted (401)."""


class Forbidden(ErrorStatus):
    """The credential lacks a right (403)."""


class NotForThisCredential(_AboutToken, Forbidden):
    """This kind of credential may not make the call (403/900329)."""

    @property
    def of_purchase(self) -> bool:
        """Whether it rejects a call for one purchase, and so may concern no other."""
        return self.response.method in _PURCHASE_WRITES


class BlockedByPolicy(NotForThisCredential):
    """A conditional access policy forbids the call (403/900309)."""


class LacksRights(Forbidden):
    """The user or the application has too few rights, for a customer or for all."""

    @property
    def refusal(self) -> Refused:
        """What a person does about it."""
        return refusal_of(self.response.status, self.response.code)


class NotFound(ErrorStatus):
    """The customer, order or subscription does not exist."""


class NoRoute(NotFound):
    """A 404 without a code of Partner Center: something in front of it may have made it."""


class PurchaseGone(NotFound):
    """The order or subscription that the path names does not exist."""


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


class Unavailable(ErrorStatus):
    """The service failed or is overloaded."""

    may_be_done = True


class Rejected(ErrorStatus):
    """Partner Center rejected the call for a reason that has no meaning of its own here."""


# Trouble that passes: the same call may succeed later. A response that something in front of
# Partner Center may have made says nothing about what was asked for.
TEMPORARY: Final = (
    Throttled,
    HeldBack,
    Unavailable,
    Busy,
    NoResponse,
    OutOfTime,
    UnexpectedResponse,
    NoRoute,
)

# The sign-in works, and Partner Center does not accept its token: a person has to act.
TOKEN_REFUSED: Final = (Unauthorized, NotForThisCredential)

_PURCHASE_WRITES: Final = ("PATCH", "POST")
# The customer is under review or not approved yet.
_UNDER_REVIEW: Final = ("800073", "800074", "800075")
# 900278: "pending operation, try after 24 hours".
_DOCUMENTED_WAITS: Final = {"900278": 86_400.0}

# Trouble with the account or the whole customer, not with the purchase that a call names.
MORE_THAN_ONE_PURCHASE: Final = (NotASandbox, Unauthorized, NoRelationship, Throttled)

_BY_CODE: Final[dict[str, type[ErrorStatus]]] = {
    **dict.fromkeys(("800019", "6002"), NotASandbox),
    **dict.fromkeys(("800061", "800063", "800077"), OrderRouteClosed),
    **dict.fromkeys(("800014", "800060", "800082", "900278", "900280", "2055"), Busy),
    **dict.fromkeys(_UNDER_REVIEW, Busy),
    # 900311 is "updated too many times": each repeat earns more of it.
    **dict.fromkeys(("900117", "900213", "900277", "900279", "900311"), NotCancellable),
    **dict.fromkeys(("800040", "800091", "800096", "900321", "900322"), NotCancellable),
    **dict.fromkeys(("20002", "900159"), NoRelationship),
    "900127": NotSupportedHere,
    "900329": NotForThisCredential,
    "900309": BlockedByPolicy,
    **dict.fromkeys(RIGHTS_CODES, LacksRights),
    "2011": AlreadyDeleted,
    "800081": NotActivated,
    "900115": AzureSubscriptionsActive,
}

# With status 404, these codes mean that the order or subscription itself is missing.
_GONE_CODES: Final = frozenset({"20000", "20003", "800111"})

_BY_STATUS: Final[dict[int, type[ErrorStatus]]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_TIMEOUT: Unavailable,
    HTTPStatus.CONFLICT: Busy,
    HTTPStatus.PRECONDITION_FAILED: Busy,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
}


def error_of(response: ErrorResponse) -> ErrorStatus:
    """Return the error that a response means: by its code, else by its status.

    A wait that the error pages ask for counts like a Retry-After, which wins if there is one.
    """
    if response.retry_after is None:
        response = replace(response, retry_after=_DOCUMENTED_WAITS.get(response.code))
    return _meaning(response)(response)


def _meaning(response: ErrorResponse) -> type[ErrorStatus]:
    status, code = response.status, response.code
    # A 429 stays a 429 whatever code it carries: the pause must be kept.
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled
    if status == HTTPStatus.NOT_FOUND and not response.coded:
        return NoRoute
    if status == HTTPStatus.NOT_FOUND and code in _GONE_CODES:
        return PurchaseGone
    by_status = Unavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Rejected
    return _BY_CODE.get(code) or _BY_STATUS.get(status, by_status)


_DESCRIPTION_CHARACTERS: Final = 1024
_CODE_CHARACTERS: Final = 60
_PAGE_CHARACTERS: Final = 10_000
_HEADER_CHARACTERS: Final = 2_000
# Far more than any error nests.
_DEPTH: Final = 8

# Azure, Entra ID and the proxies between write errors their own way. Names are compared in lower
# case; the first that is there wins.
_CODES: Final = ("code", "errorcode", "error_code", "error", "title")
_DESCRIPTIONS: Final = (
    "description",
    "message",
    "error_description",
    "errordescription",
    "errormessage",
    "detail",
    "title",
    "value",
    "error",
)
_INNER: Final = ("error", "odata.error", "errors", "message", "detail", "details", "innererror")
# Far more than any error lists.
_MOST_OBJECTS: Final = 100
# What must never be missed is looked for in any text; 6002 alone is too short to be told apart.
_NOT_A_SANDBOX: Final = re.compile(r"(?<![\w.-])800019(?![\w-])")
_XML_CODE: Final = re.compile(r"<(?:\w+:)?(?:error)?code[^>]*>\s*(\d+)\s*</", re.IGNORECASE)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE: Final = re.compile(r"\\(.)")


def error_text(content: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the code and the description of an error response, "" for what it does not tell.

    Of several codes, one that means NotASandbox comes first, then Partner Center's own, which are
    numbers.
    """
    text = _decoded(content, headers.get("Content-Type", ""))
    plain = content.decode("utf-8", "replace")
    challenge = headers.get("WWW-Authenticate", "")
    body = json_of(text.encode()) or json_of(content)
    found = [*islice(_objects(body), _MOST_OBJECTS), _challenge(challenge)]
    codes = [code for each in found if (code := _code(each))]
    codes += _NOT_A_SANDBOX.findall(f"{text} {plain} {challenge}")
    description = _first(_description(each) for each in found)
    if body is None:
        title = _title(text[:_PAGE_CHARACTERS])
        codes += [*_XML_CODE.findall(text[:_PAGE_CHARACTERS]), *([title] * title.isdecimal())]
        description = description or title
    return _most_telling(codes)[:_CODE_CHARACTERS], description[:_DESCRIPTION_CHARACTERS]


def _most_telling(codes: Sequence[str]) -> str:
    numbers = [code for code in codes if code.isdecimal()]
    alarms = [code for code in numbers if _BY_CODE.get(code) is NotASandbox]
    return _first(iter([*alarms, *numbers, *codes]))


def _decoded(content: bytes, content_type: str) -> str:
    """Return the text of a response, whatever it is encoded in; what cannot be read is U+FFFD."""
    encoding: str = json.detect_encoding(content)
    named = _CHARSET.search(content_type)
    if named and encoding == "utf-8":
        encoding = named[1]
    try:
        return readable(content.decode(encoding, "replace"))
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _objects(value: object, depth: int = _DEPTH) -> Iterator[Mapping[str, object]]:
    """Yield an error and those inside it, with their names in lower case, the outer one first.

    A text may hold JSON.
    """
    if not depth:
        return
    if isinstance(value, str) and value.lstrip().startswith(("{", "[", '"')):
        yield from _objects(json_of(readable(value).encode()), depth - 1)
    if isinstance(value, list):
        for each in value:
            yield from _objects(each, depth - 1)
    if not isinstance(value, dict):
        return
    members = {str(name).strip().lower(): each for name, each in value.items()}
    yield members
    for name in _INNER:
        yield from _objects(members.get(name), depth - 1)


def _first(texts: Iterator[str]) -> str:
    return next((text for text in texts if text), "")


def _code(members: Mapping[str, object]) -> str:
    return _first(_code_of(name, members.get(name)) for name in _CODES)


def _code_of(name: str, value: object) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else ""
    text = readable(str(value)) if isinstance(value, int | str) else ""
    code = "".join(filter(str.isprintable, text)).strip()
    # A sentence is a description, and a title too, if it is no number.
    return "" if " " in code or (name == "title" and not code.isdecimal()) else code


def _description(members: Mapping[str, object]) -> str:
    texts = (members.get(name) for name in _DESCRIPTIONS)
    return _first(readable(text).strip() for text in texts if isinstance(text, str))


def _challenge(header: str) -> Mapping[str, object]:
    """Return the parameters of a WWW-Authenticate header."""
    found = _PARAMETER.findall(header[:_HEADER_CHARACTERS])
    return {name.lower(): _ESCAPE.sub(r"\1", value) for name, value in found}


def _title(text: str) -> str:
    found = _TITLE.search(text)
    return " ".join(html.unescape(found[1]).split()) if found else ""
