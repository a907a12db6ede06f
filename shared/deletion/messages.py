"""The messages on the queues: what a person drops, and what tipsweep sends itself."""

import base64
import binascii
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.errors import TipsweepError, shown
from shared.inputs import NotJson, is_line, parse_json, readable_json
from shared.limits import FIRST_YEAR, LAST_YEAR, SANDBOX_CUSTOMERS
from shared.partner_center.resources import known_date
from shared.safety.switch import SwitchState
from shared.tenants import NotATenantId, TenantId, tenant_id

_BODY: Final = "putBack"
_INSERTED_AT: Final = "firstInsertedAt"
_KNOWN_SINCE: Final = "knownSince"
_LAST_TRY: Final = "lastTry"
_TRIP: Final = "trip"
_OPTIONAL: Final = frozenset({_KNOWN_SINCE, _LAST_TRY, _TRIP})
_TRIP_MEMBERS: Final = frozenset({"requestedBy", "reason", "at", "tripId"})
_VERSION: Final = 1
_URL_SAFE: Final = str.maketrans("-_", "+/")
_MOST_PADDING: Final = 2
# Those of UTF-16 hold a zero byte for each letter.
_TEXT_BYTES: Final = frozenset(string.printable.encode() + b"\0")
_SEPARATORS: Final = re.compile(r"[,\r\n]+")
REQUESTED_BY_CHARACTERS: Final = 200
# Table storage holds no larger number as a plain integer.
HIGHEST_GENERATION: Final = 2**31 - 1
# People paste secrets, so a reason shows little of what they sent.
REASON_CHARACTERS: Final = 500
_REQUEST_MEMBERS: Final = frozenset({"tenantId", "requestedBy", "dryRun"})
# Not `insertionTime` or `id`: the host takes members of these names for the message's own.
_FORWARDED_MEMBERS: Final = frozenset({"version", "tenantId", "requestedBy", "dryRun", "attempt"})
# Queue output bindings of Azure Functions add it to every JSON object.
_STAMP: Final = "$AzureWebJobsParentId"
# How a message of ours begins, also after such a binding has written it anew.
_OURS: Final = re.compile(rb'\s*\{\s*"(?:putBack|version|\$AzureWebJobsParentId)"\s*:')
# An earlier version forwarded requests with this member instead of in a parcel.
_DROPPED_AT: Final = "droppedAt"
_TIME: Final = f"a time with its zone, between the years {FIRST_YEAR} and {LAST_YEAR}"
_STEP_MEMBERS: Final = frozenset({"version", "tenantId", "generation", "correlationId"})


# Queue storage sends messages as XML, which cannot hold these.
_NOT_IN_XML: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
# A little below the 64 KiB of Microsoft's page "Queue storage scalability".
_MESSAGE_BYTES: Final = 64_000


class BadMessage(TipsweepError):
    """A message that tipsweep does not understand; `tenant` is set if it names one.

    `expected` says what belongs there and repeats nothing of the message. `dry_run` says that
    nobody can tell whether a deletion was asked for: the message asks for a dry run, or says
    something unreadable about one.
    """

    def __init__(
        self,
        text: str,
        tenant: TenantId | None = None,
        *,
        expected: str = "a tenant ID",
        dry_run: bool = False,
    ) -> None:
        super().__init__(_capped(text))
        self.tenant = tenant
        self.expected = expected
        self.dry_run = dry_run


