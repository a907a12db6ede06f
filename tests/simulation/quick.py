"""Spares the libraries work that they repeat for each call, without changing what they do."""

import functools
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from email import headerregistry
from typing import Any, Final
from urllib.parse import urlparse

import azure.core.utils
from requests import structures, utils

_REMEMBERED: Final = 512
# A header holds a boundary that never comes again, and each one that is kept costs the collector.
_FEW: Final = 16


def install() -> None:
    """Make what takes long and always has the same result quick; for the rest of the process."""
    _remember_protocols()
    _remember_urls()
    _remember_headers()
    _copy_headers_at_once()
    _look_for_no_proxy()


def _remember_protocols() -> None:
    """Remember the members of each protocol, which azure-core looks up several times a call."""
    found = functools.cache(typing._get_protocol_attrs)  # type: ignore[attr-defined]
    typing._get_protocol_attrs = found  # type: ignore[attr-defined]


def _remember_urls() -> None:
    """Remember the parts of URLs, which each layer takes apart anew."""
    _replace(urlparse, functools.lru_cache(_REMEMBERED, typed=True)(urlparse))


def _remember_headers() -> None:
    """Remember the headers of the parts of a table transaction, parsed each time one is read."""
    registry = headerregistry.HeaderRegistry
    registry.__call__ = functools.lru_cache(_FEW)(registry.__call__)  # type: ignore[method-assign]


def _copy_headers_at_once() -> None:
    """Copy headers without a look at each name by way of the base classes."""
    for kind in (structures.CaseInsensitiveDict, azure.core.utils.CaseInsensitiveDict):
        for name, quick in (("update", _updating(kind.update)), ("items", _pairs)):
            setattr(kind, name, quick)
    _replace(utils.to_key_val_list, _listing(utils.to_key_val_list))


def _updating(update: Callable[..., None]) -> Callable[..., None]:
    def quick(self: Any, other: Any = (), /, **more: Any) -> None:
        if more or type(other) not in {dict, type(self)}:
            update(self, other, **more)
        elif type(other) is dict:
            self._store.update({name.lower(): (name, value) for name, value in other.items()})
        else:
            self._store.update(other._store)

    return quick


def _pairs(self: Any) -> Iterable[tuple[str, Any]]:
    pairs: Iterable[tuple[str, Any]] = self._store.values()
    return pairs


def _listing(listing: Callable[[Any], Any]) -> Callable[[Any], Any]:
    copied: Iterable[type] = {dict, structures.CaseInsensitiveDict}
    return lambda value: list(value.items()) if type(value) in copied else listing(value)


def _look_for_no_proxy() -> None:
    """Spare requests the choice among no proxies."""
    choose = utils.select_proxy

    def quick(url: str, proxies: Mapping[str, str] | None) -> str | None:
        return choose(url, dict(proxies)) if proxies else None

    _replace(choose, quick)


def _replace(function: Callable[..., Any], quick: Callable[..., Any]) -> None:
    """Replace a function in each module that has imported it."""
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if value is function:
                setattr(module, name, quick)
