"""How the simulator behaves where Partner Center varies or is not documented."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from local.simulator.state.products import ProductKind


class RetryAfter(StrEnum):
    """How a 429 says when to retry."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"


class CodeType(StrEnum):
    """The JSON type of `code` in a service error."""

    INTEGER = "integer"
    STRING = "string"


class ErrorBody(StrEnum):
    """The form of an error body."""

    SERVICE = "service"
    GATEWAY = "gateway"
    EMPTY = "empty"


class BlockedDelete(StrEnum):
    """Status and code of a DELETE that a purchase still blocks."""

    BAD_REQUEST = "400/800002"
    FORBIDDEN = "403/900150"
    CONFLICT = "409/800014"


class UnknownCustomer(StrEnum):
    """Status and code for an unknown or deleted customer."""

    TENANT_NOT_FOUND = "404/60003"
    NOT_FOUND = "404/1000"
    NO_RELATIONSHIP = "403/900159"
    NO_COMMERCE = "403/20002"
    GATEWAY = "404/gateway"


class UnknownDelete(StrEnum):
    """Status and code of a DELETE of an unknown or deleted customer."""

    TENANT_NOT_FOUND = "404/60003"
    NO_RELATIONSHIP = "403/900159"
    GATEWAY = "404/gateway"
    NO_CONTENT = "204"


class ProductionDelete(StrEnum):
    """Status and code of a DELETE with the credentials of a production account."""

    NOT_SUPPORTED = "400/900127"
    FORBIDDEN = "403/900150"


class TooOldOrder(StrEnum):
    """Status and code of cancelling an order older than 60 days."""

    NOT_CANCELLABLE = "400/800061"
    WINDOW_PASSED = "400/900117"


class CancelledOrder(StrEnum):
    """Status and code of cancelling an order that is already cancelled."""

    OK = "200"
    NOT_CANCELLABLE = "400/800061"


class CancelledEntitlement(StrEnum):
    """How the list of entitlements shows a cancelled order."""

    ABSENT = "absent"
    QUANTITY_ZERO = "quantity_zero"


class AppOnlyEntitlements(StrEnum):
    """Status and code of the list of entitlements with an app-only token."""

    NOT_SUPPORTED = "403/900329"
    UNEXPECTED = "500/800003"


class SignsIn(StrEnum):
    """Who signs in at the sign-in page."""

    MEMBER = "member"
    GUEST = "guest"
    NOBODY = "nobody"


