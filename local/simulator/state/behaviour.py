"""How the simulator behaves where Partner Center varies, or where Microsoft is silent."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from local.simulator.state.products import ProductKind


class RetryAfter(StrEnum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"


class CodeType(StrEnum):
    """The JSON type of `code` in a service error."""

    INTEGER = "integer"
    STRING = "string"


class ErrorBody(StrEnum):
    """What stands in the body of a refusal."""

    SERVICE = "service"
    GATEWAY = "gateway"
    EMPTY = "empty"


class BlockedDelete(StrEnum):
    """Status and code of a DELETE that something still blocks."""

    BAD_REQUEST = "400/800002"
    FORBIDDEN = "403/900150"
    CONFLICT = "409/800014"


class UnknownCustomer(StrEnum):
    """Status and code for a customer that is not there (any more)."""

    TENANT_NOT_FOUND = "404/60003"
    NOT_FOUND = "404/1000"
    NO_RELATIONSHIP = "403/900159"
    NO_COMMERCE = "403/20002"
    GATEWAY = "404/gateway"


class UnknownDelete(StrEnum):
    """Status and code of a DELETE of a customer that is not there (any more)."""

    TENANT_NOT_FOUND = "404/60003"
    NO_RELATIONSHIP = "403/900159"
    GATEWAY = "404/gateway"
    NO_CONTENT = "204"


class ProductionDelete(StrEnum):
    """Status and code of a DELETE with credentials of a production account."""

    NOT_SUPPORTED = "400/900127"
    FORBIDDEN = "403/900150"


class TooOldOrder(StrEnum):
    """Status and code of cancelling an order older than 60 days."""

    NOT_CANCELLABLE = "400/800061"
    WINDOW_PASSED = "400/900117"


class CancelledOrder(StrEnum):
    """Status and code of cancelling an order that is cancelled already."""

    OK = "200"
    NOT_CANCELLABLE = "400/800061"


class CancelledEntitlement(StrEnum):
    """What the list of entitlements shows of a cancelled order."""

    ABSENT = "absent"
    QUANTITY_ZERO = "quantity_zero"


class BehaviourError(ValueError):
    """A behaviour was named that does not exist, or a value that it cannot take."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Everything that can be switched, with its default.

    Members marked `invented` stand for what Microsoft does not document; each says what is
    unknown.
    """

    latency_ms: int = 0
    """Milliseconds before each answer."""
    requests_per_minute: int | None = 500
    """Calls per partner tenant in any 60 seconds; None switches throttling off."""
    retry_after: RetryAfter = RetryAfter.SECONDS
    """The documented form is seconds; the HTTP date and no header are other readings."""
    token_lifetime_seconds: int = 3599
    """Seconds that an access token is good for, by the machine's clock."""
    refresh_token_lifetime_days: int = 90
    """Days that a refresh token is good for, by the simulator's clock."""
    user_tokens_have_mfa: bool = True
    """Whether `amr` of a user's token says mfa; without it Partner Center answers 401/900421."""
    byte_order_mark: bool = True
    """Whether JSON answers begin with the UTF-8 byte order mark."""
    error_code_type: CodeType = CodeType.INTEGER
    """invented: documented as string, seen as integer."""
    error_body: ErrorBody = ErrorBody.SERVICE
    """The form of refusals; gateway and empty bodies were both seen."""
    customers_page_size: int = 500
    """The most customers on one page, whatever `size` asks for."""
    next_link_version: bool = False
    """Whether `links.next.uri` begins with /v1, as it does since November 2021."""
    next_link_host: str | None = None
    """An attack: scheme and host to put before `links.next.uri`."""
    references_by_alternate_id: bool = False
    """Whether subscriptions and entitlements name their order by its alternate ID."""
    order_list_lag_seconds: float = 0.0
    """Seconds that a new order is missing in the list of orders; DELETE sees it at once."""
    legacy_etags: bool = True
    """Whether legacy orders and subscriptions carry an etag, and If-Match is compared with it."""
    cancel_after_polls: Mapping[ProductKind, int] = field(default_factory=dict)
    """invented: reads, by kind, that still show `pending` after the cancellation; default 0."""
    cancel_after_seconds: Mapping[ProductKind, float] = field(default_factory=dict)
    """invented: seconds, by kind, that a cancellation takes; default 0."""
    subscription_patch_accepted: bool = False
    """Whether PATCH of a subscription answers 202 with Location even when it is done at once."""
    azure_cancel_seconds: float = 0.2
    """Seconds from cancelling an Azure subscription to `inactive`; really about 10 minutes."""
    azure_cancel_status: int = 200
    """200 by the page's example, 202 by the REST reference."""
    order_cancellable_days: float = 60.0
    """Age in days at which an order of the sandbox can no longer be cancelled."""
    nce_window_days: float = 7.0
    """Days in which an NCE subscription can be cancelled."""
    nce_window_enforced: bool = True
    """invented: whether the sandbox enforces the window of 7 days."""
    too_old_order: TooOldOrder = TooOldOrder.NOT_CANCELLABLE
    """invented: which error tells that an order is over 60 days old."""
    cancelled_order: CancelledOrder = CancelledOrder.OK
    """invented: what cancelling a cancelled order answers."""
    order_cancelled_with_subscriptions: bool = False
    """invented: whether an order reads `cancelled` once all its subscriptions are deleted."""
    cancelled_entitlement: CancelledEntitlement = CancelledEntitlement.ABSENT
    """invented: whether a cancelled purchase leaves the entitlements or stays with quantity 0."""
    app_only_entitlements: bool = False
    """invented: whether entitlements can be read app-only; else 403/900329."""
    blocked_delete: BlockedDelete = BlockedDelete.BAD_REQUEST
    """invented: status and code of a DELETE while an order is not cancelled."""
    unknown_delete: UnknownDelete = UnknownDelete.TENANT_NOT_FOUND
    """invented: what DELETE of an unknown or already deleted customer answers."""
    unknown_customer: UnknownCustomer = UnknownCustomer.TENANT_NOT_FOUND
    """invented: what any other call on an unknown or deleted customer answers."""
    production_delete: ProductionDelete = ProductionDelete.NOT_SUPPORTED
    """invented: what DELETE answers to a production account."""
    active_subscription_blocks: bool = True
    """invented: whether an active subscription blocks DELETE as an order does."""
    suspended_nce_blocks: bool = False
    """invented: whether a suspended NCE subscription blocks DELETE."""
    replay_request_ids: bool = True
    """invented: whether a repeated MS-RequestId on a write gets the first answer again."""


