"""Timer triggers: one thread per timer, so that its runs never overlap."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from local.host.calls import Tick, Worker
from local.host.triggers import OnSchedule

LATE: Final = timedelta(seconds=1)

log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TimerListener:
    """Runs one function at each occurrence of its schedule.

    An occurrence missed during a run is run right after it, with `past_due` set.
    """

    def __init__(
        self,
        function: str,
        trigger: OnSchedule,
        *,
        worker: Worker,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._function = function
        self._trigger = trigger
        self._worker = worker
        self._now = now
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run_when_due, name=f"{function} timer", daemon=True
        )

    def start(self) -> None:
        """Start to wait for the first occurrence."""
        self._thread.start()

    def take_no_more(self) -> None:
        """Wait for no further occurrences."""
        self._stopping.set()

    def join(self, deadline: float) -> None:
        """Wait for the run in progress, until `deadline` (monotonic seconds)."""
        self._thread.join(max(0.0, deadline - monotonic()))

    def _run_when_due(self) -> None:
        occurrence = self._trigger.schedule.after(self._now())
        if self._trigger.run_on_startup:
            self._run(past_due=False)
        while not self._stopping.wait(max(0.0, (occurrence - self._now()).total_seconds())):
            began = self._now()
            self._run(past_due=began - occurrence > LATE)
            # The wait can end a little early; from `began` alone the occurrence would run twice.
            occurrence = self._trigger.schedule.after(max(began, occurrence))

    def _run(self, *, past_due: bool) -> None:
        call = self._worker.submit(self._function, Tick(past_due))
        with suppress(CancelledError):
            call.exception()  # already logged by the worker; the next occurrence is the retry
