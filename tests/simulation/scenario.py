"""What a seed draws: the account and its customers, the processes, and what people do, and when."""

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from local.simulator import Behaviour, Customer, Order, ProductKind
from local.simulator.state.behaviour import (
    BlockedDelete,
    CancelledEntitlement,
    CancelledOrder,
    CodeType,
    ErrorBody,
    ProductionDelete,
    RetryAfter,
    TooOldOrder,
    UnknownCustomer,
    UnknownDelete,
)
from tests.simulation.clock import START
from tests.simulation.faults import Faults, Kind
from tests.simulation.partner_center import Sandbox

HOUR: Final = 3600.0
FOR_EVER: Final = 1e9
_LATE_CALM: Final = 0.08
_LARGEST_SKEW: Final = 900
# A look a minute for hours costs much and shows little.
_LONGEST_DELAYS: Final = {True: (60, 300, 300, 900), False: (300, 300, 600, 900)}
_KINDS: Final = tuple(ProductKind)
_JUNK: Final = (
    "not a tenant",
    "",
    "[]",
    "{",
    '{"tenantId": 5}',
    '{"tenantId": "%s", "dryRun": "true"}',
    '{"tenantId": "%s", "force": true}',
    '{"tenantId": "%s", "requestedBy": 7}',
)


@dataclass(frozen=True, slots=True)
class Span:
    """When trouble begins and how long it lasts, in seconds; `begins` is None for any moment."""

    begins: float | None
    seconds: float

    @property
    def ends(self) -> float:
        """When it ends, 0 if nobody knows when it begins."""
        return 0.0 if self.begins is None else self.begins + self.seconds


@dataclass(slots=True)
class Scenario:
    """Everything that is decided before the run."""

    deadline: float
    calm_at: float
    settings: dict[str, str]
    skews: tuple[float, ...]
    customers: tuple[Customer, ...]
    protected: tuple[str, ...]
    strangers: tuple[str, ...]


def behaviour(stream: Random, faults: Faults) -> Behaviour:
    """Draw how Partner Center behaves where its documentation is silent."""

    def one_of(*choices: Any) -> Any:
        return choices[0] if stream.random() < 0.6 else stream.choice(choices)

    # A token that lives less long than a clock is wrong has expired for it; real ones live an hour.
    lifetime = stream.randint(90, 900) + (_LARGEST_SKEW if faults.may(Kind.CLOCK_SKEW) else 0)
    return Behaviour(
        requests_per_minute=None,
        retry_after=one_of(*RetryAfter),
        token_lifetime_seconds=lifetime if faults.has(Kind.SHORT_TOKENS) else 3599,
        byte_order_mark=one_of(True, False),
        error_code_type=one_of(*CodeType),
        error_body=one_of(*[ErrorBody.SERVICE] * 6, ErrorBody.GATEWAY, ErrorBody.EMPTY),
        next_link_version=one_of(False, True),
        references_by_alternate_id=one_of(False, True),
        legacy_etags=one_of(True, False),
        subscription_patch_accepted=one_of(False, True),
        azure_cancel_seconds=one_of(0.2, 60.0, 600.0),
        azure_cancel_status=one_of(200, 202),
        nce_window_enforced=one_of(True, False),
        too_old_order=one_of(*TooOldOrder),
        cancelled_order=one_of(*CancelledOrder),
        order_cancelled_with_subscriptions=one_of(False, True),
        cancelled_entitlement=one_of(*CancelledEntitlement),
        app_only_entitlements=one_of(False, True),
        blocked_delete=one_of(*BlockedDelete),
        unknown_delete=one_of(*UnknownDelete),
        unknown_customer=one_of(*UnknownCustomer),
        production_delete=one_of(*ProductionDelete),
        suspended_nce_blocks=one_of(False, True),
        replay_request_ids=one_of(True, False),
    )


def draw(stream: Random, faults: Faults, sandbox: Sandbox) -> Scenario:
    """Draw a scenario and fill the account."""
    hours = stream.choice((1, 1, 1, 2, 4))
    customers = tuple(
        stocked(stream, faults, sandbox, number) for number in range(stream.choice((1, 1, 2, 2, 3)))
    )
    foreign = sandbox.foreign.add_customer("elsewhere.onmicrosoft.com")
    protected = tuple(c.tenant_id for c in customers[1:] if stream.random() < 0.1)
    processes = stream.choice((1, 1, 2, 2, 3))
    deadline = hours * HOUR
    return Scenario(
        deadline=deadline,
        calm_at=_calm_at(stream, deadline),
        settings=settings(stream, faults, hours, protected),
        skews=tuple(_skew(faults) for _ in range(processes)),
        customers=customers,
        protected=protected,
        strangers=(foreign.tenant_id, sandbox.world.guid()),
    )


