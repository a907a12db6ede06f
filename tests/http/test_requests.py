"""`/api/requests`, plans and dismissals."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from azure.data.tables import TableClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.api.requests import SHOWN_REQUESTS
from local.simulator import Customer, Simulator
from shared.deletion.poison import Poisoned, record_poisoned
from shared.storage.names import CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK, QUEUES, SANDBOX_TABLE
from shared.storage.rejected import RejectedMessages
from shared.storage.retention import KEPT_SHORT
from shared.tenants import TenantId
from tests.bench import Bench, failing_orders
from tests.http.app import App, Response
from tests.http.chromium import text_of
from tests.sweep.customers import later
from tests.switch_table import Wire

REJECTED = "/api/requests/rejected"
GOOD = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
SECRET_TAIL = "x" * 500 + "the secret"


def rejected(bench: Bench, *texts: str) -> None:
    for text in texts:
        bench.drop(text)
        bench.pump()


def test_a_rejected_drop_is_listed_with_reason_and_what_was_expected(
    api: App, bench: Bench
) -> None:
    rejected(bench, "contoso.onmicrosoft.com")

    listed = api.get(REJECTED).json

    (item,) = listed["items"]
    assert listed["total"] == 1
    assert item["queue"] == CUSTOMERS_TO_DELETE
    assert item["tenantId"] is None
    assert "is not a tenant ID" in item["reason"]
    assert item["expected"].startswith("a tenant ID, or a JSON object")
    assert item["body"] == "contoso.onmicrosoft.com"
    assert item["at"]


def test_a_drop_that_failed_every_time_is_listed_with_its_error(
    api: App, bench: Bench, simulator: Simulator, customer: Customer
) -> None:
    simulator.add_fault(failing_orders())
    rejected(bench, customer.tenant_id)

    (item,) = api.get(REJECTED).json["items"]

    assert item["tenantId"] == customer.tenant_id
    assert "items" in item["reason"]
    assert item["expected"] == ""


def test_no_more_than_500_characters_of_a_body_are_kept(api: App, bench: Bench) -> None:
    rejected(bench, SECRET_TAIL)

    (item,) = api.get(REJECTED).json["items"]

    assert item["body"] == "x" * 500
    assert all("secret" not in str(row) for row in bench.sandbox.list_entities())


SECRETS = {
    "lines": "\n".join(f"secret{number}-{'Q' * 80}" for number in range(1, 76)),
    "array": json.dumps([f"secret{number}-{'Q' * 80}" for number in range(1, 76)]),
    "objects": json.dumps(
        [{"tenantId": f"secret{number}-{'Q' * 80}", "dryRun": True} for number in range(1, 76)]
    ),
    "members": json.dumps(
        [{"tenantId": GOOD, f"secret{number}-{'Q' * 80}": 1} for number in range(1, 76)]
    ),
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_reason_shows_60_characters_of_the_first_wrong_entry_and_numbers_the_others(
    api: App, bench: Bench, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    rejected(bench, text)

    (item,) = api.get(REJECTED).json["items"]
    logged = [line for line in caplog.messages if line.startswith("message_")]
    assert [line.split()[0] for line in logged] == ["message_rejected", "message_poisoned"]
    assert len(item["reason"]) <= 500
    assert "75 of 75 entries" in item["reason"]
    assert "in entries 2, 3, 4, " in item["reason"]
    for shown in (item["reason"], *logged):
        assert shown.count("secret") == 1
        assert "secret1-" in shown
        assert shown.count("Q") <= 60 - len("secret1-")


def test_the_latest_come_first_and_all_are_counted(api: App, bench: Bench) -> None:
    for number in range(SHOWN_REQUESTS + 2):
        poisoned = Poisoned(ORDERS_TO_CHECK, f"m{number}", b"%d" % number)
        record_poisoned(bench.services, poisoned)

    listed = api.get(REJECTED).json

    assert listed["total"] == SHOWN_REQUESTS + 2
    assert [item["body"] for item in listed["items"][:2]] == ["101", "100"]
    assert len(listed["items"]) == SHOWN_REQUESTS


FOREIGN_IDS = ["", "1", "a/b#c?d", "é", "\ud83d", "x" * 1_100, "0" * 64, "switch"]


@pytest.mark.parametrize("message_id", FOREIGN_IDS)
def test_a_message_with_a_foreign_id_can_be_dismissed_too(
    api: App, bench: Bench, message_id: str
) -> None:
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, message_id, b"contoso"))
    (item,) = api.get(REJECTED).json["items"]

    assert api.delete(f"{REJECTED}/{item['id']}").json == item

    assert api.get(REJECTED).json == {"items": [], "total": 0}


@given(
    st.lists(
        st.builds(
            Poisoned,
            st.sampled_from(QUEUES),
            st.sampled_from(FOREIGN_IDS) | st.text(max_size=5),
            st.sampled_from([b"", b"1", b"contoso"]) | st.binary(max_size=5),
        ),
        unique_by=lambda each: (each.queue, each.message_id, each.body),
        max_size=6,
    )
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_rejected_message_has_a_row_of_its_own_however_often_it_is_delivered(
    bench: Bench, messages: list[Poisoned]
) -> None:
    for row in bench.poisoned():
        bench.sandbox.delete_entity(row["PartitionKey"], row["RowKey"])

    for message in messages * 2:
        record_poisoned(bench.services, message)

    listed = [(each.queue, each.body) for each in bench.services.rejected.all()]
    assert sorted(listed) == sorted(
        (each.queue, each.body.decode(errors="replace").encode()) for each in messages
    )


@pytest.mark.parametrize("message_id", ["5b0f4c0e-8f4b-4f7e-9d55-0c7f8f4e2c11", "a" * 64, "1"])
def test_a_message_that_an_earlier_version_has_recorded_is_listed_and_can_be_dismissed(
    api: App, bench: Bench, message_id: str
) -> None:
    record_poisoned(bench.services, Poisoned(CUSTOMERS_TO_DELETE, "m", b"contoso"))
    (row,) = bench.poisoned()
    bench.sandbox.delete_entity(row["PartitionKey"], row["RowKey"])
    bench.sandbox.create_entity({**row, "RowKey": f"rejected-{message_id}"})

    (item,) = api.get(REJECTED).json["items"]

    assert item["id"] == message_id
    assert api.delete(f"{REJECTED}/{message_id}").json == item
    assert api.get(REJECTED).json["total"] == 0


def test_the_log_names_the_row_of_a_rejected_message(
    api: App, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    rejected(bench, "contoso")

    (item,) = api.get(REJECTED).json["items"]
    assert f" rejected={item['id']} " in caplog.messages[-1]


def test_a_dismissed_request_is_gone_and_logged(
    api: App, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tipsweep")
    rejected(bench, "contoso", "fabrikam")
    latest, other = api.get(REJECTED).json["items"]

    response = api.delete(f"{REJECTED}/{latest['id']}?requestedBy=ann")

    assert response.json == latest
    assert api.get(REJECTED).json["items"] == [other]
    assert caplog.messages[-1] == f"request_dismissed message={latest['id']} requested_by=ann"
    assert api.delete(f"{REJECTED}/{latest['id']}").problem == "no-rejected-request"


MESSAGE = Poisoned(CUSTOMERS_TO_DELETE, "m", b"contoso")


def dismiss_listed(api: App, query: str = "") -> Response:
    (item,) = api.get(REJECTED).json["items"]
    return api.delete(f"{REJECTED}/{item['id']}{query}")


def test_a_dismissed_message_stays_dismissed_when_it_is_delivered_once_more(
    api: App, bench: Bench
) -> None:
    record_poisoned(bench.services, MESSAGE)
    dismiss_listed(api)
    dismissed = bench.poisoned()

    record_poisoned(bench.services, MESSAGE)

    assert api.get(REJECTED).json == {"items": [], "total": 0}
    assert "Not handled" not in text_of(api.get("/api/status").text)
    assert bench.poisoned() == dismissed


def test_a_dismissed_message_keeps_who_dismissed_it_and_not_its_body(
    api: App, bench: Bench
) -> None:
    record_poisoned(bench.services, MESSAGE)

    assert dismiss_listed(api, "?requestedBy=ann").json["body"] == "contoso"

    (row,) = bench.poisoned()
    assert (row["dismissedBy"], row["body"]) == ("ann", "")
    assert row["dismissedAt"]


def test_a_dismissed_message_is_removed_after_30_days(api: App, bench: Bench) -> None:
    record_poisoned(bench.services, MESSAGE)
    dismiss_listed(api)

    later(bench, KEPT_SHORT)
    bench.redrive()

    assert not bench.poisoned()


@pytest.fixture
def wire(bench: Bench, storage: str) -> Iterator[Wire]:
    """Give the wire between the app and its rejected messages."""
    wire = Wire()
    with TableClient.from_connection_string(
        storage, SANDBOX_TABLE, transport=wire, retry_total=0
    ) as table:
        partner = bench.services.settings.partner_center.tenant_id
        bench.put(replace(bench.services, rejected=RejectedMessages(table, partner)))
        yield wire


def test_a_table_that_goes_missing_during_a_dismissal_is_a_503(
    api: App, bench: Bench, wire: Wire
) -> None:
    record_poisoned(bench.services, MESSAGE)
    wire.before_write = bench.sandbox.delete_table

    response = dismiss_listed(api)

    assert (response.status, response.problem) == (503, "storage")


def test_a_message_that_is_removed_during_its_dismissal_is_a_404(
    api: App, bench: Bench, wire: Wire
) -> None:
    record_poisoned(bench.services, MESSAGE)
    (row,) = bench.poisoned()
    wire.before_write = lambda: bench.sandbox.delete_entity(row["PartitionKey"], row["RowKey"])

    assert dismiss_listed(api).problem == "no-rejected-request"


@pytest.mark.parametrize("request_id", ["1", "%00", "é", "'", "a" * 5000, "switch"])
def test_an_unknown_request_is_a_404(api: App, request_id: str) -> None:
    assert api.delete(f"{REJECTED}/{request_id}").problem == "no-rejected-request"


def test_rejected_requests_are_shown_on_the_status_page_until_dismissed(
    api: App, bench: Bench
) -> None:
    rejected(bench, "contoso")
    (item,) = api.get(REJECTED).json["items"]
    text = text_of(api.get("/api/status").text)
    assert "Not handled" in text
    assert item["reason"] in text
    assert item["id"] in text

    api.delete(f"{REJECTED}/{item['id']}")

    assert "Not handled" not in text_of(api.get("/api/status").text)


def test_a_dismissed_deletion_needs_no_attention(
    api: App, bench: Bench, stuck_customer: Customer
) -> None:
    tenant = stuck_customer.tenant_id
    api.post("/api/deletions", {"tenantId": tenant})
    bench.pump()
    assert "Needs attention" in text_of(api.get("/api/status").text)

    response = api.call("POST", f"/api/deletions/{tenant}/dismiss?requestedBy=ann")

    assert (response.json["state"], response.json["dismissedBy"]) == ("stuck", "ann")
    assert response.json["dismissedAt"]
    text = text_of(api.get("/api/status").text)
    assert "Needs attention" not in text
    assert "(dismissed by ann)" in text
    assert "0 need attention" in text


def test_dismissing_again_changes_nothing(api: App, bench: Bench, stuck_customer: Customer) -> None:
    path = f"/api/deletions/{stuck_customer.tenant_id}/dismiss"
    api.post("/api/deletions", {"tenantId": stuck_customer.tenant_id})
    bench.pump()
    first = api.call("POST", f"{path}?requestedBy=ann").json

    assert api.call("POST", f"{path}?requestedBy=bob").json == first


def test_a_dismissed_customer_that_is_requested_again_needs_attention_again(
    api: App, bench: Bench, stuck_customer: Customer
) -> None:
    tenant = stuck_customer.tenant_id
    for _ in range(2):
        api.post("/api/deletions", {"tenantId": tenant})
        bench.pump()
        shown = api.get(f"/api/deletions/{tenant}").json
        assert (shown["state"], shown["dismissedAt"]) == ("stuck", None)
        api.call("POST", f"/api/deletions/{tenant}/dismiss")


@pytest.mark.parametrize("end", ["live", "deleted", "aborted"])
def test_what_needs_no_attention_cannot_be_dismissed(
    api: App, bench: Bench, customer: Customer, end: str
) -> None:
    tenant = customer.tenant_id
    api.post("/api/deletions", {"tenantId": tenant})
    if end == "deleted":
        bench.pump()
    elif end == "aborted":
        api.delete(f"/api/deletions/{tenant}")

    response = api.call("POST", f"/api/deletions/{tenant}/dismiss")

    assert (response.status, response.problem) == (409, "not-dismissable")


def test_the_plan_of_a_dry_run_over_the_queue_is_the_one_that_http_returns(
    api: App, bench: Bench, customer: Customer
) -> None:
    members = {"tenantId": customer.tenant_id, "dryRun": True}
    bench.drop(json.dumps({**members, "requestedBy": "ann"}))
    bench.pump()

    plan = api.get(f"/api/deletions/{customer.tenant_id}/plan").json

    direct = api.post("/api/deletions", members).json
    for member in ("tenantId", "domain", "companyName", "purchases"):
        assert plan[member] == direct[member]
    assert (plan["outcome"], plan["requestedBy"]) == (direct["next"], "ann")
    assert plan["madeAt"]


def test_a_plan_that_cannot_be_read_is_a_503_with_the_reason(
    api: App, bench: Bench, customer: Customer
) -> None:
    tenant = TenantId(customer.tenant_id)
    bench.services.plans.keep(tenant, '{"outcome": "postponed"}', bench.services.now())

    response = api.get(f"/api/deletions/{tenant}/plan")

    assert (response.status, response.problem) == (503, "storage")
    assert "cannot be read" in response.json["detail"]
