"""The consents of people among the versions of the refresh token, and how none stays covered up.

Key Vault has no conditional write: a consent that a person stores while the app writes a successor
is older than that successor. Each version that the app writes names the one that it comes from in a
tag; a version without the tag is a person's.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Self

from azure.keyvault.secrets import SecretClient, SecretProperties

from shared.events import Event, emit
from shared.partner_center.sign_in_clients import SIGN_IN_ERRORS, TRIPPED_OVER, read
from shared.partner_center.verdicts import said

_FOLLOWS: Final = "tipsweep-follows"
_PAST: Final = datetime.min.replace(tzinfo=UTC)
FIRST_DELAY_SECONDS: Final = 5.0
LONGEST_DELAY_SECONDS: Final = 600.0

Later = Callable[[float, Callable[[], None]], None]


def follows(version: str) -> dict[str, str]:
    """Return the tags of a version that the app writes, from the one that it comes from."""
    return {_FOLLOWS: version}


class CoveredConsents:
    """Makes a person's consent the newest version again if a successor has covered it up.

    What it writes comes from the consent, so that no process takes that for covered again. `later`
    runs each check.
    """

    def __init__(self, vault: SecretClient, name: str, later: Later) -> None:
        self._vault = vault
        self._name = name
        self._later = later
        self._lock = threading.Lock()
        self._scheduled = False
        self._checked = ""

    def uncover_soon(self) -> None:
        """Check the versions in the background, and again later if the vault fails."""
        self._schedule(0.0)

    def _schedule(self, seconds: float) -> None:
        with self._lock:
            if self._scheduled:
                return
            self._scheduled = True
        self._later(seconds, partial(self._check, seconds))

    def _check(self, waited: float) -> None:
        with self._lock:
            self._scheduled = False
        try:
            moved = read(self._uncover, TRIPPED_OVER)
        except SIGN_IN_ERRORS as error:
            self._put_off(error, waited)
            return
        # A person may have stored another consent before our write.
        if moved:
            self._schedule(0.0)

    def _put_off(self, error: Exception, waited: float) -> None:
        delay = min(max(2 * waited, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)
        emit(
            Event.REFRESH_TOKEN_UNCHECKED,
            reason=f"the versions of secret {self._name} could not be compared: {said(error)}",
            remedy="Let the app list and write the secrets of the vault: role Key Vault Secrets "
            "Officer.",
            retry_after_seconds=delay,
        )
        self._schedule(delay)

    def _uncover(self) -> bool:
        """Write the covered consent again, if there is one; whether anybody has written."""
        newest = self._newest()
        if newest.id == self._checked or newest.is_persons:
            return False
        listed = self._vault.list_properties_of_secret_versions(self._name)
        versions = {each.id: each for each in (*map(Version.of, listed), newest)}
        covered = covered_by(newest, versions, datetime.now(UTC))
        if covered is None:
            self._checked = newest.id
            return False
        value = self._vault.get_secret(self._name, covered.id).value or ""
        if self._newest().id == newest.id:
            self._restore(covered, value)
        return True

    def _newest(self) -> "Version":
        return Version.of(self._vault.get_secret(self._name).properties)

    def _restore(self, covered: "Version", value: str) -> None:
        tags = follows(covered.id)
        self._vault.set_secret(self._name, value, expires_on=covered.expires, tags=tags)
        emit(
            Event.REFRESH_TOKEN_RESTORED,
            reason=f"a consent in secret {self._name} was covered up by a successor of an older "
            f"token: version {covered.id} is the newest again",
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the secret without its value; `parent` is what it comes from, "" for none."""

    id: str
    created: datetime
    expires: datetime | None = None
    enabled: bool = True
    parent: str = ""

    @classmethod
    def of(cls, properties: SecretProperties) -> Self:
        """Return a version from what the library reads; raises TypeError without ID or time."""
        if properties.version is None or not isinstance(properties.created_on, datetime):
            message = "A version of the secret has no ID or no time"
            raise TypeError(message)
        return cls(
            properties.version,
            properties.created_on,
            properties.expires_on,
            properties.enabled is not False,
            (properties.tags or {}).get(_FOLLOWS, ""),
        )

    @property
    def is_persons(self) -> bool:
        """Whether a person has stored it, not the app."""
        return not self.parent

    def is_usable(self, now: datetime) -> bool:
        """Whether it is enabled and has not expired."""
        return self.enabled and (self.expires is None or self.expires > now)


def covered_by(newest: Version, versions: Mapping[str, Version], now: datetime) -> Version | None:
    """Return the version to make the newest again; None if no consent is covered up.

    Covered up is a consent that is younger than those that the newest version comes from. What the
    app has redeemed it for takes its place.
    """
    if newest.is_persons:
        return None
    origins = _reached(newest.id, {each.id: [each.parent] for each in versions.values()})
    consents = [each for each in versions.values() if each.is_persons]
    known = [each.created for each in consents if each.id in origins]
    covered = [
        each
        for each in consents
        if each.is_usable(now)
        and each.id not in origins
        and each.created > max(known, default=_PAST)
    ]
    if not covered:
        return None
    children = _children(versions.values())
    heirs = [versions[each] for each in _reached(_latest(covered).id, children)]
    # Of two in one second, the one that the other has been redeemed for.
    return max(
        (each for each in heirs if each.is_usable(now)),
        key=lambda each: (each.created, each.id not in children),
    )


def _children(versions: Iterable[Version]) -> Mapping[str, Collection[str]]:
    found: dict[str, list[str]] = {}
    for version in versions:
        found.setdefault(version.parent, []).append(version.id)
    return found


def _reached(start: str, arrows: Mapping[str, Collection[str]]) -> Collection[str]:
    """Return the versions that arrows lead to, with the one where they start."""
    reached, left = {start}, [start]
    while left:
        following = set(arrows.get(left.pop(), ())) - reached
        reached |= following
        left += following
    return reached


def _latest(versions: Iterable[Version]) -> Version:
    return max(versions, key=lambda each: each.created)
