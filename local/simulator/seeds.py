"""The customers that a simulator starts with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Final

from local.simulator.state.accounts import Account
from local.simulator.state.products import ProductKind
from local.simulator.state.world import World

DELETED: Final = "deleted"
STUCK: Final = "stuck"
REFUSED: Final = "refused"

_SEED_NUMBER: Final = 20
_SANDBOX_CUSTOMERS: Final = 75
_PRODUCTION_CUSTOMERS: Final = 120
_SLOW_EVERY: Final = 5


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order to add, with options for Customer.add_order."""

    kind: ProductKind
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A customer: its label, its purchases, and how its deletion is expected to end."""

    label: str
    purchases: tuple[Purchase, ...]
    expected: str = DELETED
    domain_prefix: str = "tipdemo"


_ONE_OF_EACH: Final = (
    Recipe("reserved instance", (Purchase(ProductKind.RESERVED_INSTANCE),)),
    Recipe("perpetual software", (Purchase(ProductKind.PERPETUAL_SOFTWARE),)),
    Recipe("software subscription", (Purchase(ProductKind.SOFTWARE_SUBSCRIPTION),)),
    Recipe("NCE licences", (Purchase(ProductKind.NCE_LICENCES, {"quantity": 5}),)),
    Recipe("marketplace SaaS", (Purchase(ProductKind.MARKETPLACE_SAAS, {"activated": False}),)),
    Recipe("Azure plan", (Purchase(ProductKind.AZURE_PLAN, {"azure_subscriptions": 2}),)),
    Recipe("legacy licences", (Purchase(ProductKind.LEGACY_LICENCES, {"quantity": 5}),)),
    Recipe("savings plan", (Purchase(ProductKind.SAVINGS_PLAN),), STUCK),
)
_SPECIAL: Final = (
    Recipe("protected", (Purchase(ProductKind.PERPETUAL_SOFTWARE),), REFUSED, "keep-demo"),
    Recipe(
        "reserved instance, over 60 days old",
        (Purchase(ProductKind.RESERVED_INSTANCE, {"age_days": 70.0}),),
        STUCK,
    ),
    Recipe(
        "NCE licences, window passed", (Purchase(ProductKind.NCE_LICENCES, {"age_days": 30.0}),)
    ),
    Recipe("nothing bought", ()),
)
_MIXABLE: Final = tuple(kind for kind in ProductKind if kind is not ProductKind.SAVINGS_PLAN)
_SLOW: Final = tuple(
    kind for kind in _MIXABLE if kind not in {ProductKind.AZURE_PLAN, ProductKind.LEGACY_LICENCES}
)


Seed = Callable[[Random, Account, Account], None]


def seed_named(name: str) -> Seed:
    """Return a seed by its name; raises ValueError for an unknown name."""
    if name not in SEEDS:
        message = f"unknown seed {name!r}: expected one of {', '.join(SEEDS)}"
        raise ValueError(message)
    return SEEDS[name]


def create_customers(seed: Seed, world: World, sandbox: Account, production: Account) -> None:
    """Create the customers of a seed, with the same IDs every time."""
    unseeded, world.random = world.random, Random(_SEED_NUMBER)  # noqa: S311 - test data
    seed(world.random, sandbox, production)
    world.random = unseeded


def _empty(_random: Random, _sandbox: Account, _production: Account) -> None:
    """Create no customers."""


def _small(_random: Random, sandbox: Account, _production: Account) -> None:
    _create(sandbox, _ONE_OF_EACH)


def _full(random: Random, sandbox: Account, _production: Account) -> None:
    fixed = (*_SPECIAL, *_ONE_OF_EACH)
    mixed = [_mixed(random, number) for number in range(_SANDBOX_CUSTOMERS - len(fixed))]
    _create(sandbox, (*fixed, *mixed))


def _production(random: Random, _sandbox: Account, production: Account) -> None:
    _create(production, [_large(random) for _ in range(_PRODUCTION_CUSTOMERS)])


SEEDS: Final[Mapping[str, Seed]] = MappingProxyType(
    {"empty": _empty, "small": _small, "full": _full, "production": _production}
)


def _mixed(random: Random, number: int) -> Recipe:
    slow = number % _SLOW_EVERY == 0
    kinds = random.choices(_SLOW if slow else _MIXABLE, k=random.randint(1, 5))
    purchases = tuple(Purchase(kind, _options(random, kind, slow=slow)) for kind in kinds)
    names = ", ".join(sorted({kind.replace("_", " ") for kind in kinds}))
    return Recipe(f"{names}, slow" if slow else names, purchases)


def _options(random: Random, kind: ProductKind, *, slow: bool) -> dict[str, Any]:
    """Stay within the sandbox limits and within each kind's cancellation window."""
    oldest = 6 if kind is ProductKind.NCE_LICENCES else 50
    options: dict[str, Any] = {"age_days": random.uniform(1, oldest), "quantity": 1}
    if kind in {ProductKind.NCE_LICENCES, ProductKind.LEGACY_LICENCES}:
        options["quantity"] = random.randint(1, 25)
    if kind is ProductKind.AZURE_PLAN:
        options["azure_subscriptions"] = random.randint(1, 3)
    if kind is ProductKind.MARKETPLACE_SAAS:
        options["activated"] = random.random() < 0.5  # noqa: PLR2004 - half of them
    if slow:
        options["cancel_after_seconds"] = random.uniform(5, 25)
    return options


def _large(random: Random) -> Recipe:
    licences = Purchase(
        ProductKind.NCE_LICENCES,
        {"quantity": random.randint(26, 300), "age_days": random.uniform(1, 300)},
    )
    software = Purchase(ProductKind.PERPETUAL_SOFTWARE, {"age_days": random.uniform(1, 300)})
    return Recipe("production", (licences, software), REFUSED, "customer")


def _create(account: Account, recipes: Sequence[Recipe]) -> None:
    for number, recipe in enumerate(recipes, start=1):
        customer = account.add_customer(
            f"{recipe.domain_prefix}{number:03d}.onmicrosoft.com", label=recipe.label
        )
        customer.expected = recipe.expected
        for purchase in recipe.purchases:
            customer.add_order(purchase.kind, **purchase.options)
