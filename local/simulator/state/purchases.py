"""Customers and what they bought: orders, subscriptions, Azure subscriptions."""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.simulator.state.changing_status import ChangingStatus, Delay
from local.simulator.state.products import PRODUCTS, OrderId, Product, ProductKind
from local.simulator.state.world import World


class Customer:
    """A customer of one partner account."""

    def __init__(
        self, world: World, *, tenant_id: str, domain: str, company_name: str, label: str
    ) -> None:
        self._world = world
        self._orders: list[Order] = []
        self.tenant_id = tenant_id
        self.domain = domain
        self.company_name = company_name
        self.label = label
        self.expected = "deleted"
        self.commerce_id = world.guid()
        self.deleted = False

    @property
    def orders(self) -> "tuple[Order, ...]":
        """Every order, in the order in which they were added."""
        with self._world.lock:
            return tuple(self._orders)

    @property
    def subscriptions(self) -> "tuple[Subscription, ...]":
        """The subscriptions of all orders."""
        return tuple(order.subscription for order in self.orders if order.subscription is not None)

    def add_order(
        self,
        kind: ProductKind,
        *,
        age_days: float = 1.0,
        quantity: int = 1,
        lines: int = 1,
        cancel_after_polls: int | None = None,
        cancel_after_seconds: float | None = None,
        activated: bool = True,
        azure_subscriptions: int = 1,
        status: str = "completed",
        subscription_status: str = "active",
    ) -> "Order":
        """Add a purchase made `age_days` ago, with a subscription if its kind has one.

        `cancel_after_polls` and `cancel_after_seconds` set how long its cancellation takes; None
        leaves that to the behaviour. `activated` applies to marketplace SaaS,
        `azure_subscriptions` to an Azure plan, `lines` to orders cancelled line by line.
        """
        with self._world.lock:
            order = Order(
                self._world,
                self,
                kind,
                created=self._world.clock.now() - timedelta(days=age_days),
                quantities=[quantity] * lines,
                status=status,
            )
            order.cancel_after_polls = cancel_after_polls
            order.cancel_after_seconds = cancel_after_seconds
            if order.has_subscription:
                order.subscription = Subscription(
                    self._world,
                    order,
                    quantity=quantity,
                    status=subscription_status,
                    activated=activated or kind is not ProductKind.MARKETPLACE_SAAS,
                    azure_subscriptions=(
                        azure_subscriptions if kind is ProductKind.AZURE_PLAN else 0
                    ),
                )
            self._orders.append(order)
            return order


@dataclass
class Line:
    """One line of an order; a cancelled line has quantity 0."""

    number: int
    offer_id: str
    quantity: int