class BehaviourError(ValueError):
    """An unknown behaviour, or a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The options of the simulator, with their defaults.

    Microsoft does not document the behaviours marked `invented`; each says what is unknown.
    """

    latency_ms: int = 0
    """Milliseconds before each response, at least."""
    latency_up_to_ms: int = 0
    """Milliseconds before a response, at most; drawn evenly. 0: all take `latency_ms`."""
    requests_per_minute: int | None = 500
    """Calls per partner tenant in any 60 seconds; None disables throttling."""
    retry_after: RetryAfter = RetryAfter.SECONDS
    """Seconds are documented; a client should also cope with an HTTP date or no header."""
    token_lifetime_seconds: int = 3599
    """Lifetime of an access token in seconds, by the machine's clock."""
    refresh_token_lifetime_days: int = 90
    """Lifetime of a refresh token in days, by the simulated clock."""
    user_tokens_have_mfa: bool = True
    """Whether a user's token has mfa in `amr`; without it Partner Center returns 401/900421."""
    signs_in: SignsIn = SignsIn.MEMBER
    """A member of the tenant, a guest from another one, or a person who declines the consent."""
    byte_order_mark: bool = True
    """Whether JSON responses start with the UTF-8 byte order mark."""
    error_code_type: CodeType = CodeType.INTEGER
    """invented: documented as a string, observed as an integer."""
    error_body: ErrorBody = ErrorBody.SERVICE
    """The form of error bodies; gateway and empty bodies were both observed."""
    customers_page_size: int = 500
    """The most customers on one page, regardless of `size`."""
    customers_page_overlap: int = 0
    """Customers at the end of a page that the next one repeats; fewer than a page holds."""
    next_link_version: bool = False
    """Whether `links.next.uri` starts with /v1, as it has since November 2021."""
    next_link_host: str | None = None
    """An attack: scheme and host to prepend to `links.next.uri`."""
    references_by_alternate_id: bool = False
    """Whether subscriptions and entitlements refer to their order by its alternate ID."""
    references_in_capitals: bool = False
    """Whether subscriptions and entitlements name their order in capitals."""
    empty_lists_without_content: bool = False
    """Whether a list that holds nothing gets a 204 without a body."""
    calls_as_printed: bool = False
    """invented: whether PATCH of a subscription needs MS-Contract-Version and an activation has
    no body, as their pages print them."""
    order_list_lag_seconds: float = 0.0
    """Seconds until a new order appears in the list of orders; DELETE sees it at once."""
    legacy_etags: bool = True
    """Whether legacy orders and subscriptions have an etag that If-Match is checked against."""
    cancel_after_polls: Mapping[ProductKind, int] = field(default_factory=dict)
    """invented: reads that still show `pending` after the cancellation, by kind; default 0."""
    cancel_after_seconds: Mapping[ProductKind, float] = field(default_factory=dict)
    """invented: seconds that a cancellation takes, by kind; default 0."""
    subscription_patch_accepted: bool = False
    """Whether PATCH of a subscription returns 202 with Location even if it completes at once."""
    azure_cancel_seconds: float = 0.2
    """Seconds from cancelling an Azure subscription to `inactive`; about 10 minutes in reality."""
    azure_cancel_status: int = 200
    """200 in the documented example, 202 in the REST reference."""
    order_cancellable_days: float = 60.0
    """Age in days from which an order of the sandbox can no longer be cancelled."""
    savings_plan_subscriptions: bool = True
    """invented: whether a savings plan is a subscription as well as an order."""
    nce_window_days: float = 7.0
    """Days within which an NCE subscription can be cancelled."""
    nce_window_enforced: bool = True
    """invented: whether the sandbox enforces the window of 7 days."""
    too_old_order: TooOldOrder = TooOldOrder.NOT_CANCELLABLE
    """invented: the error for an order over 60 days old."""
    cancelled_order: CancelledOrder = CancelledOrder.OK
    """invented: the response to cancelling a cancelled order."""
    order_cancelled_with_subscriptions: bool = False
    """invented: whether an order becomes `cancelled` once all its subscriptions are deleted."""
    cancelled_entitlement: CancelledEntitlement = CancelledEntitlement.ABSENT
    """invented: whether a cancelled purchase leaves the list or stays with quantity 0."""
    app_only_entitlements: bool = False
    """invented: whether entitlements can be read app-only."""
    app_only_entitlements_error: AppOnlyEntitlements = AppOnlyEntitlements.NOT_SUPPORTED
    """The error if they cannot; 500 was observed too."""
    blocked_delete: BlockedDelete = BlockedDelete.BAD_REQUEST
    """invented: the error of a DELETE while an order is not cancelled."""
    unknown_delete: UnknownDelete = UnknownDelete.TENANT_NOT_FOUND
    """invented: the response to DELETE of an unknown or deleted customer."""
    unknown_customer: UnknownCustomer = UnknownCustomer.TENANT_NOT_FOUND
    """invented: the response to any other call for an unknown or deleted customer."""
    production_delete: ProductionDelete = ProductionDelete.NOT_SUPPORTED
    """invented: the response to DELETE from a production account."""
    active_subscription_blocks: bool = True
    """invented: whether an active subscription blocks DELETE, as an order does."""
    suspended_nce_blocks: bool = False
    """invented: whether a suspended NCE subscription blocks DELETE."""
    replay_request_ids: bool = True
    """invented: whether a write with a repeated MS-RequestId gets the first response again."""


def changed(behaviour: Behaviour, changes: Mapping[str, object]) -> Behaviour:
    """Return the behaviour with fields replaced by JSON values; raises BehaviourError."""
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
    # Not isinstance: JSON true would pass as the integer 1.
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
