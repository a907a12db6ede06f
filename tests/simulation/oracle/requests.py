"""What a person's message requests, by the contract rather than by the app's parser."""

import binascii
import json
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Final

_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_STEP: Final = frozenset({"version", "tenantId", "generation", "correlationId"})

_SEALED: Final = frozenset({"putBack", "firstInsertedAt"})


@dataclass(frozen=True, slots=True)
class Wish:
    """A customer that somebody wants deleted, or only checked by a dry run."""

    tenant: str
    dry: bool


def wish_of(text: str) -> Wish | None:
    """Read a dropped message; None if it requests nothing."""
    found = _plain(text)
    if found is not None:
        return found
    try:
        return _plain(b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return None


def wish_in(value: Any) -> Wish | None:
    """Read a JSON value that requests a deletion; None if it does not."""
    if isinstance(value, str):
        tenant = _tenant(value)
        return Wish(tenant, dry=False) if tenant else None
    if not isinstance(value, dict) or not set(value) <= {"tenantId", "requestedBy", "dryRun"}:
        return None
    tenant = _tenant(value.get("tenantId"))
    dry, by = value.get("dryRun", False), value.get("requestedBy", "")
    if not tenant or not isinstance(dry, bool) or not isinstance(by, str):
        return None
    return Wish(tenant, dry)


def step_tenant(text: str) -> str | None:
    """Return the customer of one of the app's own messages; None if it is not one."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return _tenant(value["tenantId"]) if isinstance(value, dict) and set(value) >= _STEP else None


def subject_of(text: str) -> str:
    """Return the customer of a request or a step, also of one put back; empty if of neither."""
    inner = unsealed(text)
    wish = wish_of(inner)
    return wish.tenant if wish else step_tenant(inner) or ""


def unsealed(text: str) -> str:
    """Return the message that the app put back in a message of its own, or the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    sealed = isinstance(value, dict) and set(value) == _SEALED
    return str(value["putBack"]) if sealed else text


def _plain(text: str) -> Wish | None:
    text = text.strip()
    if tenant := _tenant(text):
        return Wish(tenant, dry=False)
    try:
        return wish_in(json.loads(text))
    except ValueError:
        return None


def _tenant(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    bare = value.strip().lower()
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    return bare if _GUID.fullmatch(bare) else None