class Order:
    """A purchase."""

    def __init__(
        self,
        world: World,
        customer: Customer,
        kind: ProductKind,
        *,
        created: datetime,
        quantities: list[int],
        status: str,
    ) -> None:
        self._world = world
        self._status = ChangingStatus(world.clock, status, self._settled)
        self.customer = customer
        self.kind = kind
        self.created = created
        self.short_id = world.short_id()
        self.id = _order_id(world, self.product, self.short_id)
        self.product_id = f"ZZ{world.short_id()[:10].upper()}"
        self.lines = [
            Line(number, f"{self.product_id}:{number + 1:04d}:ZZ7GMGF0AAAA", quantity)
            for number, quantity in enumerate(quantities)
        ]
        self.subscription: Subscription | None = None
        self.cancel_after_polls: int | None = None
        self.cancel_after_seconds: float | None = None
        if status == "cancelled":
            self._settled(status)

    @property
    def product(self) -> Product:
        """The rules of its kind."""
        return PRODUCTS[self.kind]

    @property
    def has_subscription(self) -> bool:
        """Whether a purchase of its kind is listed as a subscription."""
        if self.kind is ProductKind.SAVINGS_PLAN:
            return self._world.behaviour.savings_plan_subscriptions
        return self.product.subscription_statuses is not None

    @property
    def reference_id(self) -> str:
        """The ID that subscriptions and entitlements use for this order."""
        behaviour = self._world.behaviour
        reference = self.short_id if behaviour.references_by_alternate_id else self.id
        return reference.upper() if behaviour.references_in_capitals else reference

    @property
    def status(self) -> str:
        """The current status; reading it here does not count as a poll."""
        with self._world.lock:
            return self._shown(self._status.now)

    @property
    def etag(self) -> str | None:
        """The version of a legacy order; None for other kinds."""
        return _etag(self._world, self.product, self.id, self._status.version)

    @property
    def age(self) -> timedelta:
        """The time since the purchase."""
        return self._world.clock.now() - self.created

    @property
    def cancellation_delay(self) -> Delay:
        """How long cancelling this order takes."""
        behaviour = self._world.behaviour
        polls, seconds = self.cancel_after_polls, self.cancel_after_seconds
        return Delay(
            behaviour.cancel_after_polls.get(self.kind, 0) if polls is None else polls,
            behaviour.cancel_after_seconds.get(self.kind, 0.0) if seconds is None else seconds,
        )

    def read(self) -> str:
        """Return the status for an API read, which counts as a poll."""
        return self._shown(self._status.read())

    def cancel(self, line_numbers: set[int]) -> None:
        """Cancel these lines; the order is cancelled with its last line."""
        left = [line for line in self.lines if line.number not in line_numbers and line.quantity]
        if not left:
            self._status.change("cancelled", self.cancellation_delay)
            return
        for line in self.lines:
            if line.number in line_numbers:
                line.quantity = 0

    def _shown(self, status: str) -> str:
        # Read on each call, because a subscription can reach `deleted` without touching its order.
        follows = self._world.behaviour.order_cancelled_with_subscriptions
        if follows and self.subscription and self.subscription.status == "deleted":
            return "cancelled"
        return status

    def _settled(self, status: str) -> None:
        if status != "cancelled":
            return
        for line in self.lines:
            line.quantity = 0
        if self.subscription:
            self.subscription.change("deleted", Delay())


class Subscription:
    """The subscription of an order: licences, SaaS, subscription software or an Azure plan."""

    def __init__(
        self,
        world: World,
        order: Order,
        *,
        quantity: int,
        status: str,
        activated: bool,
        azure_subscriptions: int,
    ) -> None:
        self._world = world
        self._status = ChangingStatus(world.clock, status)
        self.order = order
        self.id = world.guid()
        self.quantity = quantity
        self.activated = activated
        self.azure_subscriptions = tuple(
            AzureSubscription(world, f"Azure subscription {number + 1}")
            for number in range(azure_subscriptions)
        )

    @property
    def status(self) -> str:
        """The current status; reading it here does not count as a poll."""
        with self._world.lock:
            return self._status.now

    @property
    def etag(self) -> str | None:
        """The version of a legacy subscription; None for other kinds."""
        return _etag(self._world, self.order.product, self.id, self._status.version)

    @property
    def cancellable_until(self) -> datetime | None:
        """The end of the NCE cancellation window; None for other kinds."""
        if self.order.kind is not ProductKind.NCE_LICENCES:
            return None
        return self.order.created + timedelta(days=self._world.behaviour.nce_window_days)

    def read(self) -> str:
        """Return the status for an API read, which counts as a poll."""
        return self._status.read()

    def change(self, status: str, delay: Delay) -> None:
        """Change to another status, at once or after the delay."""
        self._status.change(status, delay)


class AzureSubscription:
    """An Azure subscription under an Azure plan (an azureEntitlement)."""

    def __init__(self, world: World, friendly_name: str) -> None:
        self._world = world
        self._inactive_at: datetime | None = None
        self.id = world.guid()
        self.friendly_name = friendly_name

    @property
    def status(self) -> str:
        """`active`, or `inactive` some time after the cancellation."""
        ended = self._inactive_at
        return "active" if ended is None or self._world.clock.now() < ended else "inactive"

    def cancel(self) -> None:
        """Start the cancellation; calling it again has no effect."""
        if self._inactive_at is None:
            delay = timedelta(seconds=self._world.behaviour.azure_cancel_seconds)
            self._inactive_at = self._world.clock.now() + delay


def _order_id(world: World, product: Product, short_id: str) -> str:
    if product.order_id is OrderId.SHORT:
        return short_id
    return world.guid() if product.order_id is OrderId.GUID else world.long_id()


def _etag(world: World, product: Product, resource_id: str, version: int) -> str | None:
    if not (product.legacy and world.behaviour.legacy_etags):
        return None
    return base64.b64encode(f"{resource_id}:{version}".encode()).decode()