def _calm_at(stream: Random, deadline: float) -> float:
    """Return when single faults stop; in few seeds they go on until a deadline or beyond it."""
    early, late = stream.uniform(300, 2400), stream.uniform(2400, deadline + 1800)
    return late if stream.random() < _LATE_CALM else early


def span(stream: Random, deadline: float) -> Span:
    """Draw how long trouble lasts; it may meet a deadline, or be longer than one."""
    choice = stream.random()
    if choice < 0.4:
        return Span(None, stream.uniform(3, 90))
    if choice < 0.75:
        return Span(None, stream.uniform(90, 1500))
    begins = stream.uniform(0, 60 if choice < 0.85 else deadline)
    return Span(begins, deadline + stream.uniform(60, 3600) - begins)


def settings(
    stream: Random, faults: Faults, hours: int, protected: Sequence[str]
) -> dict[str, str]:
    """Draw the settings that all processes share."""
    drawn = {
        "DELETION_DEADLINE_HOURS": str(hours),
        "CHECK_FIRST_DELAY_SECONDS": str(stream.choice((1, 5, 5, 20))),
        "CHECK_MAX_DELAY_SECONDS": str(stream.choice(_LONGEST_DELAYS[hours == 1])),
        "PROTECTED_TENANTS": ", ".join(protected) or "none",
    }
    if stream.random() < 0.1:
        drawn["PARTNER_CENTER_RATE_LIMIT_PER_MINUTE"] = str(stream.choice((10, 30)))
    if faults.has(Kind.SWEEP):
        days = faults.streams[Kind.SWEEP].choice((0, 2, 7))
        drawn |= {"SWEEP_MODE": "delete", "SWEEP_MIN_AGE_DAYS": str(days)}
    return drawn


def stocked(stream: Random, faults: Faults, sandbox: Sandbox, number: int) -> Customer:
    """Add a customer with purchases."""
    customer = sandbox.account.add_customer(f"customer{number}.onmicrosoft.com")
    for _ in range(stream.choice((0, 1, 1, 1, 2, 2, 3))):
        buy(stream, faults, customer)
    return customer


def buy(stream: Random, faults: Faults, customer: Customer) -> Order:
    """Add a purchase to a customer; it may be hard to cancel."""
    kind = stream.choice(_KINDS)
    if kind is ProductKind.SAVINGS_PLAN and stream.random() < 0.7:
        kind = ProductKind.NCE_LICENCES
    order = customer.add_order(
        kind,
        age_days=stream.choice((0.01, 1.0, 3.0, 3.0, 6.9, 20.0, 59.99, 70.0)),
        quantity=stream.choice((1, 1, 5, 25)),
        activated=stream.random() < 0.7,
        azure_subscriptions=stream.choice((0, 1, 1, 2)),
    )
    slow = faults.streams[Kind.SLOW_CANCELLATION]
    if faults.strikes(Kind.SLOW_CANCELLATION):
        if slow.random() < 0.5:
            order.cancel_after_polls = slow.randint(1, 4)
        else:
            order.cancel_after_seconds = slow.uniform(5, 1500)
    if faults.strikes(Kind.ENDLESS_CANCELLATION):
        order.cancel_after_seconds = FOR_EVER
    if faults.strikes(Kind.DEAF_ORDER):
        order.cancel = lambda _lines: None  # type: ignore[assignment, method-assign]
    return order


def drop_text(stream: Random, tenant: str) -> str:
    """Return a request in one of the forms that people use."""
    written = stream.choice((tenant, tenant.upper(), "{" + tenant + "}"))
    form = stream.randrange(4)
    text = (
        written,
        json.dumps(written),
        json.dumps({"tenantId": written, "requestedBy": "somebody"}),
        json.dumps({"tenantId": written, "dryRun": False}),
    )[form]
    return b64encode(text.encode()).decode() if stream.random() < 0.25 else text


