"""The JSON Web Tokens issued by the simulated Entra ID and managed identity."""

import base64
import functools
import time
import uuid
from collections.abc import Mapping
from typing import Any

import jwt

from local.simulator.certificates import signing_key

AUDIENCE = "https://api.partnercenter.microsoft.com"
KEY_ID = "simulator"


def issue(claims: Mapping[str, object], lifetime_seconds: int) -> str:
    """Sign the claims, adding the times and a unique token ID."""
    # Not the simulated time: azure-identity and msal compare `exp` with the machine's clock.
    now = int(time.time())
    payload = {
        **claims,
        "iat": now,
        "nbf": now,
        "exp": now + lifetime_seconds,
        "uti": uuid.uuid4().hex,
    }
    return jwt.encode(payload, signing_key(), algorithm="RS256", headers={"kid": KEY_ID})


def read(token: str, audience: str) -> dict[str, Any]:
    """Return the claims of a token that was issued here for this audience.

    Raises jwt.InvalidTokenError; its subclass InvalidAudienceError for another audience.
    """
    claims = _signed(token, audience)
    # PyJWT knows which error a wrong time deserves.
    return dict(claims) if _is_now(claims) else _decoded(token, audience, times=True)


@functools.lru_cache(1024)
def _signed(token: str, audience: str) -> dict[str, Any]:
    """Return the claims, whatever the time; a client sends the same token with every call."""
    return _decoded(token, audience, times=False)


def _is_now(claims: Mapping[str, Any]) -> bool:
    begins = max(claims.get("iat", 0), claims.get("nbf", 0))
    return bool(begins <= time.time() < claims["exp"])


def _decoded(token: str, audience: str, *, times: bool) -> dict[str, Any]:
    return jwt.decode(
        token,
        signing_key().public_key(),
        algorithms=["RS256"],
        audience=audience,
        options={
            "require": ["exp", "aud"],
            "verify_exp": times,
            "verify_nbf": times,
            "verify_iat": times,
        },
    )


def public_keys() -> dict[str, object]:
    """Return the public key as a JSON Web Key Set."""
    numbers = signing_key().public_key().public_numbers()
    key = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": KEY_ID,
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
    }
    return {"keys": [key]}


def _base64url(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
