"""Every kind of message and row: one value of each, how it is written and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from azure.data.tables import TableClient

from shared.deletion.dry_run_result import DryRunResult, Outcome
from shared.deletion.messages import (
    DeletionRequest,
    Parcel,
    StepMessage,
    SweepMessage,
    opened,
    parse_drop,
    parse_step,
    parse_sweep,
)
from shared.partner_center.client import SentWrite
from shared.partner_center.connection import Attempt
from shared.purchases.plan import Entry, Standing
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.safety.switch import SwitchState
from shared.settings import SweepMode
from shared.storage.budget_row import BudgetRow, Stored
from shared.storage.history import EntryKind, History, HistoryEntry
from shared.storage.ledger import Ledger
from shared.storage.names import (
    BUDGET_ROW,
    DELETIONS_TABLE,
    HISTORY_TABLE,
    OWNER_ROW,
    PLAN_ROW_PREFIX,
    REJECTED_ROW_PREFIX,
    SANDBOX_TABLE,
    SEEN_ROW_PREFIX,
    SWEEP_REPORT_ROW,
    SWEEP_RUN_ROW_PREFIX,
    SWITCH_ROW,
)
from shared.storage.owner import Owner
from shared.storage.plans import Plans
from shared.storage.records import DeletionRecord, Records, State
from shared.storage.rejected import RejectedMessage, RejectedMessages
from shared.storage.reports import Reports
from shared.storage.sightings import Age, Sighting, Sightings
from shared.storage.sweeps import SweepRun, Sweeps, SweepState
from shared.storage.switch import SwitchRow
from shared.sweep.decision import Candidate, SweepVerdict
from shared.sweep.report import SweepReport
from shared.tenants import TenantId

PARTNER: Final = TenantId("2f9e0b57-6c1d-4b7c-9a37-51b0a6c3e6d1")
TENANT: Final = TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10")
SWEEP: Final = "c0a1f7e2-4b51-4f0e-8f1b-0d6d2c1e9a77"
AT: Final = datetime(2026, 11, 28, 12, 0, 30, 250_000, UTC)
LATER: Final = AT + timedelta(hours=1)


@dataclass(frozen=True)
class RowKind:
    """A kind of row: `key` is its table, or its row or prefix in the table of the sandbox.

    `random` are the columns that differ each time.
    """

    name: str
    table: str
    key: str
    value: Any
    write: Callable[[TableClient], object]
    read: Callable[[TableClient], object]
    random: tuple[str, ...] = ()


@dataclass(frozen=True)
class MessageKind:
    """A kind of message: its class, its text and how it is read."""

    name: str
    value: Any
    text: str
    read: Callable[[bytes], object]


PURCHASE: Final = Purchase(
    kind=PurchaseKind.SUBSCRIPTION,
    id="SUB-1",
    status="active",
    parent="ORDER-1",
    product=Product.NCE,
    created=AT - timedelta(days=3),
    term_end=AT + timedelta(days=30),
    name="Licences",
    sent=frozenset({Action.DELETE_SUBSCRIPTION}),
    rejected=frozenset({Action.SUSPEND_SUBSCRIPTION}),
    reason="too late",
    trouble="no response",
    needs_activation=True,
    wait_until=LATER,
)
# What a plan shows of a purchase.
PLANNED: Final = Purchase(
    PurchaseKind.SUBSCRIPTION,
    "SUB-1",
    "active",
    product=Product.NCE,
    created=AT - timedelta(days=3),
    name="Licences",
)
RECORD: Final = DeletionRecord(
    tenant=TENANT,
    state=State.STUCK,
    generation=7,
    correlation_id="3d1f7a4e-9a76-4c5b-8a0e-6a2f5b1c7d90",
    requested_at=AT,
    deadline=AT + timedelta(hours=48),
    requested_by="ann",
    claimed_by="message-1",
    domain="tipdemo001.onmicrosoft.com",
    seen=True,
    attempt=3,
    failures=1,
    looked_at=AT,
    parked_since=AT,
    parked=timedelta(seconds=90.5),
    granted=timedelta(seconds=30),
    next_check_at=LATER,
    finished_at=LATER,
    retry_at=AT + timedelta(days=20),
    reason="cannot be cancelled",
    remedy="wait",
    last_error="timed out",
    purchases=(PURCHASE,),
    dismissed_at=LATER,
    dismissed_by="bob",
    told=True,
)
# More than one text property holds.
MANY: Final = tuple(
    Purchase(PurchaseKind.ORDER, f"ORDER-{number:04}", "completed") for number in range(800)
)
LONG_RECORD: Final = DeletionRecord(
    TENANT, State.CHECKING, 2, "c-1", AT, LATER, purchases=MANY, next_check_at=LATER
)
ENTRY: Final = HistoryEntry(
    EntryKind.CALL,
    AT,
    "ann",
    "c-1",
    "accepted",
    SentWrite(
        "PATCH",
        "/v1/customers/x/orders/y",
        "cancelled",
        "r-1",
        400,
        "800011",
        2,
        (Attempt(AT), Attempt(AT + timedelta(seconds=2), 400, "800011")),
    ),
)
SWITCH: Final = SwitchState(
    tripped=True, requested_by="ann", reason="Stop", at=AT, trip_id="trip-1"
)
REJECTED: Final = RejectedMessage(
    "customers-to-delete", "message-1", b"contoso", TENANT, "not a tenant ID", AT, "a tenant ID"
)
PLAN: Final = DryRunResult(
    tenant=TENANT,
    outcome=Outcome.CANCEL,
    made_at=AT,
    requested_by="ann",
    domain="tipdemo001.onmicrosoft.com",
    company_name="TiP Demo 001",
    reason="none",
    remedy="none",
    entries=(Entry(PLANNED, Standing.OPEN, Action.DELETE_SUBSCRIPTION, "open"),),
    final=False,
    message_id="message-1",
)
SIGHTING: Final = Sighting(AT, Age("oldest order", AT - timedelta(days=9)))
REPORT: Final = SweepReport(
    at=AT,
    mode=SweepMode.REPORT,
    customers=1,
    free_slots=74,
    candidates=(
        Candidate(
            TENANT,
            "tipdemo001.onmicrosoft.com",
            "TiP Demo 001",
            SweepVerdict.DELETE,
            "old enough",
            9.5,
        ),
    ),
)
RUN: Final = SweepRun(
    id=SWEEP,
    mode=SweepMode.DELETE,
    requested_by="ann",
    requested_at=AT,
    next_try_at=LATER,
    state=SweepState.FINISHED,
    generation=3,
    failures=1,
    finished_at=LATER,
    reason="none",
    remedy="none",
    report=REPORT.to_json(),
)
STEP: Final = StepMessage(TENANT, 7, "3d1f7a4e-9a76-4c5b-8a0e-6a2f5b1c7d90")
SWEEP_MESSAGE: Final = SweepMessage(SWEEP, 3)
REQUEST: Final = DeletionRequest(TENANT, "ann", dry_run=True, attempt=2)
PARCEL: Final = Parcel(b"contoso", AT, AT)
YOUNG_PARCEL: Final = Parcel(b"contoso", None, AT)
LAST_PARCEL: Final = Parcel(b"contoso", None, AT, last_try=True)
TRIP_PARCEL: Final = Parcel(b"contoso", AT, AT, trip=SWITCH)


def _history(table: TableClient) -> History:
    return History(table, PARTNER, timedelta(days=400))


def _read_parcel(body: bytes) -> Parcel:
    return opened(body, LATER)


def _rejected_read(table: TableClient) -> RejectedMessage:
    """Return the message; the ID of its row takes the place of its own."""
    [message] = RejectedMessages(table, PARTNER).all()
    return RejectedMessage(
        message.queue,
        REJECTED.message_id,
        message.body,
        message.tenant,
        message.reason,
        message.at,
        message.expected,
    )


LEDGER: Final = Ledger(
    used={4: 3},
    promised={8: 1},
    expected={12: 2},
    held_until=60.5,
    lowered_to=240,
    lowered_at=30.25,
)
ROWS: Final = (
    RowKind(
        "record",
        DELETIONS_TABLE,
        DELETIONS_TABLE,
        RECORD,
        lambda table: Records(table, PARTNER).insert(RECORD),
        lambda table: Records(table, PARTNER).get(TENANT),
        random=("writeId",),
    ),
    RowKind(
        "record-with-many-purchases",
        DELETIONS_TABLE,
        DELETIONS_TABLE,
        LONG_RECORD,
        lambda table: Records(table, PARTNER).insert(LONG_RECORD),
        lambda table: Records(table, PARTNER).get(TENANT),
        random=("writeId",),
    ),
    RowKind(
        "history",
        HISTORY_TABLE,
        HISTORY_TABLE,
        [ENTRY],
        lambda table: _history(table).add(TENANT, [ENTRY]),
        lambda table: _history(table).page(TENANT, "", 2),
        random=("RowKey",),
    ),
    RowKind(
        "owner",
        SANDBOX_TABLE,
        OWNER_ROW,
        None,
        lambda table: Owner(table, PARTNER).claim(),
        lambda table: Owner(table, PARTNER).check(),
    ),
    RowKind(
        "switch",
        SANDBOX_TABLE,
        SWITCH_ROW,
        SWITCH,
        lambda table: SwitchRow(table, PARTNER).write(SWITCH),
        lambda table: SwitchRow(table, PARTNER).read(),
        random=("writeId",),
    ),
    RowKind(
        "budget",
        SANDBOX_TABLE,
        BUDGET_ROW,
        LEDGER,
        lambda table: BudgetRow(table, PARTNER).replace(LEDGER, Stored(Ledger())),
        lambda table: BudgetRow(table, PARTNER).read().ledger,
    ),
    RowKind(
        "rejected",
        SANDBOX_TABLE,
        REJECTED_ROW_PREFIX,
        REJECTED,
        lambda table: RejectedMessages(table, PARTNER).keep(REJECTED),
        _rejected_read,
    ),
    RowKind(
        "plan",
        SANDBOX_TABLE,
        PLAN_ROW_PREFIX,
        PLAN,
        lambda table: Plans(table, PARTNER).keep(TENANT, PLAN.to_json(), AT),
        lambda table: Plans(table, PARTNER).last(TENANT, DryRunResult.from_json),
    ),
    RowKind(
        "sighting",
        SANDBOX_TABLE,
        SEEN_ROW_PREFIX,
        {TENANT: SIGHTING},
        lambda table: Sightings(table, PARTNER).note({TENANT: SIGHTING}, AT),
        lambda table: Sightings(table, PARTNER).all(),
    ),
    RowKind(
        "sweep-report",
        SANDBOX_TABLE,
        SWEEP_REPORT_ROW,
        REPORT,
        lambda table: Reports(table, PARTNER).keep(REPORT.to_json()),
        lambda table: Reports(table, PARTNER).last(SweepReport.from_json),
    ),
    RowKind(
        "sweep",
        SANDBOX_TABLE,
        SWEEP_RUN_ROW_PREFIX,
        RUN,
        lambda table: Sweeps(table, PARTNER).add(RUN),
        lambda table: Sweeps(table, PARTNER).get(SWEEP),
    ),
)
MESSAGES: Final = (
    MessageKind("step", STEP, STEP.to_json(), parse_step),
    MessageKind("sweep-to-run", SWEEP_MESSAGE, SWEEP_MESSAGE.to_json(), parse_sweep),
    MessageKind("request", (REQUEST,), REQUEST.to_json(), parse_drop),
    MessageKind("parcel", PARCEL, PARCEL.sealed(), _read_parcel),
    MessageKind("parcel-of-unknown-age", YOUNG_PARCEL, YOUNG_PARCEL.sealed(), _read_parcel),
    MessageKind("parcel-on-its-last-try", LAST_PARCEL, LAST_PARCEL.sealed(), _read_parcel),
    MessageKind("parcel-with-a-trip", TRIP_PARCEL, TRIP_PARCEL.sealed(), _read_parcel),
)
# What rows hold by name or by value: an older version cannot read a word that it does not know.
WORDS: Final[tuple[type[StrEnum], ...]] = (
    Action,
    EntryKind,
    Outcome,
    Product,
    PurchaseKind,
    Standing,
    State,
    SweepMode,
    SweepState,
    SweepVerdict,
)