def _capped(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A request to delete a customer, or to see what that would do.

    `attempt` is how often its dry run had to be put back.
    """

    tenant: TenantId
    requested_by: str = ""
    dry_run: bool = False
    attempt: int = 0

    def to_json(self) -> str:
        """Return the text of a message that asks for the same."""
        request = {
            "tenantId": self.tenant,
            "requestedBy": self.requested_by,
            "dryRun": self.dry_run,
        }
        if self.attempt:
            request |= {"version": _VERSION, "attempt": self.attempt}
        return json.dumps(request)

    def sealed(
        self,
        dropped_at: datetime | None,
        known_since: datetime | None = None,
        trip: SwitchState | None = None,
    ) -> str:
        """Return the text of a message that counts as inserted when the drop was."""
        return Parcel(self.to_json().encode(), dropped_at, known_since, trip=trip).sealed()


@dataclass(frozen=True, slots=True)
class StepMessage:
    """The next step of a deletion; the record holds everything else."""

    tenant: TenantId
    generation: int
    correlation_id: str

    def to_json(self) -> str:
        """Return the text of the queue message."""
        return json.dumps(
            {
                "version": _VERSION,
                "tenantId": self.tenant,
                "generation": self.generation,
                "correlationId": self.correlation_id,
            }
        )

    def carrying(self, trip: SwitchState | None) -> str:
        """Return the text of the queue message, in a parcel if it has to carry a trip."""
        text = self.to_json()
        return text if trip is None else Parcel(text.encode(), None, trip=trip).sealed()


Drop = tuple[DeletionRequest, ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a message holds, and when it was first put on a queue; None if nobody knows.

    A message that is put back is newer than it was: a drop from before an abort must not count as
    one after it. `known_since` is the earliest time at which it is known to have been on a queue,
    which says how old it is at least; None as long as nobody knows that either. `last_try` says
    that it was put back although it was late, and will not be again. `trip` is one of the safety
    switch that could not be stored: whoever gets the message stores it first.
    """

    body: bytes
    inserted_at: datetime | None
    known_since: datetime | None = None
    last_try: bool = False
    trip: SwitchState | None = None

    def sealed(self) -> str:
        """Return the text of a message that holds this one."""
        # A lone surrogate stands for a byte that is not UTF-8.
        members: dict[str, Any] = {
            _BODY: self.body.decode(errors="surrogateescape"),
            _INSERTED_AT: self.inserted_at.isoformat() if self.inserted_at else "",
        }
        if self.inserted_at is None and self.known_since is not None:
            members[_KNOWN_SINCE] = self.known_since.isoformat()
        if self.last_try:
            members[_LAST_TRY] = True
        if self.trip is not None:
            members[_TRIP] = _trip_members(self.trip)
        text = json.dumps(members, ensure_ascii=False)
        return _NOT_IN_XML.sub(lambda each: f"\\u{ord(each[0]):04x}", text)

    def messages(self) -> list[str]:
        """Return the texts of the messages that hold this one: several if one is too small.

        A large drop becomes one message for each of its requests. What cannot be read, and so asks
        for nothing, is sent as it first came: it fitted into a message then.
        """
        whole = self.sealed()
        if len(whole.encode()) <= _MESSAGE_BYTES:
            return [whole]
        try:
            return [
                replace(self, body=request.to_json().encode()).sealed()
                for request in parse_drop(self.body)
            ]
        except BadMessage:
            return [as_text(self.body)] if self._holds_no_other() else [whole]

    def _holds_no_other(self) -> bool:
        """Whether the body alone would not be taken for a parcel that holds another message."""
        return opened(self.body, None).body == self.body


def as_text(body: bytes) -> str:
    """Return what a message of these bytes holds; what is no text comes in base64."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii")


def opened(body: bytes, queued_at: datetime | None, *, moved: bool = False) -> Parcel:
    """Return what a message holds: itself, unless it was put back.

    `queued_at` is when its queue took it, and `moved` says that the host moved it there, so that
    this is not when it was first inserted. Nobody gains by writing a parcel by hand: it can only
    count as older than it is, and trip the switch. One that is not as tipsweep writes it is
    returned as it is, and nothing parses it.
    """
    members = _members(body)
    try:
        if members.keys() - _OPTIONAL == {_BODY, _INSERTED_AT}:
            inner = members[_BODY].encode(errors="surrogateescape")
            known_since = _earliest(_time_of(members, _KNOWN_SINCE), queued_at)
            parcel = _since(inner, _time_of(members, _INSERTED_AT), known_since)
            last_try = members.get(_LAST_TRY) is True
            return replace(parcel, last_try=last_try, trip=_trip_of(members))
        if _DROPPED_AT in members:
            return _since(body, _time_of(members, _DROPPED_AT), queued_at)
    except (AttributeError, UnicodeEncodeError, BadMessage):
        pass
    return Parcel(body, None if moved else queued_at, queued_at)


def _since(body: bytes, inserted_at: datetime | None, known_since: datetime | None) -> Parcel:
    known_since = _earliest(inserted_at, known_since)
    return Parcel(body, known_since if inserted_at else None, known_since)


def _trip_members(trip: SwitchState) -> dict[str, str]:
    return {
        "requestedBy": trip.requested_by,
        "reason": trip.reason,
        "at": trip.at.isoformat() if trip.at else "",
        "tripId": trip.trip_id,
    }


def _trip_of(members: Mapping[str, Any]) -> SwitchState | None:
    """Read the trip that a message carries, None if it carries none; raises BadMessage."""
    trip = members.get(_TRIP)
    if trip is None:
        return None
    texts = isinstance(trip, dict) and all(isinstance(each, str) for each in trip.values())
    if not texts or trip.keys() != _TRIP_MEMBERS or not trip["tripId"]:
        expected = f"the texts {', '.join(sorted(_TRIP_MEMBERS))} in {_TRIP}"
        message = f"The trip in a message that was put back is wrong: expected {expected}"
        raise BadMessage(message, expected=expected)
    at = _time_of(trip, "at")
    return SwitchState(True, trip["requestedBy"], trip["reason"], at, trip["tripId"])


def _earliest(*times: datetime | None) -> datetime | None:
    return min((each for each in times if each is not None), default=None)


def parse_drop(body: bytes) -> Drop:
    """Read a dropped message: one request for each customer, at most as many as a sandbox holds.

    A drop is text with tenant IDs, one a line or between commas; a JSON string or object; or a
    JSON array of these. Each form may be in base64, which may stand in a JSON string. Raises
    BadMessage, which names the entries that are wrong.
    """
    text = _text(body)
    try:
        return _plain_drop(text)
    except BadMessage as plain_error:
        inner = _decoded(_unquoted(text))
        if inner is None:
            raise
        try:
            return _plain_drop(_text(inner))
        except BadMessage as error:
            # Many words are valid base64 too.
            if not _is_mostly_text(inner):
                raise plain_error from None
            message = f"The message is base64, and inside it: {error}"
            raise BadMessage(message, error.tenant, dry_run=error.dry_run) from plain_error


def request_from_json(value: object) -> DeletionRequest:
    """Read a JSON value: a tenant ID, or an object with `tenantId` and optional members.

    Raises BadMessage.
    """
    if isinstance(value, str):
        return DeletionRequest(_tenant(value))
    if not isinstance(value, dict):
        expected = "a tenant ID or an object with tenantId"
        message = f"Expected {expected}, found {_kind(value)}"
        raise BadMessage(message, expected=expected)
    with _request_of(value) as tenant:
        unknown = sorted(set(value) - _REQUEST_MEMBERS)
        if unknown:
            expected = f"only {', '.join(sorted(_REQUEST_MEMBERS))}"
            message = f"Unknown member {shown(unknown[0])}: expected {expected}"
            raise BadMessage(message, expected=expected)
        return DeletionRequest(tenant, _requested_by(value), _dry_run(value))


def parse_step(body: bytes) -> StepMessage:
    """Read one of our own messages; raises BadMessage."""
    value = _unstamped(_json(_text(body)))
    _require_no_parcel(value)
    if not isinstance(value, dict) or set(value) != _STEP_MEMBERS:
        message = f"Expected an object with exactly {', '.join(sorted(_STEP_MEMBERS))}"
        raise BadMessage(message)
    tenant = _tenant(value["tenantId"])
    generation, correlation_id = value["generation"], value["correlationId"]
    if value["version"] != _VERSION:
        message = f"Message version {shown(str(value['version']))}: expected {_VERSION}"
        raise BadMessage(message, tenant)
    # A bool counts as an int.
    if type(generation) is not int or not 1 <= generation <= HIGHEST_GENERATION:
        message = f"Expected a whole number from 1 to {HIGHEST_GENERATION} in generation"
        raise BadMessage(message, tenant)
    if not isinstance(correlation_id, str):
        message = f"Expected text in correlationId, found {_kind(correlation_id)}"
        raise BadMessage(message, tenant)
    return StepMessage(tenant, generation, correlation_id)


def _plain_drop(text: str) -> Drop:
    # A GUID in braces opens like a JSON object.
    braced = text.startswith("{") and ":" not in text
    if not braced and text.startswith(("{", '"', "[")):
        return _json_drop(_json(text))
    entries = [entry for entry in map(str.strip, _SEPARATORS.split(text)) if entry]
    return _requests(entries or [""], lambda entry: DeletionRequest(_tenant(entry)))


def _json_drop(value: object) -> Drop:
    if isinstance(value, list):
        if not value:
            message = "The array is empty: expected tenant IDs"
            raise BadMessage(message)
        return _requests(map(_unstamped, value), request_from_json)
    request = _unstamped(value)
    _require_no_parcel(request)
    if isinstance(request, dict) and "version" in request:
        return (_forwarded(request),)
    return (request_from_json(request),)


def _unstamped(value: object) -> object:
    return _without_stamp(value) if isinstance(value, dict) else value


def _without_stamp(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if name != _STAMP}


def _requests(entries: Iterable[object], read: Callable[[Any], DeletionRequest]) -> Drop:
    """Read every entry; raises BadMessage if one is wrong, so that none is started."""
    found: dict[TenantId, DeletionRequest] = {}
    wrong: dict[int, BadMessage] = {}
    number = 0
    for number, entry in enumerate(entries, start=1):
        try:
            request = read(entry)
            found[request.tenant] = _folded(found.get(request.tenant), request)
        except BadMessage as error:
            wrong[number] = error
    if wrong:
        raise _together(wrong, number)
    if len(found) > SANDBOX_CUSTOMERS:
        message = f"{len(found)} tenant IDs: a sandbox holds at most {SANDBOX_CUSTOMERS}"
        raise BadMessage(message)
    return tuple(found.values())


def _folded(known: DeletionRequest | None, request: DeletionRequest) -> DeletionRequest:
    if known is None:
        return request
    if known.dry_run is not request.dry_run:
        message = f"{request.tenant} is there twice, once as a dry run: expected it once"
        raise BadMessage(message, expected="each tenant ID either as a dry run or not")
    return replace(known, requested_by=known.requested_by or request.requested_by)


def _together(wrong: Mapping[int, BadMessage], entries: int) -> BadMessage:
    """Return one error for all; only a drop of a single entry names a tenant.

    Only the first wrong entry is shown; the others have their numbers and what was expected.
    """
    if entries == 1:
        return wrong[1]
    (first, error), *rest = wrong.items()
    numbers: dict[str, list[str]] = {}
    for number, each in rest:
        numbers.setdefault(each.expected, []).append(str(number))
    others = [
        f"expected {expected} in {'entry' if len(found) == 1 else 'entries'} {', '.join(found)}"
        for expected, found in numbers.items()
    ]
    return BadMessage(
        f"{len(wrong)} of {entries} entries are wrong, so none is started: "
        + "; ".join([f"entry {first}: {error}", *others])
    )


def _forwarded(value: Mapping[str, Any]) -> DeletionRequest:
    """Read a request that `to_json` of this version, or the one before, has written."""
    if set(value) - {_DROPPED_AT} != _FORWARDED_MEMBERS or value["version"] != _VERSION:
        message = (
            f"With version, expected {_VERSION} and exactly {', '.join(sorted(_FORWARDED_MEMBERS))}"
        )
        raise BadMessage(message)
    with _request_of(value) as tenant:
        attempt = value["attempt"]
        if type(attempt) is not int or attempt < 0:
            message = "Expected a number from 0 in attempt"
            raise BadMessage(message)
        _time_of(value, _DROPPED_AT)
        return DeletionRequest(tenant, _requested_by(value), _dry_run(value), attempt)


def _require_no_parcel(value: object) -> None:
    """Say what is wrong with a parcel that `opened` has not opened, or that was in another one."""
    if not isinstance(value, dict) or not {_BODY, _INSERTED_AT} & value.keys():
        return
    _time_of(value, _INSERTED_AT)
    _time_of(value, _KNOWN_SINCE)
    _trip_of(value)
    expected = f"text in {_BODY} that was not put back itself, {_INSERTED_AT}, and nothing else"
    message = f"A message that was put back is wrong: expected {expected}"
    raise BadMessage(message, expected=expected)


@contextmanager
def _request_of(value: Mapping[str, Any]) -> Iterator[TenantId]:
    """Give the tenant of a request, and say in every error what the request was about."""
    tenant = _tenant(value.get("tenantId"))
    try:
        yield tenant
    except BadMessage as error:
        dry_run = _perhaps_dry_run(value)
        raise BadMessage(str(error), tenant, expected=error.expected, dry_run=dry_run) from error


def _perhaps_dry_run(value: Mapping[str, Any]) -> bool:
    """Whether a member may ask for a dry run, however it is spelled and whatever it holds."""
    return any(
        name.casefold() == "dryrun" and member is not False for name, member in value.items()
    )


def _time_of(members: Mapping[str, Any], name: str) -> datetime | None:
    """Read when a message was first inserted, None if it does not say; raises BadMessage."""
    text = members.get(name)
    if text is None or text == "":
        return None
    found = _timestamp(text) if isinstance(text, str) else None
    if found is None or found.tzinfo is None or known_date(found) is None:
        expected = f"{_TIME} in {name}"
        message = f"{name} is {shown(str(text))}: expected {_TIME}"
        raise BadMessage(message, expected=expected)
    return found


def _timestamp(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        message = f"The message of {len(body)} bytes is not UTF-8: {error.reason}"
        raise BadMessage(message) from error


def _decoded(text: str) -> bytes | None:
    """Decode base64, which may be wrapped, without padding, or with the letters - and _."""
    compact = "".join(text.split()).translate(_URL_SAFE)
    letters = compact.rstrip("=")
    if len(compact) - len(letters) > _MOST_PADDING:
        return None
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _unquoted(text: str) -> str:
    """Return what a JSON string holds; any other text as it is."""
    try:
        value = parse_json(text)
    except NotJson:
        return text
    return value if isinstance(value, str) else text


def _is_mostly_text(body: bytes) -> bool:
    """Whether bytes are meant as text, perhaps in another encoding than UTF-8."""
    return sum(each in _TEXT_BYTES for each in body) * 4 >= len(body) * 3


def _json(text: str) -> object:
    try:
        return parse_json(readable_json(text))
    except NotJson as error:
        message = f"The message is not valid JSON: {error}"
        raise BadMessage(message) from error


def _tenant(value: object) -> TenantId:
    if not isinstance(value, str):
        message = f"Expected a tenant ID in tenantId, found {_kind(value)}"
        raise BadMessage(message, expected="a tenant ID in tenantId")
    if not value.strip():
        message = "The message is empty: expected a tenant ID"
        raise BadMessage(message)
    try:
        return tenant_id(value)
    except NotATenantId as error:
        raise BadMessage(str(error)) from error


def _requested_by(value: Mapping[str, Any]) -> str:
    name = value.get("requestedBy", "")
    if not isinstance(name, str) or not is_line(name, REQUESTED_BY_CHARACTERS):
        expected = f"one line of at most {REQUESTED_BY_CHARACTERS} characters in requestedBy"
        message = f"Expected {expected}"
        raise BadMessage(message, expected=expected)
    return name


def _dry_run(value: Mapping[str, Any]) -> bool:
    dry_run = value.get("dryRun", False)
    if not isinstance(dry_run, bool):
        expected = "true or false in dryRun"
        message = f"Expected {expected}, found {_kind(dry_run)}"
        raise BadMessage(message, expected=expected)
    return dry_run


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _members(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object that tipsweep may have written; nothing otherwise."""
    if not _OURS.match(body):
        return {}
    try:
        value = parse_json(body.decode())
    except (NotJson, UnicodeDecodeError):
        return {}
    return _without_stamp(value) if isinstance(value, dict) else {}
