"""The row of the shared budget in the table `sandbox`, and the time that its responses tell."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.data.tables import TableClient, TableEntity, TableErrorCode, UpdateMode

from shared.partner_center.resources import known_date
from shared.storage.columns import UNREADABLE, unreadable, value
from shared.storage.ledger import Ledger, Moment
from shared.storage.names import BUDGET_ROW
from shared.tenants import TenantId

_CONFLICTS: Final = (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError)
_ONCE: Final[Mapping[str, Any]] = {"retry_total": 0}
# A `Date` header shows whole seconds.
_STEP_SECONDS: Final = 1.0
# How far two clocks drift apart at worst, in seconds a second.
_DRIFT: Final = 1e-4


class UnknownTime(ServiceResponseError):
    """No response of the storage account has told the time yet."""


class StorageClock:
    """Narrows the difference between the storage account's clock and the monotonic one.

    The time of day of this process counts nowhere. Not safe to share between threads.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._least = float("-inf")
        self._most = float("inf")
        self._learned_at = monotonic()

    def learn(self, date: datetime, asked_at: float) -> None:
        """Take a `Date` header into account that came for a request sent at a monotonic time."""
        now = self._monotonic()
        drifted = (now - self._learned_at) * _DRIFT
        self._least, self._most = self._least - drifted, self._most + drifted
        self._learned_at = now
        least = date.timestamp() - now
        most = date.timestamp() + _STEP_SECONDS - asked_at
        # Its servers differ a little, and this process may have stood still for a while.
        if least > self._most or most < self._least:
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)

    def now(self) -> Moment:
        """Return the time; raises UnknownTime."""
        if self._most == float("inf"):
            message = "no response of the table service had a Date header: expected one in each"
            raise UnknownTime(message)
        now = self._monotonic()
        return Moment(now + self._least, now + self._most)

    def monotonic_of(self, time: float) -> float:
        """Return the monotonic time at which it is certainly not later than `time`."""
        return time - self._most


@dataclass(frozen=True, slots=True)
class Stored:
    """A ledger as it is stored; None if the row cannot be read, no ETag if there is no row."""

    ledger: Ledger | None
    etag: str = ""


class LedgerChanged(Exception):
    """Another process has written the row since it was read."""


class BudgetRow:
    """Where the ledger of one partner account is stored.

    Not safe to share between threads, because of its clock. Every method raises the errors of the
    table.
    """

    def __init__(
        self,
        table: TableClient,
        partner: TenantId,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = StorageClock(monotonic)
        self._table = table
        self._partner = partner
        self._monotonic = monotonic

    def read(self) -> Stored:
        """Return what is stored; an empty ledger without an ETag if there is no row."""
        row = self._row()
        if row is None:
            return Stored(Ledger())
        return Stored(_ledger(row), row.metadata["etag"] or "")

    def replace(self, ledger: Ledger, known: Stored) -> Stored:
        """Store a ledger in place of the known one; raises LedgerChanged.

        The write is not repeated: of a repeated one nobody knows which try was refused.
        """
        try:
            return Stored(ledger, self._written(self._entity(ledger), known.etag))
        except _CONFLICTS as error:
            if getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND:
                raise
            raise LedgerChanged from error

    def _written(self, entity: Mapping[str, Any], etag: str) -> str:
        hook = self._learning()
        if not etag:
            created = self._table.create_entity(entity, raw_response_hook=hook, **_ONCE)
            return str(created["etag"])
        written = self._table.update_entity(
            entity,
            UpdateMode.REPLACE,
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
            raw_response_hook=hook,
            **_ONCE,
        )
        return str(written["etag"])

    def _row(self) -> TableEntity | None:
        hook = self._learning()
        try:
            return self._table.get_entity(self._partner, BUDGET_ROW, raw_response_hook=hook)
        except ResourceNotFoundError as error:
            # Without the table nobody knows what the other processes have sent.
            if getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND:
                raise
            return None

    def _learning(self) -> Callable[[Any], None]:
        """Return a hook that takes the time from the response to the next request."""
        asked_at = self._monotonic()

        def learn(response: Any) -> None:  # noqa: ANN401 - a response of any transport
            date = _date(response.http_response.headers.get("Date", ""))
            if date is not None:
                self.clock.learn(date, asked_at)

        return learn

    def _entity(self, ledger: Ledger) -> dict[str, Any]:
        return {
            "PartitionKey": self._partner,
            "RowKey": BUDGET_ROW,
            "used": _counts(ledger.used),
            "promised": _counts(ledger.promised),
            "expected": _counts(ledger.expected),
            "heldUntil": ledger.held_until,
            "loweredTo": ledger.lowered_to,
            "loweredAt": ledger.lowered_at,
        }


def _date(header: str) -> datetime | None:
    """Read a `Date` header; None if it tells no time, as after something in front of storage."""
    try:
        return known_date(parsedate_to_datetime(header))
    except (ValueError, OverflowError):
        return None


def _counts(calls: Mapping[int, int]) -> str:
    return json.dumps({str(tick): count for tick, count in calls.items() if count})


def _ledger(row: TableEntity) -> Ledger | None:
    try:
        return Ledger(
            used=_calls(row, "used"),
            promised=_calls(row, "promised"),
            expected=_calls(row, "expected"),
            held_until=value(row, "heldUntil", float),
            lowered_to=value(row, "loweredTo", int),
            lowered_at=value(row, "loweredAt", float),
        )
    except UNREADABLE as error:
        unreadable(row, "The row of the budget of calls", error)
        return None


def _calls(row: TableEntity, name: str) -> dict[int, int]:
    return {int(tick): int(count) for tick, count in json.loads(value(row, name, str)).items()}
