"""Spares the libraries work that they repeat for each call, without changing what they do."""

import functools
import typing


def install() -> None:
    """Remember the members of each protocol, which azure-core looks up several times a call."""
    found = functools.cache(typing._get_protocol_attrs)  # type: ignore[attr-defined]
    typing._get_protocol_attrs = found  # type: ignore[attr-defined]
