"""The status page: one HTML document without scripts, for desktop, phone and dark mode."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from functions.pages.markup import Markup, element, joined, void_element
from functions.pages.status_card import card, history_link, short_timestamp
from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.rate_limit import Fill
from shared.partner_center.resources import Customer
from shared.safety.switch import SwitchState
from shared.storage.records import DeletionRecord, State
from shared.storage.rejected import RejectedMessage
from shared.tenants import TenantId

REFRESH_SECONDS: Final = 15
_ENDED_SHOWN: Final = 25
_REJECTED_SHOWN: Final = 25
_STYLE: Final = Path(__file__).with_name("status.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Status:
    """What the page shows; `trouble` says why the customers could not be listed, if so.

    `warnings` are sentences about what tipsweep ignores. `shows_rejected` says whether the reader
    may see what people wrote in messages that were not handled.
    """

    partner: TenantId
    now: datetime
    switch: SwitchState
    records: tuple[DeletionRecord, ...]
    customers: Mapping[str, Customer]
    shows_rejected: bool
    trouble: str = ""
    rejected: tuple[RejectedMessage, ...] = ()
    warnings: tuple[str, ...] = ()
    budget: Fill | None = None


def page(status: Status) -> str:
    """Return the document."""
    main = element(
        "main",
        _header(status),
        _switch(status.switch),
        _warnings(status.warnings),
        _slots(status),
        _budget(status.budget),
        _states(status.records),
        _rejected(status.rejected) if status.shows_rejected else _count(status.rejected),
        _cards("Needs attention", status, _where(status, lambda each: each.needs_attention)),
        _cards("In progress", status, _where(status, lambda each: each.live)),
        _ended(status),
        _untouched(status),
    )
    return _document(_used(status), main)


def settings_page(title: str, detail: str) -> str:
    """Return the document for the time while settings are missing or wrong."""
    panel = element("section", element("h3", title), element("p", detail), class_="panel alarm")
    return _document("not configured", element("main", element("h1", "tipsweep"), panel))


def _document(title: str, main: Markup) -> str:
    head = element(
        "head",
        void_element("meta", charset="utf-8"),
        void_element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void_element("meta", http_equiv="refresh", content=str(REFRESH_SECONDS)),
        element("title", f"tipsweep: {title}"),
        element("style", Markup(_STYLE)),
    )
    return "<!doctype html>" + element("html", head, element("body", main), lang="en")


def _used(status: Status) -> str:
    if status.trouble:
        return "used slots unknown"
    return f"{len(status.customers)} of {SANDBOX_CUSTOMERS} slots used"


def _header(status: Status) -> Markup:
    return element(
        "header",
        element("h1", "tipsweep"),
        element(
            "p",
            "sandbox of ",
            element("code", status.partner),
            f" as of {status.now:%Y-%m-%d %H:%M:%S} UTC, refreshed every {REFRESH_SECONDS} s, ",
            element("a", "history of switch and sweeps", href="history"),
            class_="quiet",
        ),
    )


def _switch(switch: SwitchState) -> Markup:
    if not switch.tripped:
        return Markup()
    return element(
        "section",
        element("h3", "The safety switch is tripped: nothing is cancelled or deleted"),
        element("p", switch.reason),
        element("p", f"by {switch.requested_by}, {short_timestamp(switch.at)}", class_="quiet"),
        class_="panel alarm",
    )


def _warnings(warnings: Iterable[str]) -> Markup:
    items = [element("li", each) for each in warnings]
    if not items:
        return Markup()
    return element(
        "section", element("h3", "tipsweep ignores"), element("ul", *items), class_="panel alarm"
    )


def _slots(status: Status) -> Markup:
    if status.trouble:
        return element(
            "section",
            element("h3", "The customers cannot be listed at the moment"),
            element("p", status.trouble),
            class_="panel alarm",
        )
    figure = element(
        "p",
        element("strong", str(len(status.customers))),
        f" of {SANDBOX_CUSTOMERS} slots used, "
        f"{max(0, SANDBOX_CUSTOMERS - len(status.customers))} free",
        class_="figure",
    )
    shares = _shares(status)
    return element("section", figure, _bar(status, shares), _legend(shares), class_="panel")


def _budget(fill: Fill | None) -> Markup:
    if fill is None:
        return Markup()
    held = f"; no call leaves for {fill.held_seconds:.0f} s" if fill.held_seconds else ""
    text = f"{fill.calls} of {fill.limit} calls of the last minute to Partner Center used{held}"
    return element("p", text, class_="quiet")


def _shares(status: Status) -> dict[str, int]:
    """Return how many slots are stuck, being deleted, and otherwise in use."""
    here = [record for record in status.records if record.tenant in status.customers]
    stuck = sum(record.needs_attention for record in here)
    running = sum(record.live for record in here)
    return {"stuck": stuck, "running": running, "used": len(status.customers) - stuck - running}


def _bar(status: Status, shares: Mapping[str, int]) -> Markup:
    parts = [element("rect", width=str(SANDBOX_CUSTOMERS), height="1")]
    start = 0
    for name, count in shares.items():
        parts.append(element("rect", x=str(start), width=str(count), height="1", class_=name))
        start += count
    return element(
        "svg",
        *parts,
        class_="bar",
        viewBox=f"0 0 {SANDBOX_CUSTOMERS} 1",
        preserveAspectRatio="none",
        role="img",
        aria_label=_used(status),
    )


def _legend(shares: Mapping[str, int]) -> Markup:
    labels = {"stuck": "need attention", "running": "being deleted", "used": "in use"}
    items = (
        element("li", element("span", class_=f"key {name}"), f"{shares[name]} {label}")
        for name, label in labels.items()
    )
    return element("ul", *items, class_="legend")


def _states(records: Iterable[DeletionRecord]) -> Markup:
    counts = Counter(record.state for record in records)
    items = (
        element(
            "li",
            element("b", str(counts[state]), class_=state),
            state,
            class_="some" if counts[state] else "none",
        )
        for state in State
    )
    return joined(element("h2", "Deletions by state"), element("ul", *items, class_="states"))


def _where(status: Status, matches: Callable[[DeletionRecord], bool]) -> list[DeletionRecord]:
    return [record for record in status.records if matches(record)]


def _cards(title: str, status: Status, shown: list[DeletionRecord]) -> Markup:
    if not shown:
        return Markup()
    shown.sort(key=lambda record: record.requested_at, reverse=True)
    cards = (card(each, status.customers.get(each.tenant), status.now) for each in shown)
    return joined(element("h2", title), *cards)


def _rejected(messages: tuple[RejectedMessage, ...]) -> Markup:
    rows = (
        (
            short_timestamp(each.at),
            each.queue,
            joined(each.reason, element("div", _expected(each), class_="quiet")),
            element("code", each.body.decode(errors="replace")),
            element("code", each.message_id),
        )
        for each in messages[:_REJECTED_SHOWN]
    )
    many = len(messages) > _REJECTED_SHOWN
    title = f"Not handled (last {_REJECTED_SHOWN} of {len(messages)})" if many else "Not handled"
    return _table(title, ("When", "Queue", "Reason", "Message", "ID"), rows)


def _count(messages: tuple[RejectedMessage, ...]) -> Markup:
    """Return how many messages were not handled, for those who may not see what is in them."""
    if not messages:
        return Markup()
    shown = f"{len(messages)}; an operator sees them here"
    return joined(element("h2", "Not handled"), element("p", shown, class_="quiet"))


def _expected(message: RejectedMessage) -> str:
    return f"expected {message.expected}" if message.expected else ""


def _ended(status: Status) -> Markup:
    ended = _where(status, lambda each: not each.live and not each.needs_attention)
    ended.sort(key=lambda record: record.finished_at or record.requested_at, reverse=True)
    rows = (
        (
            element("code", each.tenant),
            each.domain,
            joined(
                each.state,
                f", {each.reason}" if each.reason else "",
                f" (dismissed by {each.dismissed_by})" if each.dismissed_at else "",
            ),
            short_timestamp(each.finished_at),
            history_link(each.tenant),
        )
        for each in ended[:_ENDED_SHOWN]
    )
    title = f"Ended (last {_ENDED_SHOWN})" if len(ended) > _ENDED_SHOWN else "Ended"
    return _table(title, ("Customer", "Domain", "Outcome", "When", "History"), rows)


def _untouched(status: Status) -> Markup:
    known = {record.tenant for record in status.records}
    rows = [
        (element("code", each.id), each.domain, each.company_name)
        for each in status.customers.values()
        if each.id not in known
    ]
    return _table("No deletion requested", ("Customer", "Domain", "Company"), rows)


def _table(title: str, heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Markup:
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    if not body:
        return Markup()
    head = element("thead", element("tr", *(element("th", text) for text in heads)))
    table = element("table", head, element("tbody", *body))
    return joined(element("h2", title), element("section", table, class_="card"))
