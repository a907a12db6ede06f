"""`/api/deletions/{tenantId}/history` and `/api/history`: what was done, newest first."""

from datetime import timedelta
from unittest.mock import ANY

import pytest

from functions.api.history import PAGE_ENTRIES
from local.simulator import Customer
from shared.storage.history import EntryKind, HistoryEntry
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import ADDRESS, App

STRANGER = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")


def history_of(tenant: str) -> str:
    return f"/api/deletions/{tenant}/history"


def fill(bench: Bench, count: int) -> None:
    """Give a stranger this many entries, a second apart; the last one is called 1."""
    now = bench.services.now()
    bench.services.history.add(
        STRANGER,
        [
            HistoryEntry(EntryKind.FAILED, now - timedelta(seconds=number), detail=str(number))
            for number in range(1, count + 1)
        ],
    )


def test_a_deletion_is_shown_from_its_end_to_its_request(
    api: App, bench: Bench, customer: Customer
) -> None:
    api.post("/api/deletions", {"tenantId": customer.tenant_id, "requestedBy": "ann"})
    bench.pump()

    response = api.get(history_of(customer.tenant_id))

    assert response.status == 200
    items = response.json["items"]
    assert [each["kind"] for each in items] == ["deleted", "call", "ready", "call", "requested"]
    assert {each["requestedBy"] for each in items} == {"ann"}
    correlation = api.get(f"/api/deletions/{customer.tenant_id}").json["correlationId"]
    assert {each["correlationId"] for each in items} == {correlation}
    assert items[0]["call"] is None
    (delete,) = bench.calls("DELETE")
    assert items[1]["call"] == {
        "method": "DELETE",
        "path": f"/v1/customers/{customer.tenant_id}",
        "asked": "",
        "status": 204,
        "code": "",
        "requestId": delete.request_id,
        "attempts": 1,
        "responses": [{"at": ANY, "status": 204, "code": ""}],
    }
    assert response.json["links"]["next"] is None


def test_a_customer_without_a_history_has_an_empty_one(api: App) -> None:
    response = api.get(history_of(STRANGER))

    assert (response.status, response.json["items"]) == (200, [])


def test_the_history_outlives_the_record(api: App, bench: Bench, customer: Customer) -> None:
    bench.run(customer.tenant_id)
    bench.remove_record(customer.tenant_id)

    assert api.get(f"/api/deletions/{customer.tenant_id}").status == 404
    assert api.get(history_of(customer.tenant_id)).json["items"]


@pytest.mark.parametrize(
    ("count", "sizes"), [(PAGE_ENTRIES, [100]), (PAGE_ENTRIES + 1, [100, 1]), (250, [100, 100, 50])]
)
def test_the_pages_hold_every_entry_once(
    api: App, bench: Bench, count: int, sizes: list[int]
) -> None:
    fill(bench, count)
    path: str | None = history_of(STRANGER)
    pages = []

    while path:
        page = api.get(path.removeprefix(ADDRESS)).json
        pages.append([int(each["detail"]) for each in page["items"]])
        path = page["links"]["next"]

    assert [len(page) for page in pages] == sizes
    assert [number for page in pages for number in page] == list(range(1, count + 1))


def test_the_link_to_the_next_page_holds_no_key(api: App, bench: Bench) -> None:
    fill(bench, PAGE_ENTRIES + 1)

    following = api.get(f"{history_of(STRANGER)}?code=secret").json["links"]["next"]

    assert following.startswith(f"{ADDRESS}{history_of(STRANGER)}?continuationToken=")
    assert "secret" not in following


@pytest.mark.parametrize(
    "path",
    [
        "/api/deletions/contoso/history",
        f"{history_of(STRANGER)}?continuationToken=x%27%20or%20true",
        f"{history_of(STRANGER)}?continuationToken={'0' * 101}",
    ],
)
def test_a_wrong_path_or_token_is_a_bad_request(api: App, path: str) -> None:
    assert api.get(path).problem == "bad-request"


def test_a_history_that_cannot_be_read_is_a_503(api: App, bench: Bench) -> None:
    bench.tables.delete_table("history")

    response = api.get(history_of(STRANGER))

    assert (response.status, response.problem) == (503, "storage")


def test_an_abort_names_the_caller(api: App, customer: Customer) -> None:
    api.headers = {"X-MS-CLIENT-PRINCIPAL-NAME": "ann@contoso.com"}
    api.post("/api/deletions", {"tenantId": customer.tenant_id})

    api.delete(f"/api/deletions/{customer.tenant_id}")

    newest = api.get(history_of(customer.tenant_id)).json["items"][0]
    assert (newest["kind"], newest["requestedBy"]) == ("aborted", "ann@contoso.com")


def test_a_sweep_and_the_switch_are_in_the_history_of_the_account(api: App) -> None:
    api.headers = {"X-MS-CLIENT-PRINCIPAL-NAME": "ann@contoso.com"}
    api.put("/api/switch", {"reason": "Stop"})
    api.delete("/api/switch?reason=Go&requestedBy=bob")
    api.post("/api/sweeps", {"mode": "report"})

    items = api.get("/api/history").json["items"]

    assert [(each["kind"], each["requestedBy"], each["detail"]) for each in items] == [
        ("sweep", "ann@contoso.com", "mode report: 0 selected, 0 started"),
        ("switch_reset", "bob", "Go"),
        ("switch_tripped", "ann@contoso.com", "Stop"),
    ]


def test_the_pages_of_the_account_go_on_with_its_own_entries(api: App, bench: Bench) -> None:
    now = bench.services.now()
    for number in range(PAGE_ENTRIES + 1):
        at = now - timedelta(seconds=number)
        bench.services.history.add_for_account(HistoryEntry(EntryKind.SWEEP, at))

    following = api.get("/api/history").json["links"]["next"]

    assert len(api.get(following.removeprefix(ADDRESS)).json["items"]) == 1


def test_the_status_page_links_to_the_histories(
    api: App, bench: Bench, customer: Customer, stuck_customer: Customer
) -> None:
    for each in (customer, stuck_customer):
        bench.run(each.tenant_id)

    page = api.get("/api/status?code=secret").text

    for each in (customer, stuck_customer):
        assert f'href="deletions/{each.tenant_id}/history"' in page
    assert 'href="history"' in page
    assert "secret" not in page
