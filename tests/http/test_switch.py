"""`/api/switch`, and what a tripped switch stops."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.simulator import Customer
from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.bench import Bench
from tests.http.app import EASY_AUTH, App, Response, signed_in
from tests.switch_table import Wire, switch_behind, with_switch

RESET = "/api/switch?requestedBy=bob&reason=Checked"
WHO = {"requestedBy": "ann", "reason": "Wrong credentials"}


def test_the_switch_is_not_tripped_at_first(api: App) -> None:
    assert api.get("/api/switch").json == {
        "tripped": False,
        "requestedBy": "",
        "reason": "",
        "at": None,
    }


def test_the_switch_remembers_who_tripped_it_and_why(api: App) -> None:
    tripped = api.put("/api/switch", WHO)
    shown = api.get("/api/switch")

    assert (tripped.status, shown.status) == (200, 200)
    assert shown.json == tripped.json
    assert shown.json | WHO == shown.json
    assert shown.json["tripped"]


def test_the_switch_remembers_who_reset_it_and_why(api: App) -> None:
    api.put("/api/switch", WHO)

    reset = api.delete("/api/switch?requestedBy=bob&reason=Checked")

    assert reset.status == 200
    assert reset.json == api.get("/api/switch").json
    assert reset.json | {"tripped": False, "requestedBy": "bob", "reason": "Checked"} == reset.json


def test_the_switch_records_the_name_of_the_signed_in_caller(api: App, bench: Bench) -> None:
    bench.use(**EASY_AUTH)
    api.headers = signed_in("ann@example.com", "operator")

    tripped = api.put("/api/switch", {"reason": "Stop"})
    reset = api.delete("/api/switch?reason=Go")

    assert (tripped.json["requestedBy"], reset.json["requestedBy"]) == (
        "ann@example.com",
        "ann@example.com",
    )


@pytest.fixture
def wire(bench: Bench, storage: str) -> Iterator[Wire]:
    """Give the wire between the app and the table of the switch."""
    wire = Wire()
    with switch_behind(bench, storage, wire) as switch:
        bench.put(with_switch(bench.services, switch))
        yield wire


def reset(api: App, if_match: str) -> Response:
    return api.delete(RESET, headers={"If-Match": if_match})


def is_refused(response: Response, by: str, reason: str) -> bool:
    members: dict[str, Any] = response.json
    told = f"tripped by {by}: {reason}" in members["detail"]
    shown = members | {"tripped": True, "requestedBy": by, "reason": reason} == members
    return response.status == 412 and response.problem == "switch-changed" and told and shown


def test_every_response_has_the_etag_of_the_state_it_shows(api: App) -> None:
    at_first = api.get("/api/switch").headers["etag"]
    tripped = api.put("/api/switch", WHO).headers["etag"]
    shown = api.get("/api/switch").headers["etag"]
    lifted = api.delete(RESET).headers["etag"]

    assert tripped == shown
    assert len({at_first, tripped, lifted}) == 3
    assert api.get("/api/switch").headers["etag"] == lifted
    assert all(tag.startswith('"') and tag.endswith('"') for tag in (at_first, tripped, lifted))


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_reset_of_the_trip_that_was_seen_is_done(api: App, form: str) -> None:
    seen = api.put("/api/switch", WHO).headers["etag"]

    response = reset(api, form.format(seen))

    assert (response.status, response.json["tripped"]) == (200, False)


@pytest.mark.parametrize("before", ["never used", "tripped", "reset"])
def test_a_reset_of_a_state_from_before_another_trip_is_refused(api: App, before: str) -> None:
    if before != "never used":
        api.put("/api/switch", {"requestedBy": "eve", "reason": "Drill"})
    if before == "reset":
        api.delete(RESET)
    seen = api.get("/api/switch").headers["etag"]
    api.put("/api/switch", WHO)

    assert is_refused(reset(api, seen), "ann", "Wrong credentials")
    assert api.get("/api/switch").json["tripped"]


@pytest.mark.parametrize("if_match", ["", '""', '"other"', "unquoted", "W/"])
def test_a_reset_of_a_state_that_never_was_is_refused(api: App, if_match: str) -> None:
    api.put("/api/switch", WHO)

    assert is_refused(reset(api, if_match), "ann", "Wrong credentials")


def test_a_switch_that_nobody_has_used_can_be_reset_by_its_etag(api: App) -> None:
    seen = api.get("/api/switch").headers["etag"]

    assert reset(api, seen).status == 200
    assert reset(api, seen).problem == "switch-changed"


@pytest.mark.parametrize("if_match", [None, "*", "seen"])
def test_a_trip_that_crosses_a_reset_wins(
    api: App, bench: Bench, wire: Wire, if_match: str | None
) -> None:
    seen = api.put("/api/switch", {"requestedBy": "eve", "reason": "Drill"}).headers["etag"]
    elsewhere = bench.switch_of_another_process()
    wire.before_write = lambda: elsewhere.trip("ann", "Wrong credentials")
    headers = {"If-Match": seen if if_match == "seen" else if_match} if if_match else {}

    response = api.delete(RESET, headers=headers)

    assert is_refused(response, "ann", "Wrong credentials")
    assert api.get("/api/switch").json["tripped"]


def test_a_trip_that_cannot_be_stored_is_a_503_and_is_stored_later(
    api: App, bench: Bench, wire: Wire
) -> None:
    wire.writes_fail = True
    failed = api.put("/api/switch", WHO)
    assert (failed.status, failed.problem) == (503, "storage")
    assert api.get("/api/switch").status == 503
    wire.writes_fail = False

    shown = api.get("/api/switch")

    assert shown.json | WHO == shown.json
    assert bench.switch_of_another_process().read().tripped


@pytest.mark.parametrize(
    "members", [{}, {"requestedBy": "ann"}, {"reason": "Stop"}, {**WHO, "requestedBy": " "}]
)
def test_tripping_the_switch_needs_a_name_and_a_reason(api: App, members: dict[str, str]) -> None:
    assert api.put("/api/switch", members).problem == "bad-request"
    assert not api.get("/api/switch").json["tripped"]


@pytest.mark.parametrize("query", ["", "?requestedBy=ann", "?reason=Go", "?requestedBy=&reason=Go"])
def test_resetting_the_switch_needs_a_name_and_a_reason(api: App, query: str) -> None:
    api.put("/api/switch", WHO)

    assert api.delete(f"/api/switch{query}").problem == "bad-request"
    assert api.get("/api/switch").json["tripped"]


def test_no_deletion_starts_while_the_switch_is_tripped(
    api: App, bench: Bench, customer: Customer
) -> None:
    api.put("/api/switch", WHO)

    response = api.post("/api/deletions", {"tenantId": customer.tenant_id})

    assert (response.status, response.problem) == (503, "switch-tripped")
    assert "ann" in response.json["detail"]
    assert "Wrong credentials" in response.json["detail"]
    assert int(response.headers["retry-after"]) > 0
    assert bench.waiting(CUSTOMERS_TO_DELETE) == 0


def test_a_dry_run_works_while_the_switch_is_tripped(api: App, customer: Customer) -> None:
    api.put("/api/switch", WHO)

    response = api.post("/api/deletions", {"tenantId": customer.tenant_id, "dryRun": True})

    assert response.status == 200


def test_a_deletion_can_be_aborted_while_the_switch_is_tripped(
    api: App, customer: Customer
) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id})
    api.put("/api/switch", WHO)

    assert api.delete(f"/api/deletions/{customer.tenant_id}").status == 200


def test_no_sweep_deletes_while_the_switch_is_tripped(api: App, bench: Bench) -> None:
    bench.use(PROTECTED_DOMAINS="none")
    api.put("/api/switch", WHO)

    response = api.post("/api/sweeps", {"mode": "delete"})

    assert (response.status, response.problem) == (503, "switch-tripped")
