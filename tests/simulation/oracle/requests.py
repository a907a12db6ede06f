"""What a person's message requests, by the contract rather than by the app's parser."""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_STEP: Final = frozenset({"version", "tenantId", "generation", "correlationId"})

_SEALED: Final = frozenset({"putBack", "firstInsertedAt"})
_OPTIONAL: Final = frozenset({"knownSince", "lastTry", "trip"})
_FORWARDED: Final = frozenset({"version", "tenantId", "requestedBy", "dryRun", "attempt"})
_SEPARATORS: Final = re.compile(r"[,\r\n]+")


@dataclass(frozen=True, slots=True)
class Wish:
    """A customer that somebody wants deleted, or only checked by a dry run."""

    tenant: str
    dry: bool


def wishes_of(text: str) -> tuple[Wish, ...]:
    """Read a dropped message or a part of one that the app has split; one wish for each customer.

    Empty if it requests nothing: one bad entry spoils the others.
    """
    found = _plain(text)
    if found:
        return found
    try:
        return _plain(b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return ()


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


def subjects_of(text: str) -> frozenset[str]:
    """Return the customers of a request or a step, also of one put back; empty if of neither."""
    inner = unsealed(text)
    tenant = step_tenant(inner)
    return frozenset((tenant,) if tenant else (wish.tenant for wish in wishes_of(inner)))


def deletions_of(text: str) -> tuple[str, ...]:
    """Return the customers whose deletion a message requests or continues, also if put back."""
    inner = unsealed(text)
    if tenant := step_tenant(inner):
        return (tenant,)
    return tuple(wish.tenant for wish in wishes_of(inner) if not wish.dry)


def dry_runs_of(text: str) -> tuple[str, ...]:
    """Return the customers that a message asks to check by a dry run, also if put back."""
    return tuple(wish.tenant for wish in wishes_of(unsealed(text)) if wish.dry)


def unsealed(text: str) -> str:
    """Return the message that the app put back in a message of its own, or the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    sealed = isinstance(value, dict) and set(value) - _OPTIONAL == _SEALED
    return str(value["putBack"]) if sealed else text


def _plain(text: str) -> tuple[Wish, ...]:
    entries = filter(None, map(str.strip, _SEPARATORS.split(text)))
    if found := _together([wish_in(each) for each in entries]):
        return found
    try:
        value = json.loads(text)
    except ValueError:
        return ()
    if isinstance(value, dict) and set(value) == _FORWARDED:
        value = {name: value[name] for name in ("tenantId", "requestedBy", "dryRun")}
    entries_of_json = value if isinstance(value, list) else [value]
    return _together([wish_in(each) for each in entries_of_json])


def _together(wishes: Iterable[Wish | None]) -> tuple[Wish, ...]:
    """Return each wish once; none if one is bad or a customer is wanted both ways."""
    found = dict.fromkeys(wishes)
    tenants = {wish.tenant for wish in found if wish}
    if len(tenants) < len(found):
        return ()
    return tuple(wish for wish in found if wish)


def _tenant(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    bare = value.strip().lower()
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    return bare if _GUID.fullmatch(bare) else None
