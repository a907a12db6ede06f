"""`/api/switch`, and what a tripped switch stops."""

import pytest

from local.simulator import Customer
from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.bench import Bench
from tests.http.app import App

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


def test_the_switch_records_the_name_of_the_signed_in_caller(api: App) -> None:
    api.headers = {"X-MS-CLIENT-PRINCIPAL-NAME": "ann@example.com"}

    tripped = api.put("/api/switch", {"reason": "Stop"})
    reset = api.delete("/api/switch?reason=Go")

    assert (tripped.json["requestedBy"], reset.json["requestedBy"]) == (
        "ann@example.com",
        "ann@example.com",
    )


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
