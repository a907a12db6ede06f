"""Each rule of the oracle passes a good log and fails a bad one, both written by hand."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.simulation.book import ORDER, OTHER, PARTNER, STEP, STUBBORN, TENANT, Book, purchase
from tests.simulation.clock import START
from tests.simulation.log import Event, Service
from tests.simulation.oracle import History, judge
from tests.simulation.oracle.rules import RULES
from tests.simulation.oracle.trouble import Trouble


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
    book.end("stuck", STUBBORN)
    return book


def wrote_once_after_the_end() -> Book:
    book = begun()
    book.ask_record()
    book.record("stuck", run="cancel_orders#4")
    book.patch()
    book.end("stuck", STUBBORN)
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


def written_between_question_and_write() -> Book:
    book = begun()
    moment = book.place
    book.ask_switch(at=moment)
    book.record("deleting", at=moment)
    book.trip()
    book.delete("check_orders#1", at=moment)
    book.end("deleted", deleted=True)
    return book


def asked_long_before() -> Book:
    book = begun()
    moment = book.place
    book.ask_record(at=moment)
    book.ask_switch(at=moment + 2.5)
    book.abort()
    book.patch(at=moment + 2.5)
    book.end()
    return book


def overtaken_directly_after_the_gate() -> Book:
    book = begun()
    moment = book.place
    book.ask_record(at=moment)
    book.ask_switch(at=moment)
    book.abort()
    book.patch(at=moment)
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


def deleted_with_an_order(age: float, **settings: object) -> Book:
    """An order that is `age` seconds older than 60 days by the true clock, at the DELETE."""
    book = Book()
    book.begin(**settings)
    book.drop()
    book.record("cancelling", claimed="m1")
    created = START + timedelta(seconds=book.place - age) - timedelta(days=60)
    items = [{**ORDER, "creationDate": f"{created:%Y-%m-%dT%H:%M:%S}.0000000Z"}]
    items[0]["status"] = "completed"
    book.read("/orders", response={"items": items})
    book.delete()
    book.end("deleted", deleted=True)
    return book


def deleted_with_an_order_too_old_by_a_clock() -> Book:
    return deleted_with_an_order(-50, skew=60)


def deleted_with_an_order_too_old_by_no_clock() -> Book:
    return deleted_with_an_order(-70, skew=60)


def deleted_with_an_order_of_a_clock_behind() -> Book:
    return deleted_with_an_order(-50, skew=-60)


def bought_before_the_delete(shown_to: str, *, dry: bool) -> Book:
    """An order that only one run was shown, after the last look of the deletion."""
    book = begun()
    book.show_orders("cancelled")
    book.drop(json.dumps({"tenantId": TENANT, "dryRun": dry}), identifier="m2")
    book.begin_run(shown_to, "m2")
    items = {"items": [{**ORDER, "status": "completed"}]}
    book.read("/orders", run=shown_to, response=items)
    book.delete(status=400)
    book.end()
    return book


def shown_to_a_dry_run() -> Book:
    return bought_before_the_delete("cancel_orders#7", dry=True)


def shown_to_a_sweep() -> Book:
    return bought_before_the_delete("sweep_sandbox#7", dry=False)


def shown_to_another_step() -> Book:
    return bought_before_the_delete("cancel_orders#7", dry=False)


def requested_before_a_message_was_recorded() -> Book:
    """A good drop comes late, after a bad one was recorded as refused."""
    book = Book()
    book.begin()
    book.drop()
    book.record("refused")
    book.record("cancelling", claimed="m1", generation=3)
    book.patch()
    book.record("refused", claimed="m1", generation=3)
    return book


def written_after_such_a_deletion() -> Book:
    book = requested_before_a_message_was_recorded()
    book.patch(run="check_orders#9", at=book.place + 500.0)
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
    book.wait(3 * 3600)
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


def begun_again(end: str, *, seconds: int) -> Book:
    """A second drop from before the first step; a deletion ended whole seconds after it."""
    book = Book()
    book.begin()
    book.drop()
    book.drop(identifier="m2")
    dropped = book.place
    book.record("cancelling", claimed="m1", at=dropped + 0.5)
    book.record(end, claimed="m1", at=dropped + seconds + 0.9)
    if end == "aborted":
        book.abort()
    book.record("cancelling", claimed="m2", run="cancel_orders#3")
    book.end()
    return book


def begun_again_in_the_second_of_the_end() -> Book:
    return begun_again("deleted", seconds=0)


def begun_again_after_the_second_of_the_end() -> Book:
    return begun_again("deleted", seconds=1)


def begun_again_in_the_second_of_an_abort() -> Book:
    return begun_again("aborted", seconds=0)


def message_lost() -> Book:
    book = begun()
    book.event("done", "p1", queue="customers-to-delete", id="m1", text=TENANT)
    book.end()
    return book


def dropped_after_an_abort(seconds: float) -> Book:
    """A drop between the write of an abort and its response, whole seconds apart or not."""
    book = begun()
    dropped = book.place + 4
    book.record("aborted", run="abort_deletion#8", at=dropped - seconds)
    book.drop(identifier="m2")
    assert book.place == dropped
    book.abort()
    book.record("cancelling", claimed="m2", run="cancel_orders#9")
    book.end()
    return book


def dropped_before_the_response_to_an_abort() -> Book:
    return dropped_after_an_abort(0.1)


def dropped_and_begun_in_the_second_of_an_abort() -> Book:
    return dropped_after_an_abort(-0.5)


def dropped_between_two_aborts() -> Book:
    book = begun()
    book.record("aborted", run="abort_deletion#8")
    book.drop(identifier="m2")
    book.record("aborted", run="abort_deletion#9")
    book.record("cancelling", claimed="m2", run="cancel_orders#9")
    book.end()
    return book


def waiting_in_poison() -> Book:
    """A step of a live deletion is on its poison queue while another drop of its customer goes."""
    book = begun()
    book.send(run="cancel_orders#1")
    step = f"orders-to-check-{book.place - 3}"
    book.record("checking", run="cancel_orders#1", generation=2)
    book.done()
    book.event("poisoned", "p1", queue="orders-to-check", id=step, text=STEP, copy="m2")
    book.drop(identifier="m3")
    book.done(identifier="m3")
    return book


def step_waits_in_poison() -> Book:
    book = waiting_in_poison()
    book.end()
    return book


def step_lost_from_poison() -> Book:
    book = waiting_in_poison()
    book.event("done", "p1", queue="orders-to-check-poison", id="m2", text=STEP)
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
    book.end("stuck", STUBBORN, deleted=True)
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
    book.event("poisoned", "p1", queue="orders-to-check", id="m1", text=STEP, copy="m2")
    book.reject("m2", STEP, queue="orders-to-check")
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


DRY_RUN = json.dumps({"tenantId": TENANT, "dryRun": True})
REJECTED = f"DELETE /v1/customers/{TENANT} failed with status 400/800002: Orders: o1."
SAYS_BLOCKED = {"code": 800002, "description": "Orders: o1."}


def stuck(reason: str, *purchases: dict[str, object], response: object = SAYS_BLOCKED) -> Book:
    """Write a deletion that ends as stuck at once, after a rejected DELETE."""
    book = begun()
    book.record("deleting", run="delete_customer#2")
    book.delete(status=400, response=response)
    book.truth(*purchases)
    book.record("stuck", run="delete_customer#2", reason=reason)
    book.end("stuck", *purchases)
    return book


def stuck_late(reason: str, *purchases: dict[str, object], hours: float = 1.1) -> Book:
    """Write a deletion that ends as stuck after so many hours without trouble."""
    book = begun()
    book.wait(hours * 3600)
    book.truth(*purchases)
    book.record("stuck", reason=reason)
    book.end("stuck", *purchases)
    return book


def stuck_for_what_can_be_cancelled() -> Book:
    reason = f"{REJECTED}; never cancellable: order o1 (cancel_order failed)"
    return stuck(reason, purchase("o1"), purchase("o2", never_from=0.0))


def stuck_for_what_does_not_block() -> Book:
    reason = "DELETE failed; never cancellable: order o1 (cancel_order failed)"
    harmless = purchase("o1", blocks=False, never_from=0.0)
    return stuck(reason, harmless, purchase("o2", never_from=0.0))


def stuck_for_what_is_cancelled() -> Book:
    reason = "not cancelled before the deadline: order o1 (pending)"
    return stuck_late(reason, purchase("o1", blocks=False, status="cancelled"))


def stuck_for_what_was_shown() -> Book:
    book = begun()
    book.wait(4000)
    book.show_orders("pending")
    book.truth(purchase("o1", blocks=False, status="cancelled"))
    book.record("stuck", reason="not cancelled before the deadline: order o1 (pending)")
    book.end("stuck", STUBBORN)
    return book


def stuck_truly() -> Book:
    reason = f"{REJECTED}; never cancellable: order o1 (cancel_order failed)"
    return stuck(reason, STUBBORN)


def stuck_without_a_code() -> Book:
    book = begun()
    book.patch(status=400, response={"statusCode": 400, "message": "no"})
    book.record("deleting", run="delete_customer#2")
    book.delete(status=400, response=b"")
    book.truth(purchase("o1"))
    reason = "DELETE failed with status 400; never cancellable: order o1 (cancel_order failed)"
    book.record("stuck", run="delete_customer#2", reason=reason)
    book.end("stuck", purchase("o1"))
    return book


def stuck_late_without_a_code(*, code: bool = False) -> Book:
    book = begun()
    book.wait(3 * 3600)
    book.patch(status=400, response={"code": 800060} if code else {"statusCode": 400})
    book.truth(purchase("o1"))
    book.record("stuck", reason="not cancelled before the deadline: order o1 (completed)")
    book.end("stuck", purchase("o1"))
    return book


def stuck_late_with_a_code() -> Book:
    return stuck_late_without_a_code(code=True)


def stuck_for_what_passes() -> Book:
    return stuck(f"{REJECTED}; never cancellable: order o2 (too old)", purchase("o1"))


def stuck_although_parked() -> Book:
    book = begun()
    book.trip()
    book.call(
        Service.TABLE, "GET", "/a/sandbox(PartitionKey='x',RowKey='switch')",
        run="check_orders#3", response={"tripped": True},
    )  # fmt: skip
    row = {"RowKey": TENANT, "state": "checking", "parkedSince": "t"}
    path = f"/a/deletions(PartitionKey='x',RowKey='{TENANT}')"
    book.call(Service.TABLE, "PUT", path, sent=row, status=204, run="check_orders#3")
    book.wait(1800)
    book.trip(tripped=False)
    book.ask_record("check_orders#4")
    book.wait(2000)
    book.record("stuck", run="check_orders#4", reason="not cancelled before the deadline: ")
    book.end("stuck", STUBBORN)
    return book


def stuck_long_after_the_trouble() -> Book:
    return stuck_late("not cancelled before the deadline: order o1 (pending)", purchase("o1"),
                      hours=2.0)  # fmt: skip


def stuck_by_what_never_ends() -> Book:
    reason = "not cancelled before the deadline: order o1 (pending)"
    return stuck_late(reason, purchase("o1", endless=True), hours=2.0)


def ended_late() -> Book:
    return stuck_late("late", STUBBORN, hours=1.5)


def ended_late_after_a_trip() -> Book:
    book = begun()
    book.trip()
    book.wait(5 * 3600)
    book.trip(tripped=False)
    book.record("stuck", reason="late")
    book.end("stuck", STUBBORN)
    return book


def ended_late_after_an_outage() -> Book:
    book = begun()
    book.event("storage-away begins")
    book.wait(5 * 3600)
    book.event("storage-away ends")
    book.record("stuck", reason="late")
    book.end("stuck", STUBBORN)
    return book


def ended_late_before_a_trip() -> Book:
    book = begun()
    book.wait(5 * 3600)
    book.record("stuck", reason="late")
    book.trip()
    book.end("stuck", STUBBORN)
    return book


def unended_before_a_trip() -> Book:
    book = begun()
    book.wait(5 * 3600)
    book.trip()
    book.end("checking")
    return book


def unended_in_production() -> Book:
    book = begun()
    book.event("production")
    book.wait(5 * 3600)
    book.end("checking")
    return book


def unended_while_tripped() -> Book:
    book = begun()
    book.trip()
    book.wait(5 * 3600)
    book.end("checking")
    return book


def deleted_too_soon() -> Book:
    book = begun()
    book.truth(deleted=False)
    book.record("deleted")
    book.delete()
    book.truth(deleted=True)
    book.end("deleted", deleted=True)
    return book


def request_vanished() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.done()
    book.end()
    return book


def request_put_back() -> Book:
    book = Book()
    book.begin()
    book.drop()
    sealed = json.dumps({"putBack": TENANT, "firstInsertedAt": ""})
    book.send("customers-to-delete", text=sealed)
    book.done()
    book.end()
    return book


def request_poisoned() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.event("poisoned", "p1", queue="customers-to-delete", id="m1", text=TENANT, copy="m2")
    book.end()
    return book


def request_vanished_from_poison() -> Book:
    book = request_poisoned()
    book.event("done", "p1", queue="customers-to-delete-poison", id="m2", text=TENANT)
    return book


def rejected_without_a_line() -> Book:
    book = begun()
    book.record("aborted")
    book.drop(identifier="m3")
    book.reject("m3", TENANT)
    book.entries.pop()
    book.end("aborted")
    return book


def rejected_with_its_line() -> Book:
    book = begun()
    book.record("aborted")
    book.drop(identifier="m3")
    book.reject("m3", TENANT)
    book.end("aborted")
    return book


def dropped_in_the_second_of_an_abort() -> Book:
    book = begun()
    book.record("aborted", at=float(book.place + 4))
    book.drop(identifier="m3")
    book.log(f"deletion_duplicate tenant={TENANT} message=m3")
    book.end("aborted")
    return book


def dropped_in_the_second_of_an_abort_without_a_line() -> Book:
    book = dropped_in_the_second_of_an_abort()
    book.entries = [each for each in book.entries if getattr(each, "name", "") != "log"]
    return book


def dropped_in_the_second_of_the_end() -> Book:
    book = begun()
    book.drop(identifier="m2")
    book.record("stuck", at=book.place + 0.9)
    book.record("cancelling", claimed="m2", run="cancel_orders#3")
    book.patch("cancel_orders#3")
    book.end("stuck", STUBBORN)
    return book


def drop_given_up_at_once() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.event("poisoned", "p1", queue="customers-to-delete", id="m1", text=TENANT, copy="m2")
    book.reject("m2", TENANT)
    book.record("stuck", run="record_poison_requests#2")
    book.end("stuck")
    return book


def drop_given_up_at_its_deadline() -> Book:
    book = Book()
    book.begin()
    book.drop()
    book.wait(3700)
    book.event("poisoned", "p1", queue="customers-to-delete", id="m1", text=TENANT, copy="m2")
    book.reject("m2", TENANT)
    book.record("stuck", run="record_poison_requests#2")
    book.end("stuck")
    return book


def dry_run() -> Book:
    book = Book()
    book.begin()
    book.drop(DRY_RUN)
    book.begin_run()
    return book


def dry_run_patched() -> Book:
    book = dry_run()
    book.patch("cancel_orders#1")
    book.plan()
    book.end()
    return book


def dry_run_wrote_a_record() -> Book:
    book = dry_run()
    book.record("refused", run="cancel_orders#1")
    book.plan()
    book.end()
    return book


def dry_run_over_http_patched() -> Book:
    book = Book()
    book.begin()
    facts = {"method": "POST", "path": "/api/deletions", "body": DRY_RUN}
    book.event("asked", "p1", "request_deletion#6", **facts)
    book.patch("request_deletion#6")
    book.event("responded", "p1", "request_deletion#6", status=200, **facts)
    book.end()
    return book


def dry_run_lost() -> Book:
    book = dry_run()
    book.done(DRY_RUN)
    book.end()
    return book


def dry_run_over_http_lost() -> Book:
    book = Book()
    book.begin()
    facts = {"method": "POST", "path": "/api/deletions", "body": DRY_RUN}
    book.event("asked", "p1", "request_deletion#6", **facts)
    book.end()
    return book


def dry_run_over_http_that_died() -> Book:
    book = dry_run_over_http_lost()
    book.entries.insert(2, Event(3, 3.0, "p1", "", "died", ()))
    return book


def dry_run_planned() -> Book:
    book = dry_run()
    book.plan()
    book.done(DRY_RUN)
    book.end()
    return book


def dry_run_rejected() -> Book:
    book = dry_run()
    book.done(DRY_RUN)
    book.reject("m2", DRY_RUN)
    book.end()
    return book


def two_processes_over_one_limit() -> Book:
    book = Book()
    book.begin(PARTNER_CENTER_RATE_LIMIT_PER_MINUTE=2)
    for process in ("p1", "p2", "p1"):
        book.read(process=process)
    book.end()
    return book


def two_processes_within_one_limit() -> Book:
    book = Book()
    book.begin(PARTNER_CENTER_RATE_LIMIT_PER_MINUTE=3)
    for process in ("p1", "p2", "p1"):
        book.read(process=process)
    book.end()
    return book


def read_loop() -> Book:
    book = begun()
    for _ in range(5):
        book.read()
    book.end()
    return book


def read_after_failures() -> Book:
    book = begun()
    for _ in range(3):
        book.read(status=None)
    book.read()
    book.end()
    return book


def too_many_looks() -> Book:
    book = begun()
    for generation in range(2, 90):
        book.record("checking", generation=generation)
    book.end("checking")
    return book


def too_many_sign_ins() -> Book:
    book = begun()
    book.sign_in()
    book.sign_in()
    book.end()
    return book


def signed_in_for_good_reasons() -> Book:
    book = begun()
    book.sign_in(expires_in=200)
    book.sign_in(expires_in=303)
    book.sign_in()
    book.read(status=401)
    book.sign_in()
    book.wait(3400)
    book.sign_in()
    book.end()
    return book


def busy_storage() -> Book:
    book = begun()
    for _ in range(20):
        book.ask_record()
    book.end()
    return book


def claim(book: Book) -> None:
    path = f"/a/sandbox(PartitionKey='{PARTNER}',RowKey='budget')"
    book.call(Service.TABLE, "GET", path)
    book.call(Service.TABLE, "PUT", path, status=204)


def claims(count: int, *, between: float) -> Book:
    """Write a step that claims for each of its calls, and does what else a step may do."""
    book = begun()
    for _ in range(8):
        book.ask_record()
    at = float(book.place)
    for number in range(count):
        claim(book)
        book.read(f"/things/{number}", at=at + number * between)
    book.end()
    return book


def claimed_for_each_of_many_calls() -> Book:
    return claims(10, between=0.1)


def claimed_for_calls_that_are_far_apart() -> Book:
    return claims(10, between=3.0)


def called_just_after_a_429() -> Book:
    book = begun()
    book.read(status=429, retry_after=60.0)
    book.read()
    book.end()
    return book


def called_in_flight_of_a_429() -> Book:
    book = begun()
    book.read(status=429, retry_after=60.0)
    book.place -= 2
    book.read("/subscriptions")
    book.end()
    return book


def refused() -> Book:
    book = begun()
    book.begin_process("p2")
    book.ask_switch("check_orders#5", process="p2")
    book.patch(status=403, response={"code": 800019})
    return book


def another_run_wrote_in_flight() -> Book:
    book = refused()
    book.patch("check_orders#5", process="p2")
    book.trip()
    book.end()
    return book


def another_run_wrote_twice() -> Book:
    book = refused()
    book.patch("check_orders#5", process="p2")
    book.patch("check_orders#5", process="p2")
    book.trip()
    book.end()
    return book


def another_run_asked_and_wrote() -> Book:
    book = refused()
    book.ask_switch("check_orders#5", process="p2")
    book.patch("check_orders#5", process="p2")
    book.trip()
    book.end()
    return book


def refused_without_a_code() -> Book:
    book = begun()
    book.patch(status=403, response={"statusCode": 403, "message": "no"})
    book.patch()
    book.end()
    return book


def trip_could_not_be_stored() -> Book:
    book = refused()
    path = "/a/sandbox(PartitionKey='x',RowKey='switch')"
    book.call(Service.TABLE, "PUT", path, sent={"tripped": True}, status=503)
    book.patch("check_orders#7", process="p2")
    book.end()
    return book


def its_process_wrote_once_more() -> Book:
    book = begun()
    book.ask_switch("check_orders#5")
    book.patch(status=403, response={"code": 800019})
    book.patch("check_orders#5")
    book.trip()
    book.end()
    return book


def its_process_began_a_write() -> Book:
    book = begun()
    book.patch(status=403, response={"code": 800019})
    book.ask_switch("check_orders#5")
    book.patch("check_orders#5")
    book.trip()
    book.end()
    return book


def deleted_after(status: int, response: object) -> Book:
    book = begun()
    book.show_orders("completed")
    book.patch(status=status, response=response)
    book.delete(status=400)
    book.end()
    return book


def deleted_after_a_pending_operation() -> Book:
    return deleted_after(409, {"code": 900278})


def deleted_after_a_review() -> Book:
    return deleted_after(403, {"code": 800073})


def deleted_after_a_stale_etag() -> Book:
    return deleted_after(400, {"code": 2055})


def deleted_after_a_404() -> Book:
    return deleted_after(404, {"code": 20000})


def deleted_after_a_final_refusal() -> Book:
    return deleted_after(400, {"code": 800061})


def deleted_after_a_refusal_without_a_code() -> Book:
    return deleted_after(403, None)


def licences(status: str) -> dict[str, object]:
    kind = {"id": "OnlineServicesNCE"}
    return {"id": "s1", "orderId": "a1", "status": status, "productType": kind}


def deleted_after_it_was_deleted_already() -> Book:
    book = begun()
    book.read("/subscriptions", response={"items": [licences("pending")]})
    path = f"/v1/customers/{TENANT}/subscriptions/s1"
    book.call(Service.PARTNER_CENTER, "PATCH", path, status=400, response={"code": 2011})
    book.delete(status=400)
    book.end()
    return book


def deleted_after_its_subscription_was_gone() -> Book:
    book = begun()
    book.show_orders("completed")
    book.read("/subscriptions", response={"items": [licences("active")]})
    path = f"/v1/customers/{TENANT}/subscriptions/s1"
    book.call(Service.PARTNER_CENTER, "PATCH", path, status=400, response={"code": 2011})
    book.delete(status=400)
    book.end()
    return book


def deleted_while_a_change_goes_on() -> Book:
    book = begun()
    book.read("/subscriptions", response={"items": [licences("active")]})
    path = f"/v1/customers/{TENANT}/subscriptions/s1"
    book.call(Service.PARTNER_CENTER, "PATCH", path, status=202, response=licences("deleted"))
    book.delete(status=400)
    book.end()
    return book


def deleted_while_suspended() -> Book:
    book = begun()
    book.read("/subscriptions", response={"items": [licences("suspended")]})
    book.delete(status=400)
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
    ("asked_before_a_wait", written_between_question_and_write),
    ("asked_before_a_wait", asked_long_before),
    ("wrote_after_refusal", wrote_after_refusal),
    ("trip_lost", others_write_after_refusal),
    ("delete_while_open", delete_while_open),
    ("delete_while_open", deleted_with_an_order_too_old_by_no_clock),
    ("delete_while_open", shown_to_another_step),
    ("unasked_write", written_after_such_a_deletion),
    ("delete_while_open", deleted_with_an_order_of_a_clock_behind),
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
    ("live_without_request", begun_again_after_the_second_of_the_end),
    ("live_without_request", begun_again_in_the_second_of_an_abort),
    ("live_without_request", dropped_and_begun_in_the_second_of_an_abort),
    ("live_without_request", dropped_between_two_aborts),
    ("message_lost", message_lost),
    ("message_lost", step_lost_from_poison),
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
    ("over_limit", two_processes_over_one_limit),
    ("storm", storm),
    ("untrue_deleted", deleted_too_soon),
    ("unended", unended_before_a_trip),
    ("unended", unended_in_production),
    ("ended_late", ended_late),
    ("ended_late", ended_late_before_a_trip),
    ("hasty_stuck", stuck_for_what_passes),
    ("hasty_stuck", stuck_although_parked),
    ("hasty_stuck", stuck_long_after_the_trouble),
    ("untrue_stuck", stuck_for_what_can_be_cancelled),
    ("untrue_stuck", stuck_for_what_does_not_block),
    ("untrue_stuck", stuck_for_what_is_cancelled),
    ("request_vanished", request_vanished),
    ("request_vanished", request_vanished_from_poison),
    ("request_ignored", rejected_without_a_line),
    ("request_ignored", dropped_in_the_second_of_an_abort_without_a_line),
    ("poisoned_good_message", drop_given_up_at_once),
    ("dry_run_wrote", dry_run_patched),
    ("dry_run_wrote", dry_run_wrote_a_record),
    ("dry_run_wrote", dry_run_over_http_patched),
    ("dry_run_lost", dry_run_lost),
    ("dry_run_lost", dry_run_over_http_lost),
    ("repeated_call", read_loop),
    ("too_many_looks", too_many_looks),
    ("too_many_sign_ins", too_many_sign_ins),
    ("busy_storage", busy_storage),
    ("busy_storage", claimed_for_each_of_many_calls),
    ("retry_after_ignored", called_just_after_a_429),
    ("trip_lost", another_run_wrote_twice),
    ("trip_lost", another_run_asked_and_wrote),
    ("wrote_after_refusal", its_process_began_a_write),
    ("delete_while_open", deleted_after_a_pending_operation),
    ("delete_while_open", deleted_after_a_review),
    ("delete_while_open", deleted_after_a_stale_etag),
    ("delete_while_open", deleted_after_a_404),
    ("delete_while_open", deleted_while_suspended),
    ("delete_while_open", deleted_while_a_change_goes_on),
    ("delete_while_open", deleted_after_a_refusal_without_a_code),
    ("hasty_stuck", stuck_without_a_code),
    ("hasty_stuck", stuck_late_with_a_code),
    ("untrue_stuck", stuck_without_a_code),
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
        ("unasked_write", dropped_in_the_second_of_the_end),
        ("live_without_request", begun_again_in_the_second_of_the_end),
        ("live_without_request", dropped_before_the_response_to_an_abort),
        ("delete_while_open", deleted_with_an_order_too_old_by_a_clock),
        ("delete_while_open", shown_to_a_dry_run),
        ("delete_while_open", shown_to_a_sweep),
        ("unasked_write", requested_before_a_message_was_recorded),
        ("ended_late", ended_late_after_a_trip),
        ("ended_late", ended_late_after_an_outage),
        ("unended", unended_while_tripped),
        ("hasty_stuck", stuck_truly),
        ("hasty_stuck", stuck_by_what_never_ends),
        ("hasty_stuck", stuck_late_without_a_code),
        ("untrue_stuck", stuck_truly),
        ("untrue_stuck", stuck_for_what_was_shown),
        ("untrue_stuck", stuck_by_what_never_ends),
        ("message_lost", step_waits_in_poison),
        ("request_vanished", request_put_back),
        ("request_vanished", request_poisoned),
        ("request_ignored", rejected_with_its_line),
        ("request_ignored", dropped_in_the_second_of_an_abort),
        ("poisoned_good_message", rejected_with_its_line),
        ("poisoned_good_message", drop_given_up_at_its_deadline),
        ("dry_run_lost", dry_run_planned),
        ("dry_run_lost", dry_run_rejected),
        ("dry_run_lost", dry_run_over_http_that_died),
        ("over_limit", two_processes_within_one_limit),
        ("busy_storage", claimed_for_calls_that_are_far_apart),
        ("repeated_call", read_after_failures),
        ("too_many_sign_ins", signed_in_for_good_reasons),
        ("retry_after_ignored", called_in_flight_of_a_429),
        ("trip_lost", another_run_wrote_in_flight),
        ("trip_lost", refused_without_a_code),
        ("trip_lost", trip_could_not_be_stored),
        ("wrote_after_refusal", its_process_wrote_once_more),
        ("wrote_after_refusal", refused_without_a_code),
        ("delete_while_open", deleted_after_a_final_refusal),
        ("delete_while_open", deleted_after_it_was_deleted_already),
        ("delete_while_open", deleted_after_its_subscription_was_gone),
        ("asked_before_a_wait", overtaken_directly_after_the_gate),
    ],
)
def test_a_log_that_looks_bad_breaks_no_rule(rule: str, log: Callable[[], Book]) -> None:
    assert rule not in broken(log())


@pytest.mark.parametrize(("rule", "log"), BAD, ids=lambda each: getattr(each, "__name__", each))
def test_a_bad_log_breaks_its_rule(rule: str, log: Callable[[], Book]) -> None:
    assert rule in broken(log())


@pytest.mark.parametrize(
    ("limit", "calls", "held_back"),
    [(475, 300, False), (475, 430, True), (10, 4, False), (10, 5, True)],
)
def test_a_step_may_be_held_back_only_near_the_limit(
    limit: int, calls: int, *, held_back: bool
) -> None:
    book = Book()
    book.begin(PARTNER_CENTER_RATE_LIMIT_PER_MINUTE=limit)
    for number in range(calls):
        book.read(f"/things/{number}", at=1.0 + number / 10)
    book.end()

    assert bool(Trouble(History(book.entries)).intervals) == held_back


def test_every_rule_can_fail() -> None:
    assert {rule.__name__ for rule in RULES} == {rule for rule, _ in BAD}
