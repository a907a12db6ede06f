"""`/api/status`: what it shows, and that nothing from outside becomes markup."""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.pages.status_page import Status, page
from local.simulator import Customer, ProductKind, Simulator
from shared.partner_center import resources
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.safety.switch import SwitchState
from shared.storage.budget import SharedBudget
from shared.storage.records import DeletionRecord, State
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import App
from tests.http.chromium import text_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TENANT = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
PARTNER = TenantId("2f9e0b57-6c1d-4b7c-9a37-51b0a6c3e6d1")
FOREIGN_TEXT = st.text(min_size=1) | st.sampled_from(
    [
        "<script>",
        "</style><script>alert(1)</script>",
        '" onload="x',
        "'",
        "&lt;b&gt;",
        "<!--",
        "]]>",
    ]
)


class Tags(HTMLParser):
    """Counts the tags with their attributes' names."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag, *(name for name, _ in attrs)] += 1


def status_of(text: str) -> Status:
    """Return a status that shows a foreign text wherever one can appear."""
    purchase = Purchase(PurchaseKind.ORDER, text, text, name=text, created=NOW, reason=text)
    record = DeletionRecord(
        tenant=TENANT,
        state=State.STUCK,
        generation=1,
        correlation_id=text,
        requested_at=NOW,
        deadline=NOW + timedelta(hours=1),
        requested_by=text,
        domain=text,
        reason=text,
        remedy=text,
        last_error=text,
        purchases=(purchase,),
        finished_at=NOW + timedelta(days=90),
    )
    aborted = replace(record, state=State.ABORTED, tenant=TenantId(text))
    customers = {
        TENANT: resources.Customer(TENANT, text, text),
        text + "2": resources.Customer(TenantId(text + "2"), text, text),
    }
    switch = SwitchState(tripped=True, requested_by=text, reason=text, at=NOW)
    return Status(PARTNER, NOW, switch, (record, aborted), customers, shows_rejected=True)


@given(FOREIGN_TEXT)
def test_foreign_text_never_becomes_markup(text: str) -> None:
    assert Tags(page(status_of(text))).counts == Tags(page(status_of("harmless"))).counts


@given(FOREIGN_TEXT)
def test_foreign_trouble_never_becomes_markup(text: str) -> None:
    def shown(trouble: str) -> Counter[tuple[str, ...]]:
        status = replace(status_of("harmless"), customers={}, trouble=trouble, warnings=(trouble,))
        return Tags(page(status)).counts

    assert shown(text) == shown("harmless")


def test_slots_are_shown_as_number_and_bar(
    api: App, simulator: Simulator, customer: Customer
) -> None:
    for number in range(40):
        simulator.sandbox.add_customer(f"more{number:03}.onmicrosoft.com")
    api.post("/api/deletions", {"tenantId": customer.tenant_id})

    shown = api.get("/api/status")

    assert "41 of 75 slots used, 34 free" in text_of(shown.text)
    bar = {
        name: (int(start), int(width))
        for start, width, name in re.findall(
            r'<rect x="(\d+)" width="(\d+)" height="1" class="(\w+)">', shown.text
        )
    }
    assert bar == {"stuck": (0, 0), "running": (0, 1), "used": (1, 40)}


def test_deletions_are_counted_by_state(
    api: App, bench: Bench, customer: Customer, stuck_customer: Customer
) -> None:
    for each in (customer, stuck_customer):
        api.post("/api/deletions", {"tenantId": each.tenant_id})
    bench.pump()

    text = text_of(api.get("/api/status").text)

    assert "0 requested 0 cancelling 0 checking 0 deleting 1 deleted 1 stuck 0 refused" in text


def test_a_deleted_customer_gives_its_slot_back_at_once(
    api: App, bench: Bench, customer: Customer
) -> None:
    """The listing of customers is a minute old by then."""
    assert "1 of 75 slots used" in text_of(api.get("/api/status").text)
    api.post("/api/deletions", {"tenantId": customer.tenant_id})
    bench.pump()

    assert "0 of 75 slots used" in text_of(api.get("/api/status").text)


def test_a_stuck_deletion_shows_reason_remedy_and_orders(
    api: App, bench: Bench, stuck_customer: Customer
) -> None:
    order = stuck_customer.add_order(ProductKind.PERPETUAL_SOFTWARE)
    api.post("/api/deletions", {"tenantId": stuck_customer.tenant_id, "requestedBy": "ann"})
    bench.pump()
    record = api.get(f"/api/deletions/{stuck_customer.tenant_id}").json

    text = text_of(api.get("/api/status").text)

    assert record["reason"] in text
    assert record["remedy"] in text
    assert "by ann" in text
    assert "1 of 3 orders and subscriptions are done" in text
    assert f"{order.id} cancelled done" in text
    assert f"{stuck_customer.subscriptions[0].id} active cannot be cancelled" in text


def test_a_tripped_switch_is_shown(api: App) -> None:
    api.put("/api/switch", {"requestedBy": "ann", "reason": "Wrong account"})

    text = text_of(api.get("/api/status").text)

    assert "The safety switch is tripped" in text
    assert "Wrong account" in text


def test_the_budget_of_calls_is_shown_with_a_hold(api: App, bench: Bench) -> None:
    api.get("/api/status")
    assert "1 of 600000 calls of the last minute" in text_of(api.get("/api/status").text)
    budget = SharedBudget(bench.services.budget_row, 300)
    bench.put(replace(bench.services, budget=budget))
    budget.pause(60)

    shown = text_of(api.get("/api/status").text)

    assert "0 of 150 calls of the last minute" in shown
    assert "no call leaves for" in shown


def test_a_setting_that_is_not_known_is_shown(api: App, bench: Bench) -> None:
    bench.use(SWEEP_COLOUR="red")

    text = text_of(api.get("/api/status").text)

    assert "the setting SWEEP_COLOUR, which this version does not know" in text


def test_a_row_that_cannot_be_read_is_shown_and_hides_no_other(
    api: App, bench: Bench, customer: Customer, stuck_customer: Customer
) -> None:
    for each in (customer, stuck_customer):
        api.post("/api/deletions", {"tenantId": each.tenant_id})
    bench.make_unreadable(customer.tenant_id)

    text = text_of(api.get("/api/status").text)

    assert f"record of customer {customer.tenant_id} cannot be read" in text
    assert "1 requested" in text


@pytest.mark.usefixtures("customer")
def test_the_policy_allows_this_style_and_nothing_else(api: App) -> None:
    shown = api.get("/api/status")

    (style,) = re.findall(r"(?s)<style>(.*?)</style>", shown.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = shown.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert "style=" not in shown.text


def test_the_page_refreshes_itself_without_script(api: App) -> None:
    shown = api.get("/api/status")

    assert shown.headers["content-type"].startswith("text/html")
    assert shown.headers["cache-control"] == "no-store"
    assert '<meta http-equiv="refresh" content="15">' in shown.text
    assert "<script" not in shown.text
