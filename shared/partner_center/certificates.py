"""The certificate in Key Vault, as PEM or PFX."""

import base64
from typing import Final

_PEM: Final = "-----BEGIN "


def certificate_data(stored: str) -> bytes:
    """Return a certificate as PEM or PFX, by its content: the vault's content type may be missing.

    Raises ValueError unless the text is PEM, or PFX or PEM in base64.
    """
    if _PEM in stored:
        return stored[stored.index(_PEM) :].encode()
    return base64.b64decode("".join(stored.replace("\ufeff", "").split()), validate=True)
