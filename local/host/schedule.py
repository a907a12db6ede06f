"""NCRONTAB schedules, in UTC.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from croniter import CroniterError, croniter

from local.host.errors import StartupError

FIELDS_WITH_SECONDS: Final = 6
FIELDS: Final = (5, FIELDS_WITH_SECONDS)
FIELD: Final = re.compile("[0-9A-Za-z*,/-]+")


@dataclass(frozen=True)
class Schedule:
    """Five fields, or six with seconds first; a date must match both day fields."""

    expression: str

    @classmethod
    def parse(cls, expression: str, *, where: str) -> Self:
        """Validate an expression; errors start with `where`."""
        fields = expression.split()
        if len(fields) not in FIELDS or not all(map(FIELD.fullmatch, fields)):
            raise StartupError(
                f"{where}: the schedule {expression!r} is not an NCRONTAB expression; expected six "
                "fields: second, minute, hour, day, month, day of the week"
            )
        schedule = cls(expression)
        try:
            schedule.after(datetime.now(UTC))
        except CroniterError as error:
            raise StartupError(
                f"{where}: the schedule {expression!r} never occurs: {error}"
            ) from error
        return schedule

    def after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than `moment`."""
        has_seconds = len(self.expression.split()) == FIELDS_WITH_SECONDS
        occurrences = croniter(
            self.expression,
            moment,
            ret_type=datetime,
            day_or=False,
            second_at_beginning=has_seconds,
        )
        occurrence: datetime = occurrences.get_next()
        return occurrence
