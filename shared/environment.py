"""Reads settings from environment variables and collects what is wrong with them."""

import base64
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from shared.domains import NotADomainPattern, domain_pattern
from shared.errors import TipsweepError, shown
from shared.inputs import NotASecret, bare_secret, without_surroundings
from shared.tenants import NotATenantId, TenantId, tenant_id

Choice = TypeVar("Choice", bound=StrEnum)

_IN_FRONT: Final = ("APPSETTING_", "TIPSWEEP_", "VALUES:", "VALUES__")
_EDITS: Final = 2
_LONGEST_NUMBER: Final = 9
_QUOTES: Final = frozenset("\"'")
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# $(…), ${…}, ~{…} and $[…] of pipelines and scripts, #{…}, {{…}}, %…%, <…>, __…__, [name('…')] of
# templates, @Microsoft.KeyVault(…).
_PLACEHOLDER: Final = re.compile(
    r"[$#~]\{|\$[(\[]|\{\{|@Microsoft\.\w*\("
    r"|\A(?:%\w+%|<[^<>]*>|__\w+__|\[\w+\(.*\)[^\]]*\])\Z",
    re.IGNORECASE,
)
_VARIABLE: Final = re.compile(r"\$(?:env:)?\w+", re.IGNORECASE)
GERMANY_CLOSED: Final = (
    "Microsoft Cloud Germany closed on 29 October 2021; use the cloud that the account moved to"
)
_GERMAN_DOMAINS: Final = ("microsoftonline.de", "microsoftazure.de", "cloudapi.de")