def several_text(
    stream: Random, tenants: Sequence[str], *, bad: bool, dry: Collection[str] = ()
) -> str:
    """Return a request for several customers in one of the forms that people use.

    A bad one has an entry that is no tenant ID, so none of them may be deleted. Only one of the
    forms can ask for a dry run, so it is taken if some are `dry`.
    """
    entries = [stream.choice((tenant, tenant.upper(), "{" + tenant + "}")) for tenant in tenants]
    if bad:
        entries.insert(stream.randint(0, len(entries)), "not a tenant")
    objects = [{"tenantId": entry, "requestedBy": "somebody"} for entry in entries]
    if dry:
        text = json.dumps([_perhaps_dry(each, dry) for each in objects])
        return b64encode(text.encode()).decode() if stream.random() < 0.25 else text
    form = stream.randrange(5)
    text = (
        "\n".join(entries),
        "\r\n".join([*entries, ""]),
        ", ".join(entries),
        json.dumps(entries),
        json.dumps([stream.choice(pair) for pair in zip(entries, objects, strict=True)]),
    )[form]
    return b64encode(text.encode()).decode() if stream.random() < 0.25 else text


def _perhaps_dry(request: dict[str, str], dry: Collection[str]) -> dict[str, str | bool]:
    return {**request, "dryRun": request["tenantId"].strip("{}").lower() in dry}


def junk(stream: Random, tenant: str) -> str:
    """Return a message that is not a valid request."""
    text = stream.choice(_JUNK)
    return text % tenant if "%s" in text else text


def dry_run_text(tenant: str) -> str:
    """Return a request for a dry run."""
    return json.dumps({"tenantId": tenant, "dryRun": True})


def truth(customer: Customer, sandbox: Sandbox) -> dict[str, str]:
    """Return the truth about a customer: whether it is deleted, and how each purchase stands."""
    created = min((each.created for each in customer.orders), default=None)
    purchases = [_standing(sandbox.world.behaviour, each) for each in customer.orders]
    return {
        "tenant": customer.tenant_id,
        "deleted": str(customer.deleted),
        "age_days": "" if created is None else str((sandbox.world.clock.now() - created).days),
        "purchases": json.dumps(purchases),
    }


def _standing(behaviour: Behaviour, order: Order) -> dict[str, Any]:
    """Return how a purchase stands, by the simulator's own rules.

    No call cancels it after the second `never_from` of the run, if that is set. One that is
    `endless` was perhaps cancelled, but will never show it.
    """
    subscription = order.subscription
    azure = subscription.azure_subscriptions if subscription else ()
    ids = [order.id, order.short_id, *([subscription.id] if subscription else [])]
    return {
        "ids": [*ids, *(each.id for each in azure)],
        "kind": order.kind,
        "status": f"{order.status}, {subscription.status}" if subscription else order.status,
        "blocks": _blocks(behaviour, order),
        "never_from": _never_from(behaviour, order),
        "endless": order.cancel_after_seconds == FOR_EVER or "cancel" in vars(order),
    }


def _blocks(behaviour: Behaviour, order: Order) -> bool:
    """Return whether an order keeps its customer from being deleted, as the simulator decides."""
    if order.product.software or order.subscription is None:
        return order.status != "cancelled"
    status = order.subscription.status
    if status == "suspended" and order.kind is ProductKind.NCE_LICENCES:
        return behaviour.suspended_nce_blocks
    return status in {"active", "pending"} and behaviour.active_subscription_blocks


def _never_from(behaviour: Behaviour, order: Order) -> float | None:
    """Return from which second on no call cancels a purchase; None if one always does."""
    if order.kind is ProductKind.SAVINGS_PLAN:
        return 0.0
    if order.subscription is None or order.product.software:
        until = order.created + timedelta(days=behaviour.order_cancellable_days)
    elif order.subscription.cancellable_until and behaviour.nce_window_enforced:
        until = order.subscription.cancellable_until
    else:
        return None
    return max(0.0, (until - START).total_seconds())


def _skew(faults: Faults) -> float:
    stream = faults.streams[Kind.CLOCK_SKEW]
    if not faults.has(Kind.CLOCK_SKEW):
        return 0.0
    largest = stream.choice((2.0, 30.0, float(_LARGEST_SKEW)))
    return stream.uniform(-largest, largest)


@dataclass(slots=True)
class Agenda:
    """What happens at which call; what is left happens at the end."""

    acts: dict[int, list[Callable[[], None]]] = field(default_factory=dict)

    def add(self, call: int, act: Callable[[], None]) -> None:
        """Let something happen at the call with this number."""
        self.acts.setdefault(call, []).append(act)

    def due(self, call: int) -> list[Callable[[], None]]:
        """Remove and return what happens at this call."""
        return self.acts.pop(call, [])

    def rest(self) -> list[Callable[[], None]]:
        """Remove and return what is left."""
        left = [act for call in sorted(self.acts) for act in self.acts[call]]
        self.acts.clear()
        return left
