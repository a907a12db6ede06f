"""The messages on the queues: what a person drops, and what tipsweep sends itself."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import TipsweepError, shown
from shared.inputs import NotJson, is_line, parse_json
from shared.tenants import NotATenantId, TenantId, tenant_id

_VERSION: Final = 1
REQUESTED_BY_CHARACTERS: Final = 200
_REQUEST_MEMBERS: Final = frozenset({"tenantId", "requestedBy", "dryRun"})
_STEP_MEMBERS: Final = frozenset({"version", "tenantId", "generation", "correlationId"})


class BadMessage(TipsweepError):
    """A message that tipsweep does not understand; `tenant` is set if it names one."""

    def __init__(self, text: str, tenant: TenantId | None = None) -> None:
        super().__init__(text)
        self.tenant = tenant


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A request to delete a customer, or to see what that would do."""

    tenant: TenantId
    requested_by: str = ""
    dry_run: bool = False


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


def parse_request(body: bytes) -> DeletionRequest:
    """Read a dropped message: plain text, JSON string or object, each also in base64.

    Raises BadMessage.
    """
    text = _text(body)
    try:
        return _plain_request(text)
    except BadMessage as plain_error:
        inner = _decoded(text)
        if inner is None:
            raise
        try:
            return _plain_request(_text(inner))
        except BadMessage as error:
            message = f"The message is base64, and inside it: {error}"
            raise BadMessage(message, error.tenant) from plain_error


def request_from_json(value: object) -> DeletionRequest:
    """Read a JSON value: a tenant ID, or an object with `tenantId` and optional members.

    Raises BadMessage.
    """
    if isinstance(value, str):
        return DeletionRequest(_tenant(value))
    if not isinstance(value, dict):
        message = f"Expected a tenant ID or an object with tenantId, found {_kind(value)}"
        raise BadMessage(message)
    tenant = _tenant(value.get("tenantId"))
    unknown = sorted(set(value) - _REQUEST_MEMBERS)
    if unknown:
        known = ", ".join(sorted(_REQUEST_MEMBERS))
        message = f"Unknown member {shown(unknown[0])}: expected only {known}"
        raise BadMessage(message, tenant)
    return DeletionRequest(tenant, _requested_by(value, tenant), _dry_run(value, tenant))


def parse_step(body: bytes) -> StepMessage:
    """Read one of our own messages; raises BadMessage."""
    value = _json(_text(body))
    if not isinstance(value, dict) or set(value) != _STEP_MEMBERS:
        message = f"Expected an object with exactly {', '.join(sorted(_STEP_MEMBERS))}"
        raise BadMessage(message)
    tenant = _tenant(value["tenantId"])
    generation, correlation_id = value["generation"], value["correlationId"]
    if value["version"] != _VERSION:
        message = f"Message version {shown(str(value['version']))}: expected {_VERSION}"
        raise BadMessage(message, tenant)
    if type(generation) is not int or generation < 1 or not isinstance(correlation_id, str):
        message = "Expected a generation of 1 or more and a correlationId"
        raise BadMessage(message, tenant)
    return StepMessage(tenant, generation, correlation_id)


def _plain_request(text: str) -> DeletionRequest:
    if text.startswith(("{", '"', "[")):
        # A GUID in braces opens like a JSON object.
        braced = text.startswith("{") and text.endswith("}") and ":" not in text
        return DeletionRequest(_tenant(text)) if braced else request_from_json(_json(text))
    return DeletionRequest(_tenant(text))


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        message = f"The message of {len(body)} bytes is not UTF-8: {error.reason}"
        raise BadMessage(message) from error


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _json(text: str) -> object:
    try:
        return parse_json(text)
    except NotJson as error:
        message = f"The message is not valid JSON: {error}"
        raise BadMessage(message) from error


def _tenant(value: object) -> TenantId:
    if not isinstance(value, str):
        message = f"Expected a tenant ID in tenantId, found {_kind(value)}"
        raise BadMessage(message)
    if not value.strip():
        message = "The message is empty: expected a tenant ID"
        raise BadMessage(message)
    try:
        return tenant_id(value)
    except NotATenantId as error:
        raise BadMessage(str(error)) from error


def _requested_by(value: Mapping[str, Any], tenant: TenantId) -> str:
    name = value.get("requestedBy", "")
    if not isinstance(name, str) or not is_line(name, REQUESTED_BY_CHARACTERS):
        message = (
            f"Expected one line of at most {REQUESTED_BY_CHARACTERS} characters in requestedBy"
        )
        raise BadMessage(message, tenant)
    return name


def _dry_run(value: Mapping[str, Any], tenant: TenantId) -> bool:
    dry_run = value.get("dryRun", False)
    if not isinstance(dry_run, bool):
        message = f"Expected true or false in dryRun, found {_kind(dry_run)}"
        raise BadMessage(message, tenant)
    return dry_run


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
