"""Tenant IDs in the one form that tipsweep compares and stores."""

import re
import uuid
from typing import Final, NewType

from shared.errors import TipsweepError, shown

TenantId = NewType("TenantId", str)

_GUID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


class NotATenantId(TipsweepError):
    """A text is not a tenant ID."""


def tenant_id(text: str) -> TenantId:
    """Return the tenant ID in lower case without braces.

    Raises NotATenantId unless the text is a GUID with hyphens, bare or in braces, and not the
    empty GUID.
    """
    bare = text.strip()
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    if not _GUID.fullmatch(bare) or not uuid.UUID(bare).int:
        message = (
            f"{shown(text)} is not a tenant ID: expected a GUID such as "
            "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
        )
        raise NotATenantId(message)
    return TenantId(bare.lower())
