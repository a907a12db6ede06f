"""Each rule of the oracle passes a good log and fails a bad one, both written by hand."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.log import Call, Event, Service
from tests.simulation.oracle import History, judge
from tests.simulation.oracle.rules import RULES

TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
OTHER = "6f3d2b81-1e4c-4d66-8b52-806c3ead9d21"
PARTNER = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
STEP = json.dumps({"version": 1, "tenantId": TENANT, "generation": 2, "correlationId": "c"})
ORDER = {"id": "o1", "alternateId": "a1", "creationDate": "2026-03-01T00:00:00.0000000Z"}


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

    def ask_record(self, run: str = "check_orders#1") -> None:
        path = f"/a/deletions(PartitionKey='{PARTNER}',RowKey='{TENANT}')"
        self.call(Service.TABLE, "GET", path, run=run)

    def ask_switch(self, run: str = "check_orders#1") -> None:
        path = f"/a/sandbox(PartitionKey='{PARTNER}',RowKey='switch')"
        self.call(Service.TABLE, "GET", path, run=run)

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
        self.call(Service.PARTNER_CENTER, "PATCH", path, run=run, **more)

    def delete(self, run: str = "delete_customer#2", **more: Any) -> None:
        path = f"/v1/customers/{TENANT}"
        self.call(Service.PARTNER_CENTER, "DELETE", path, run=run, **{"status": 204, **more})

    def show_orders(self, status: str) -> None:
        response = {"items": [{**ORDER, "status": status}]}
        path = f"/v1/customers/{TENANT}/orders"
        self.call(Service.PARTNER_CENTER, "GET", path, response=response)

    def send(self, queue: str = "orders-to-check", run: str = "check_orders#1") -> None:
        sent = f"<QueueMessage><MessageText>{STEP}</MessageText></QueueMessage>".encode()
        response = f"<MessageId>{queue}-{self.place}</MessageId>".encode()
        path = f"/a/{queue}/messages"
        self.call(Service.QUEUE, "POST", path, sent=sent, status=201, response=response, run=run)

    def end(self, state: str = "", *, deleted: bool = False, hopeless: bool = False) -> None:
        facts: dict[str, Any] = {
            "deleted": deleted,
            "hopeless": hopeless,
            "purchases": 1,
            "age_days": 5,
        }
        self.event("customer", tenant=TENANT, **facts)
        if state:
            self.event("record", tenant=TENANT, state=state)
        self.event("end", calls=10, most=6000)


def broken(book: Book) -> set[str]:
    return {each.rule for each in judge(History(book.entries))}


def good_log() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.record("cancelling", run="cancel_orders#1", claimed="m1")
    book.show_orders("completed")
    book.ask_record("cancel_orders#1")
    book.ask_switch("cancel_orders#1")
    book.patch("cancel_orders#1", response={**ORDER, "status": "cancelled"})
    book.send("customers-ready", run="cancel_orders#1")
    book.record("checking", run="cancel_orders#1", generation=2)
    book.event("done", "p1", queue="customers-to-delete", id="m1", text=TENANT)
    book.record("deleting", run="delete_customer#2", generation=2, claimed="m2")
    book.delete()
    book.record("deleted", run="delete_customer#2", generation=2, claimed="m2")
    book.end("deleted", deleted=True)
    return book


def begun() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.record("cancelling", claimed="m1")
    return book


def unasked_write() -> Book:
    book = Book()
    book.begin()
    book.drop(json.dumps({"tenantId": TENANT, "dryRun": True}))
    book.patch()
    book.end()
    return book


def wrote_after_a_refused_post() -> Book:
    book = Book()
    book.begin()
    book.post(403)
    book.delete()
    book.end(deleted=True)
    return book


def wrote_after_the_end() -> Book:
    book = begun()
    book.record("refused")
    book.patch("cancel_orders#9")
    book.end("refused")
    return book


def wrote_twice_after_the_end() -> Book:
    book = begun()
    book.ask_record()
    book.record("stuck", run="cancel_orders#4")
    book.patch()
    book.patch()
    book.end("stuck", hopeless=True)
    return book


def wrote_once_after_the_end() -> Book:
    book = begun()
    book.ask_record()
    book.record("stuck", run="cancel_orders#4")
    book.patch()
    book.end("stuck", hopeless=True)
    return book


def wrote_after_an_accepted_post() -> Book:
    book = Book()
    book.begin()
    book.post(202)
    book.delete()
    book.end(deleted=True)
    return book


def wrote_after_the_next_request() -> Book:
    book = begun()
    book.record("refused")
    book.drop(identifier="m2")
    book.record("cancelling", claimed="m2")
    book.patch("cancel_orders#9")
    book.end("refused")
    return book


def protected_write() -> Book:
    book = Book()
    book.begin(PROTECTED_TENANTS=TENANT)
    book.drop()
    book.patch()
    book.end()
    return book


def foreign_write() -> Book:
    book = begun()
    book.drop(OTHER)
    book.patch(tenant=OTHER)
    book.end("deleted", deleted=True)
    return book


def wrote_twice_after_a_trip() -> Book:
    book = begun()
    book.ask_switch()
    book.trip()
    book.patch()
    book.patch()
    book.end()
    return book


def began_after_an_abort() -> Book:
    book = begun()
    book.abort()
    book.patch("check_orders#7")
    book.end()
    return book


def read_between_question_and_write() -> Book:
    book = begun()
    book.ask_record()
    book.ask_switch()
    book.call(Service.PARTNER_CENTER, "GET", f"/v1/customers/{TENANT}/subscriptions/s1")
    book.trip()
    book.patch()
    book.end()
    return book


def wrote_after_refusal() -> Book:
    book = begun()
    book.patch(status=403, response={"code": 800019})
    book.patch()
    book.end()
    return book


def others_write_after_refusal() -> Book:
    book = begun()
    book.patch(status=403, response={"code": 800019})
    book.patch("check_orders#5", at=200.0)
    book.end()
    return book


def delete_while_open() -> Book:
    book = begun()
    book.show_orders("completed")
    book.delete(status=400)
    book.end()
    return book


def deleted_twice() -> Book:
    book = begun()
    book.delete()
    book.record("deleted")
    book.delete()
    book.end("deleted", deleted=True)
    return book


def deleted_twice_before_the_record() -> Book:
    book = begun()
    book.delete()
    book.delete("delete_customer#3")
    book.record("deleted", run="delete_customer#3")
    book.end("deleted", deleted=True)
    return book


def deleted_by_a_late_request() -> Book:
    book = begun()
    book.delete()
    book.delete(status=None, served_status=204)
    book.record("deleted")
    book.end("deleted", deleted=True)
    return book


def deleted_again_after_a_lost_response() -> Book:
    book = begun()
    book.delete(status=None, served_status=204)
    book.delete()
    book.record("deleted")
    book.end("deleted", deleted=True)
    return book


def deleted_again_after_a_restart() -> Book:
    book = begun()
    book.delete()
    book.begin()
    book.delete("delete_customer#3")
    book.record("deleted", run="delete_customer#3")
    book.end("deleted", deleted=True)
    return book


def deleted_after_a_failure() -> Book:
    book = begun()
    book.delete(status=503)
    book.delete(status=None)
    book.delete()
    book.record("deleted")
    book.end("deleted", deleted=True)
    return book


def unended() -> Book:
    book = begun()
    book.end("checking")
    return book


def request_ignored() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.end()
    return book


def left(text: str, queue: str) -> Book:
    book = begun()
    book.event("left on a queue", queue=queue, text=text)
    book.end("deleted", deleted=True)
    return book


def request_left_in_poison() -> Book:
    return left(TENANT, "customers-to-delete-poison")


def sealed_request_left_in_poison() -> Book:
    sealed = json.dumps({"putBack": TENANT, "firstInsertedAt": ""})
    return left(sealed, "customers-to-delete-poison")


def step_left_in_poison() -> Book:
    return left(STEP, "orders-to-check-poison")


def request_left_waiting() -> Book:
    return left(TENANT, "customers-to-delete")


def request_left_long_after_the_trouble() -> Book:
    book = begun()
    book.event("calm")
    book.entries.append(
        Event(book.place, book.place + 4000.0, "", "", "left on a queue", (("text", TENANT),))
    )
    return book


def request_left_soon_after_the_trouble() -> Book:
    book = begun()
    book.event("calm")
    book.event("left on a queue", queue="customers-to-delete", text=TENANT)
    return book


def junk_left_in_poison() -> Book:
    return left("not a tenant", "customers-to-delete-poison")


def step_left_waiting() -> Book:
    return left(STEP, "orders-to-check")


def request_left_while_tripped() -> Book:
    book = begun()
    book.trip()
    book.event("left on a queue", queue="customers-to-delete", text=TENANT)
    return book


def live_without_request() -> Book:
    book = Book()
    book.begin()
    book.drop(json.dumps({"tenantId": TENANT, "dryRun": "true"}))
    book.record("requested", run="record_poison_requests#3")
    book.end()
    return book


def revived_after_an_abort() -> Book:
    book = begun()
    book.record("aborted", run="abort_deletion#8")
    book.abort()
    book.record("cancelling", run="cancel_orders#9")
    book.end()
    return book


def message_lost() -> Book:
    book = begun()
    book.event("done", "p1", queue="customers-to-delete", id="m1", text=TENANT)
    book.end()
    return book


def claimed_twice() -> Book:
    book = begun()
    book.record("cancelling", claimed="m2")
    book.end()
    return book


def generation_fell() -> Book:
    book = begun()
    book.record("checking", generation=3)
    book.record("checking", generation=2)
    book.end()
    return book


def redriven_early() -> Book:
    book = begun()
    book.send(run="redrive#4")
    book.end()
    return book


def retry_after_ignored() -> Book:
    book = begun()
    book.call(Service.PARTNER_CENTER, "GET", "/v1/customers", status=429, retry_after=60.0, at=9.0)
    book.call(Service.PARTNER_CENTER, "GET", "/v1/customers", at=20.0)
    book.end()
    return book


def untrue_deleted() -> Book:
    book = begun()
    book.record("deleted")
    book.end("deleted")
    return book


def gone_but_not_deleted() -> Book:
    book = begun()
    book.delete()
    book.record("stuck")
    book.end("stuck", deleted=True, hopeless=True)
    return book


def hasty_stuck() -> Book:
    book = begun()
    book.record("stuck")
    book.end("stuck")
    return book


def untrue_refusal() -> Book:
    book = begun()
    book.record("refused")
    book.end("refused")
    return book


def poisoned_good_message() -> Book:
    book = begun()
    book.event("poisoned", "p1", queue="customers-to-delete", id="m1", text=TENANT)
    line = f"message_poisoned queue=customers-to-delete message=m2 tenant={TENANT} reason=x"
    book.event("log", "p1", "record_poison_requests#2", line=line)
    book.end()
    return book


def junk_vanished() -> Book:
    book = begun()
    book.drop("not a tenant", "m7")
    book.event("done", "p1", queue="customers-to-delete", id="m7", text="not a tenant")
    book.end()
    return book


def over_limit() -> Book:
    book = Book()
    book.begin(PARTNER_CENTER_RATE_LIMIT_PER_MINUTE=2)
    book.drop()
    for _ in range(3):
        book.show_orders("cancelled")
    book.end()
    return book


def storm() -> Book:
    book = begun()
    book.event("end", calls=6000, most=6000)
    return book


def crash() -> Book:
    book = begun()
    book.event("raised", "p1", "check_orders#1", kind="KeyError", text="'state'")
    book.end()
    return book


def hung() -> Book:
    book = begun()
    book.event("began", "p1", "redrive#4")
    book.place += 300
    book.event("still running", "p1", "redrive#4")
    book.end()
    return book


BAD: list[tuple[str, Callable[[], Book]]] = [
    ("unasked_write", unasked_write),
    ("unasked_write", wrote_after_a_refused_post),
    ("unasked_write", wrote_after_the_end),
    ("unasked_write", wrote_twice_after_the_end),
    ("protected_write", protected_write),
    ("foreign_write", foreign_write),
    ("stopped_but_wrote", wrote_twice_after_a_trip),
    ("stopped_but_wrote", began_after_an_abort),
    ("asked_before_a_wait", read_between_question_and_write),
    ("wrote_after_refusal", wrote_after_refusal),
    ("trip_lost", others_write_after_refusal),
    ("delete_while_open", delete_while_open),
    ("deleted_twice", deleted_twice),
    ("deleted_twice", deleted_twice_before_the_record),
    ("deleted_twice", deleted_by_a_late_request),
    ("unended", unended),
    ("request_ignored", request_ignored),
    ("left_over", request_left_in_poison),
    ("left_over", sealed_request_left_in_poison),
    ("left_over", step_left_in_poison),
    ("left_over", request_left_waiting),
    ("left_over", request_left_long_after_the_trouble),
    ("live_without_request", live_without_request),
    ("live_without_request", revived_after_an_abort),
    ("message_lost", message_lost),
    ("claimed_twice", claimed_twice),
    ("generation_fell", generation_fell),
    ("redriven_early", redriven_early),
    ("retry_after_ignored", retry_after_ignored),
    ("untrue_deleted", untrue_deleted),
    ("gone_but_not_deleted", gone_but_not_deleted),
    ("hasty_stuck", hasty_stuck),
    ("untrue_refusal", untrue_refusal),
    ("poisoned_good_message", poisoned_good_message),
    ("junk_vanished", junk_vanished),
    ("over_limit", over_limit),
    ("storm", storm),
    ("crash", crash),
    ("hung", hung),
]


def test_a_good_log_breaks_no_rule() -> None:
    assert broken(good_log()) == set()


def put_back_from_poison() -> Book:
    book = begun()
    book.event("poisoned", "p1", queue="customers-to-delete", id="m1", text=TENANT)
    book.end()
    return book


def under_way_at_the_end() -> Book:
    book = begun()
    book.event("began", "p1", "redrive#4")
    book.event("still running", "p1", "redrive#4")
    book.end()
    return book


@pytest.mark.parametrize(
    ("rule", "log"),
    [
        ("unasked_write", wrote_once_after_the_end),
        ("unasked_write", wrote_after_an_accepted_post),
        ("unasked_write", wrote_after_the_next_request),
        ("left_over", request_left_soon_after_the_trouble),
        ("left_over", junk_left_in_poison),
        ("left_over", step_left_waiting),
        ("left_over", request_left_while_tripped),
        ("deleted_twice", deleted_after_a_failure),
        ("deleted_twice", deleted_again_after_a_lost_response),
        ("deleted_twice", deleted_again_after_a_restart),
        ("poisoned_good_message", put_back_from_poison),
        ("hung", under_way_at_the_end),
    ],
)
def test_a_log_that_looks_bad_breaks_no_rule(rule: str, log: Callable[[], Book]) -> None:
    assert rule not in broken(log())


@pytest.mark.parametrize(("rule", "log"), BAD, ids=lambda each: getattr(each, "__name__", each))
def test_a_bad_log_breaks_its_rule(rule: str, log: Callable[[], Book]) -> None:
    assert rule in broken(log())


def test_every_rule_can_fail() -> None:
    assert {rule.__name__ for rule in RULES} == {rule for rule, _ in BAD}