def changed(behaviour: Behaviour, changes: Mapping[str, object]) -> Behaviour:
    """Return the behaviour with members replaced by JSON values; raises BehaviourError."""
    hints = get_type_hints(Behaviour)
    unknown = sorted(set(changes) - set(hints))
    if unknown:
        message = f"unknown behaviour {', '.join(unknown)}: expected one of {', '.join(hints)}"
        raise BehaviourError(message)
    typed: dict[str, Any] = {
        name: _typed(name, hints[name], value) for name, value in changes.items()
    }
    return replace(behaviour, **typed)


def _typed(name: str, hint: Any, value: object) -> object:  # noqa: ANN401 - a type hint
    choices = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)
    for choice in choices:
        try:
            return _as(choice, value)
        except ValueError:
            continue
    message = f"behaviour {name} cannot be {value!r}: expected {_described(choices)}"
    raise BehaviourError(message)


def _as(choice: Any, value: object) -> object:  # noqa: ANN401 - a type
    if get_origin(choice) is Mapping:
        return _by_kind(get_args(choice)[1], value)
    if issubclass(choice, StrEnum):
        return choice(str(value))
    if choice is float and type(value) is int:
        return float(value)
    if type(value) is choice:
        return value
    raise ValueError(value)


def _by_kind(number: type, value: object) -> dict[ProductKind, object]:
    if not isinstance(value, dict):
        raise ValueError(value)  # noqa: TRY004 - the caller tries the next type on ValueError
    return {ProductKind(kind): _as(number, amount) for kind, amount in value.items()}


def _described(choices: tuple[Any, ...]) -> str:
    return " or ".join(
        "/".join(map(repr, map(str, choice)))
        if isinstance(choice, type) and issubclass(choice, StrEnum)
        else str(choice)
        for choice in choices
    )
