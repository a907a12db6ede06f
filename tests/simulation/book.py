"""Writes logs by hand, for the tests of the oracle."""

import json
from typing import Any

from tests.simulation.log import Call, Event, Service

TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
OTHER = "6f3d2b81-1e4c-4d66-8b52-806c3ead9d21"
PARTNER = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
STEP = json.dumps({"version": 1, "tenantId": TENANT, "generation": 2, "correlationId": "c"})
ORDER = {"id": "o1", "alternateId": "a1", "creationDate": "2026-03-01T00:00:00.0000000Z"}


def purchase(
    *ids: str, blocks: bool = True, never_from: float | None = None, endless: bool = False,
    status: str = "completed",
) -> dict[str, object]:  # fmt: skip
    """Return the truth about a purchase, as the simulation logs it."""
    return {
        "ids": ids or ("o1",), "kind": "reserved_instance", "status": status, "blocks": blocks,
        "never_from": never_from, "endless": endless,
    }  # fmt: skip


STUBBORN = purchase(never_from=0.0)


class Book:
    """Writes a log entry by entry, a second apart."""

    def __init__(self) -> None:
        self.entries: list[Call | Event] = []
        self.place = 0

    def event(self, name: str, process: str = "", run: str = "", **facts: object) -> None:
        self.place += 1
        texts = tuple((key, str(value)) for key, value in facts.items())
        self.entries.append(Event(self.place, float(self.place), process, run, name, texts))

    def call(
        self, service: Service, method: str, path: str, *, run: str = "check_orders#1",
        process: str = "p1", sent: object = None, status: int | None = 200, response: object = None,
        at: float | None = None, retry_after: float = 0.0, served_status: int | None = None,
    ) -> None:  # fmt: skip
        moment = float(self.place) if at is None else at
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode() if sent else b""
        received = response if isinstance(response, bytes) else json.dumps(response).encode()
        self.entries.append(
            Call(
                left=self.place + 1, served=self.place + 2, returned=self.place + 3,
                left_at=moment, served_at=moment, returned_at=moment, process=process, run=run,
                service=service, method=method, path=path, sent=body, status=status,
                served_status=(status or 0) if served_status is None else served_status,
                received=received, served_body=received,
                retry_after=retry_after, fault="",
            )
        )  # fmt: skip
        self.place += 3

    def begin(self, **settings: object) -> None:
        facts: dict[str, Any] = {"DELETION_DEADLINE_HOURS": 1, **settings}
        self.event("started", "p1", **facts)

    def begin_process(self, process: str) -> None:
        self.event("started", process, DELETION_DEADLINE_HOURS=1)

    def drop(self, text: str = TENANT, identifier: str = "m1") -> None:
        self.event("dropped", queue="customers-to-delete", text=text, id=identifier)

    def record(
        self, state: str, *, run: str = "check_orders#1", generation: int = 1, claimed: str = "",
        tenant: str = TENANT, reason: str = "", at: float | None = None,
    ) -> None:  # fmt: skip
        row = {"RowKey": tenant, "state": state, "generation": generation, "claimedBy": claimed,
               "correlationId": "c", "reason": reason}  # fmt: skip
        path = f"/a/deletions(PartitionKey='{PARTNER}',RowKey='{tenant}')"
        self.call(Service.TABLE, "PUT", path, sent=row, status=204, run=run, at=at)

    def ask_record(self, run: str = "check_orders#1", **more: Any) -> None:
        path = f"/a/deletions(PartitionKey='{PARTNER}',RowKey='{TENANT}')"
        self.call(Service.TABLE, "GET", path, run=run, **more)

    def ask_switch(self, run: str = "check_orders#1", **more: Any) -> None:
        path = f"/a/sandbox(PartitionKey='{PARTNER}',RowKey='switch')"
        self.call(Service.TABLE, "GET", path, run=run, **more)

    def trip(self, *, tripped: bool = True) -> None:
        path = f"/a/sandbox(PartitionKey='{PARTNER}',RowKey='switch')"
        self.call(Service.TABLE, "PUT", path, sent={"tripped": tripped}, run="trip_switch#9")

    def post(self, status: int, run: str = "request_deletion#6") -> None:
        facts = {"method": "POST", "path": "/api/deletions"}
        body = json.dumps({"tenantId": TENANT})
        self.event("asked", "p1", run, body=body, **facts)
        self.event("responded", "p1", run, body=body, status=status, **facts)

    def abort(self) -> None:
        facts = {"method": "DELETE", "path": f"/api/deletions/{TENANT}"}
        self.event("asked", "p1", "abort_deletion#8", body="null", **facts)
        self.event("responded", "p1", "abort_deletion#8", status=200, **facts)

    def patch(self, run: str = "check_orders#1", tenant: str = TENANT, **more: Any) -> None:
        path = f"/v1/customers/{tenant}/orders/o1"
        more = {"sent": {"status": "cancelled"}, **more}
        self.call(Service.PARTNER_CENTER, "PATCH", path, run=run, **more)

    def delete(self, run: str = "delete_customer#2", **more: Any) -> None:
        path = f"/v1/customers/{TENANT}"
        self.call(Service.PARTNER_CENTER, "DELETE", path, run=run, **{"status": 204, **more})

    def show_orders(self, status: str) -> None:
        response = {"items": [{**ORDER, "status": status}]}
        path = f"/v1/customers/{TENANT}/orders"
        self.call(Service.PARTNER_CENTER, "GET", path, response=response)

    def read(self, path: str = "/orders", **more: Any) -> None:
        self.call(Service.PARTNER_CENTER, "GET", f"/v1/customers/{TENANT}{path}", **more)

    def sign_in(self, expires_in: int = 3599) -> None:
        path = "/tenant/oauth2/v2.0/token"
        self.call(Service.SIGN_IN, "POST", path, response={"expires_in": expires_in})

    def plan(self, run: str = "cancel_orders#1") -> None:
        path = f"/a/sandbox(PartitionKey='{PARTNER}',RowKey='plan-{TENANT}')"
        self.call(Service.TABLE, "PUT", path, sent={"plan0": ""}, status=204, run=run)

    def begin_run(self, run: str = "cancel_orders#1", identifier: str = "m1") -> None:
        self.event("began", "p1", run, queue="customers-to-delete", id=identifier)

    def done(self, text: str = TENANT, identifier: str = "m1") -> None:
        self.event("done", "p1", queue="customers-to-delete", id=identifier, text=text)

    def log(self, line: str) -> None:
        self.event("log", "p1", "cancel_orders#1", line=line)

    def send(
        self, queue: str = "orders-to-check", run: str = "check_orders#1", text: str = STEP
    ) -> None:
        sent = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode()
        response = f"<MessageId>{queue}-{self.place}</MessageId>".encode()
        path = f"/a/{queue}/messages"
        self.call(Service.QUEUE, "POST", path, sent=sent, status=201, response=response, run=run)

    def reject(self, identifier: str, text: str, queue: str = "customers-to-delete") -> None:
        key = f"rejected-{identifier}"
        row = {"RowKey": key, "queue": queue, "tenant": TENANT, "body": text, "reason": "x"}
        run = "record_poison_requests#2"
        self.call(Service.TABLE, "POST", "/a/sandbox", sent=row, status=201, run=run)
        line = f"message_poisoned queue={queue} message={identifier} tenant={TENANT} reason=x"
        self.event("log", "p1", run, line=line)

    def wait(self, seconds: float) -> None:
        self.place += int(seconds)

    def truth(self, *purchases: dict[str, object], deleted: bool = False) -> None:
        known = json.dumps(purchases)
        self.event("customer", tenant=TENANT, deleted=deleted, purchases=known, age_days=5)

    def end(self, state: str = "", *purchases: dict[str, object], deleted: bool = False) -> None:
        self.truth(*purchases, deleted=deleted)
        if state:
            self.event("record", tenant=TENANT, state=state)
        self.event("end", calls=10, most=6000)
