"""What an access token says about itself."""

import base64
import binascii
import json
from typing import Any

from shared.partner_center.errors import SignInFailed
from shared.partner_center.sign_in_failure import log_failure


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token; raises ValueError, IndexError or TypeError for no JWT."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(claims, dict):
        message = "The claims are not an object"
        raise TypeError(message)
    return claims


def tenant_of(token: str) -> str:
    """Return the `tid` claim of a token; raises SignInFailed if it has none.

    The signature is not checked: the token came over TLS and Partner Center checks it.
    """
    try:
        return str(claims_of(token)["tid"]).lower()
    except (LookupError, TypeError, ValueError, binascii.Error, RecursionError) as error:
        failed = SignInFailed("The access token names no tenant: expected a JWT with the claim tid")
        log_failure(failed)
        raise failed from error
