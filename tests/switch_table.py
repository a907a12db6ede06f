"""The table of the switch behind a wire that fails, loses responses, or lets others go first."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableClient

from shared.partner_center.customer_list import CustomerList
from shared.safety.rules import Safety
from shared.safety.switch import Switch
from shared.services import Services
from shared.storage.names import SANDBOX_TABLE
from shared.storage.switch import SwitchRow
from tests.bench import Bench

READS = frozenset({"GET"})


class Wire(RequestsTransport):  # type: ignore[misc] # the base is untyped
    """Carries requests to the table as the test wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads_fail = False
        self.writes_fail = False
        self.responses_lost = 0
        self.before_write: Callable[[], object] | None = None
        self.after_read: Callable[[], object] | None = None

    def send(self, request: HttpRequest, **options: Any) -> Any:
        if request.method in READS:
            return self._read(request, options)
        return self._write(request, options)

    def _read(self, request: HttpRequest, options: dict[str, Any]) -> Any:
        if self.reads_fail:
            message = "storage is away"
            raise ServiceRequestError(message)
        response = super().send(request, **options)
        event, self.after_read = self.after_read, None
        if event:
            event()
        return response

    def _write(self, request: HttpRequest, options: dict[str, Any]) -> Any:
        if self.writes_fail:
            message = "storage takes no writes"
            raise ServiceRequestError(message)
        event, self.before_write = self.before_write, None
        if event:
            event()
        response = super().send(request, **options)
        if self.responses_lost:
            self.responses_lost -= 1
            return self._lost(request, response)
        return response

    def _lost(self, request: HttpRequest, response: Any) -> Any:
        if request.method == "POST":
            # The library repeats an insert after a 503 only.
            response.status_code = 503
            return response
        message = "the response was lost"
        raise ServiceResponseError(message)


@contextmanager
def switch_behind(
    bench: Bench,
    storage: str,
    wire: Wire,
    repeats: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Switch]:
    """Give the switch of one more process, whose requests the wire carries.

    `repeats` is how often the storage library repeats a request.
    """
    partner = bench.services.settings.partner_center.tenant_id
    with TableClient.from_connection_string(
        storage, SANDBOX_TABLE, transport=wire, retry_total=repeats, retry_backoff_factor=0
    ) as client:
        yield Switch(SwitchRow(client, partner), bench.services.now, sleep=sleep)


def with_switch(services: Services, switch: Switch) -> Services:
    """Return the services of a process that has this switch."""
    safety = Safety(services.settings, switch, CustomerList())
    return replace(services, switch=switch, safety=safety)