class SettingsError(TipsweepError):
    """Settings are missing or contradict each other; the text says what is expected of each."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        super().__init__(text)
        self.names = names


class Reader:
    """Reads typed values, collects what is wrong with them, and knows every name asked for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []
        self._asked: set[str] = set()

    def problem(self, text: str) -> None:
        """Note one problem, once; the text starts with the name of the setting."""
        if text not in self._problems:
            self._problems.append(text)

    def raise_problems(self) -> None:
        """Raise SettingsError if anything was wrong."""
        if self._problems:
            message = (
                f"{len(self._problems)} setting(s) missing or wrong. Set them in the function "
                "app's settings, or in Values of local.settings.json: "
            ) + "; ".join(self._problems)
            raise SettingsError(message, self._names())

    def _names(self) -> tuple[str, ...]:
        """Return the settings in question: each problem starts with the name of one."""
        first_words = (problem.split(maxsplit=1)[0] for problem in self._problems)
        return tuple(dict.fromkeys(word.rstrip(":") for word in first_words))

    def text(self, name: str) -> str | None:
        """Return a setting as text, None if it is empty or missing."""
        value = self._given(name)
        bare = without_surroundings(value)
        if _PLACEHOLDER.search(bare) or _VARIABLE.fullmatch(bare):
            self._unresolved(name)
        return value or None

    def secret_for(self, auth: str, name: str, *, needed: bool) -> str | None:
        """Return a secret that only some ways to sign in need, without what is around it.

        One that cannot be a secret is a problem where it is needed, and None elsewhere.
        """
        value = self._given(name)
        if not value:
            self._missing(auth, name, needed=needed)
            return None
        bare = without_surroundings(value)
        # A secret may have any of these letters inside.
        whole = bare.endswith((")", "}", "}#", "]", "%", ">", "__"))
        if (whole and _PLACEHOLDER.match(bare)) or _VARIABLE.fullmatch(bare):
            self._unresolved(name)
        try:
            return bare_secret(value)
        except NotASecret as error:
            if needed:
                self.problem(f"{name} {error}")
            return None

    def _given(self, name: str) -> str:
        self._asked.add(name)
        return self._environment.get(name, "").strip()

    def _unresolved(self, name: str) -> None:
        self.problem(
            f"{name} holds a placeholder or Key Vault reference that nothing resolved: set the "
            "value, and check whoever was to fill it in"
        )

    def unknown(self, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names that nothing has asked for, but that are meant for tipsweep.

        They begin with one of the prefixes, or are ours with something in front that other places
        put there.

        A name that looks like a misspelt one of those asked for is noted as a problem instead.
        Call this after everything is read.
        """
        given = set(self._environment)
        unknown = []
        for name in sorted(given - self._asked):
            meant = self._meant(name)
            if meant is None:
                unknown += [name] if self._is_meant_for_us(name.upper(), prefixes) else []
            # Windows lists every name in capitals, and finds it in any form.
            elif meant in given or meant not in self._environment:
                self.problem(f"{name} is not a setting: did you mean {meant}?")
        return tuple(unknown)

    def _is_meant_for_us(self, name: str, prefixes: tuple[str, ...]) -> bool:
        if name.startswith(prefixes):
            return True
        bare = next((name[len(each) :] for each in _IN_FRONT if name.startswith(each)), "")
        # App Service gives each setting twice, once with APPSETTING_ in front.
        if not bare or bare in {each.upper() for each in self._environment}:
            return False
        return bare.startswith(prefixes) or self._meant(bare) is not None

    def _meant(self, name: str) -> str | None:
        """Return the name asked for that is nearest to this one, None if none is near."""
        for edits in range(_EDITS + 1):
            for asked in sorted(self._asked):
                if _near(name.upper(), asked.upper(), edits):
                    return asked
        return None

    def text_for(self, auth: str, name: str, *, needed: bool) -> str | None:
        """Return a setting that only some ways to sign in need."""
        value = self.text(name)
        self._missing(auth, name, needed=needed and value is None)
        return value

    def _missing(self, auth: str, name: str, *, needed: bool) -> None:
        if needed:
            self.problem(f"{name} is missing: PARTNER_CENTER_AUTH is {auth}")

    def tenant(self, name: str) -> TenantId:
        """Return a required GUID."""
        value = self.text(name)
        if value is None:
            self.problem(f"{name} is missing: expected a GUID")
            return TenantId("")
        return self.listed_tenant(name, value)

    def listed_tenant(self, name: str, word: str) -> TenantId:
        """Return a GUID from a list."""
        try:
            return tenant_id(word)
        except NotATenantId as error:
            self.problem(f"{name}: {error}")
            return TenantId("")

    def listed_domain(self, name: str, word: str) -> str:
        """Return a domain pattern from a list, in the form that domains are compared in."""
        try:
            return domain_pattern(word)
        except NotADomainPattern as error:
            self.problem(f"{name}: {error}")
            return ""

    def words(self, name: str) -> list[str]:
        """Return the words of a list, separated by commas, semicolons or spaces; none if empty.

        A value without any word is a problem: somebody meant something by it.
        """
        words = (self.text(name) or "").replace(",", " ").replace(";", " ").split()
        if self._environment.get(name) and not words:
            self.problem(
                f"{name} is {shown(self._environment[name])}: expected a word, or an empty value"
            )
        return words

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number between two bounds."""
        value = self.text(name)
        if value is None:
            return default
        digits = value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER
        if not (digits and least <= int(value) <= most):
            self.problem(f"{name} is {shown(value)}: expected a whole number, {least} to {most}")
            return default
        return int(value)

    def choice(self, name: str, default: Choice, closed: Mapping[str, str] | None = None) -> Choice:
        """Return one member of the default's enumeration; `closed` says why others are none."""
        value = self.text(name)
        choices = {str(choice): choice for choice in type(default)}
        if value is not None and value.lower() not in choices:
            expected = f"expected one of {', '.join(choices)}"
            why = (closed or {}).get(value.lower())
            reason = f"{why}; {expected}" if why else expected
            self.problem(f"{name} is {shown(value)}: {reason}")
        return choices.get((value or default).lower(), default)

    def flag(self, name: str) -> bool:
        """Return true or false, false if it is missing."""
        value = (self.text(name) or "false").lower()
        if value not in {"true", "false"}:
            self.problem(f"{name} is {shown(value)}: expected true or false")
        return value == "true"

    def connection_string(self, name: str) -> str | None:
        """Return the connection string of a storage account; a problem does not show it."""
        value = self.text(name)
        if value is not None and not _names_an_account(value):
            self.problem(
                f"{name} is no connection string: expected UseDevelopmentStorage=true, or "
                "AccountName=…;AccountKey=…;EndpointSuffix=… with a key in base64, http or https, "
                "and no quotes"
            )
        return value

    def service_uri(self, name: str) -> str | None:
        """Return the URI of a storage service, with https or on this machine."""
        value = self.text(name)
        if value is None:
            return None
        parts = _parts(value)
        safe = parts.scheme == "https" or parts.hostname in _THIS_MACHINE
        if not (safe and parts.hostname) or parts.query or parts.fragment:
            self.problem(
                f"{name} is {shown(value.partition('?')[0])}: expected https://host without a query"
            )
        return value

    def https_url(self, name: str, *, needed_for: str | None = None) -> str | None:
        """Return an https URL without a path or a trailing slash."""
        value = self.text(name)
        if value is None:
            if needed_for:
                self.problem(f"{name} is missing: PARTNER_CENTER_AUTH is {needed_for}")
            return None
        parts = _parts(value)
        if parts.scheme != "https" or not parts.netloc or parts.path not in {"", "/"}:
            self.problem(f"{name} is {shown(value)}: expected https://host without a path")
        self.require_open_cloud(name, value)
        return value.rstrip("/")

    def require_open_cloud(self, name: str, url: str | None) -> None:
        """Note a problem if a URL belongs to Microsoft Cloud Germany."""
        if url is not None and _is_german(url):
            self.problem(f"{name} is {shown(url)}: {GERMANY_CLOSED}")


def _is_german(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return f".{host.rstrip('.')}".endswith(tuple(f".{domain}" for domain in _GERMAN_DOMAINS))


def _parts(address: str) -> SplitResult:
    """Return the parts of an address, none for what cannot be split into any."""
    try:
        parts = urlsplit(address)
        _ = parts.hostname, parts.port
    except ValueError:
        return urlsplit("")
    return parts


def _names_an_account(connection_string: str) -> bool:
    """Whether the libraries of the storage account find what they need in a connection string."""
    pairs = (each.partition("=") for each in connection_string.split(";") if each)
    given = {name.strip().lower(): value for name, _, value in pairs}
    protocol = given.get("defaultendpointsprotocol", "https").lower()
    if _QUOTES & set(connection_string) or protocol not in {"http", "https"}:
        return False
    if "accountkey" in given and not _is_base64(given["accountkey"]):
        return False
    if given.get("usedevelopmentstorage", "").lower() == "true":
        return True
    endpoints = {"queueendpoint", "tableendpoint"}
    return any(given.get(name) for name in ("accountkey", "sharedaccesssignature")) and bool(
        given.get("accountname") or all(given.get(name) for name in endpoints)
    )


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _near(one: str, other: str, edits: int) -> bool:
    """Whether at most this many letters must be added, left out or replaced to make them equal."""
    if abs(len(one) - len(other)) > edits:
        return False
    if not one or not other:
        return True
    if one[0] == other[0]:
        return _near(one[1:], other[1:], edits)
    changes = ((one[1:], other), (one, other[1:]), (one[1:], other[1:]))
    return edits > 0 and any(_near(*changed, edits - 1) for changed in changes)
