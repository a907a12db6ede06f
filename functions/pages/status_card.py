"""One deletion on the status page: its progress, and what a person can do."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import quote

from functions.pages.markup import Markup, element, joined
from shared.partner_center.resources import Customer
from shared.purchases.plan import Entry, Plan, Standing, make_plan
from shared.storage.records import DeletionRecord
from shared.tenants import TenantId

_WORDS: Final = {
    Standing.OPEN: "to be cancelled",
    Standing.WAITING: "being cancelled",
    Standing.FOLLOWS: "ends with another",
    Standing.CLOSED: "done",
    Standing.NEVER: "cannot be cancelled",
}


def card(record: DeletionRecord, customer: Customer | None, now: datetime) -> Markup:
    """Return a deletion with its purchases."""
    plan = make_plan(record.purchases, record.finished_at or now)
    return element(
        "article",
        _head(record, customer),
        element("dl", *_facts(record)),
        *_progress(plan),
        class_=f"card {record.state}",
    )


def short_timestamp(timestamp: datetime | None) -> str:
    """Return a timestamp to the second, in UTC."""
    return f"{timestamp:%Y-%m-%d %H:%M:%S}" if timestamp else ""


def history_link(tenant: TenantId) -> Markup:
    """Return a link to everything done about a customer; relative, so that it holds no key."""
    return element("a", "everything done", href=f"deletions/{quote(tenant, safe='')}/history")


def _head(record: DeletionRecord, customer: Customer | None) -> Markup:
    name = customer.company_name if customer else ""
    return element(
        "div",
        element("h3", name or record.domain or record.tenant),
        element("span", customer.domain if customer else record.domain, class_="quiet"),
        element("span", record.state, class_="tag"),
        class_=f"head {record.state}",
    )


def _facts(record: DeletionRecord) -> Iterator[Markup]:
    by = f" by {record.requested_by}" if record.requested_by else ""
    facts = {
        "Reason": record.reason,
        "Remedy": record.remedy,
        "Last error": record.last_error,
        "Tenant": element("code", record.tenant),
        "History": history_link(record.tenant),
        "Requested": short_timestamp(record.requested_at) + by,
        "Next check": short_timestamp(record.next_check_at),
        "Can be tried again": short_timestamp(record.retry_at),
        "Ended": short_timestamp(record.finished_at),
    }
    for name, text in facts.items():
        if text:
            yield joined(element("dt", name), element("dd", text))


def _progress(plan: Plan) -> tuple[Markup, ...]:
    if not plan.entries:
        return (element("p", "Its purchases have not been read yet.", class_="quiet"),)
    done = sum(entry.standing is Standing.CLOSED for entry in plan.entries)
    total = len(plan.entries)
    bar = element("progress", f"{done}/{total}", max=str(total), value=str(done))
    rows = (element("tr", *_cells(entry)) for entry in plan.entries)
    heads = ("Purchase", "ID", "Status", "Standing")
    head = element("thead", element("tr", *(element("th", text) for text in heads)))
    summary = element("summary", f"{done} of {total} orders and subscriptions are done")
    table = element("table", head, element("tbody", *rows))
    return (bar, element("details", summary, table, open=""))


def _cells(entry: Entry) -> Iterator[Markup]:
    purchase = entry.purchase
    name = purchase.name or purchase.product or ""
    kind = purchase.kind.replace("_", " ")
    yield element("td", name, element("div", kind, class_="quiet") if name else kind)
    yield element("td", element("code", purchase.id))
    yield element("td", purchase.status)
    yield element("td", _WORDS[entry.standing], element("div", entry.reason, class_="quiet"))
