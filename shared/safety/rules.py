"""The safety rules: refuse when unsure, before anything is written to Partner Center.

The cancelling PATCH works with production credentials too and destroys real purchases, and no
field of the API says "sandbox". So an account counts as a sandbox only while nothing suggests
otherwise.

1. The access token, the settings and the confirmation name the same account.
2. Nothing about the account or the customer looks like production.
3. The customer belongs to this partner and is not protected.
4. Nothing has tripped the switch (`shared.safety.switch`).

`Safety` applies them for every caller in one order: first what needs no call (the confirmation of
rule 1, the tenant ID of rule 3), then rules 1, 2 and 3 with Partner Center's word.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from itertools import product
from typing import Final

from shared.domains import comparable, matches
from shared.errors import TipsweepError, shown
from shared.limits import (
    SANDBOX_CUSTOMERS,
    SANDBOX_LICENCES_PER_SUBSCRIPTION,
    SANDBOX_SUBSCRIPTIONS_PER_CUSTOMER,
)
from shared.partner_center.client import PartnerCenter
from shared.partner_center.customer_list import (
    NO_CONTENT,
    CustomerList,
    require_content,
    shows_everybody,
)
from shared.partner_center.errors import (
    ErrorStatus,
    Forbidden,
    NoRelationship,
    NoRoute,
    NotASandbox,
    NotForThisCredential,
    NotFound,
    Unavailable,
)
from shared.partner_center.members import fold
from shared.partner_center.resources import Customer, Status, Subscription
from shared.safety.switch import Switch
from shared.settings import NO_PROTECTION, ProtectionSettings, Settings
from shared.tenants import TenantId

BY_ITSELF: Final = "tipsweep"
# The values of billingType and unitType; usage has quantities too, which are not licences.
_LICENCES: Final = frozenset({"license", "licenses"})
_USAGE: Final = frozenset({"usage", "usage-based"})
# Azure plans and savings plans: what they count is no licences, even where no type says so.
_USAGE_PRODUCTS: Final = frozenset({"azure"})
_PRODUCTION_REMEDY: Final = (
    "This looks like a production customer: nothing was changed. Check the credentials."
)
# Deleted subscriptions stay in the listing and must not count; a status nobody knows counts.
_NOT_RUNNING: Final = frozenset(
    {Status.SUSPENDED, Status.CANCELLED, Status.DELETED, Status.EXPIRED, Status.DISABLED}
)


class Rule(StrEnum):
    """The rules that refuse a deletion, numbered as in docs/safety.md.

    Rule 4 is missing: a tripped switch ends no deletion. Those in progress wait, and requests and
    sweeps raise SwitchTripped.
    """

    ACCOUNT = "1 (the account that was confirmed)"
    SANDBOX = "2 (nothing that looks like production)"
    CUSTOMER = "3 (own and unprotected customers only)"


class Refused(TipsweepError):
    """A safety rule forbids the deletion; the text says which and what to do."""

    def __init__(self, rule: Rule, finding: str, remedy: str) -> None:
        super().__init__(f"Refused by rule {rule}: {finding}. {remedy}")
        self.rule = rule
        self.finding = finding
        self.remedy = remedy


class ForeignCustomer(Refused):
    """Rule 3: the tenant is not a customer of this partner."""

    def __init__(self, tenant: TenantId) -> None:
        finding = f"tenant {tenant} is not a customer of this partner, or no longer is"
        super().__init__(
            Rule.CUSTOMER, finding, "Check the ID and the sandbox account it belongs to."
        )


class Safety:
    """The four rules over the settings, the switch and the customers of the account."""

    def __init__(self, settings: Settings, switch: Switch, customers: CustomerList) -> None:
        self.customers = customers
        self._settings = settings
        self._switch = switch

    def require_acceptable(self, tenant: TenantId) -> None:
        """Refuse a request that the settings alone rule out; makes no call.

        Raises Refused.
        """
        require_confirmation(self._settings)
        require_unprotected_id(tenant, self._settings)

    def require_writable(self) -> None:
        """Rule 4, checked before each step and each request; raises SwitchTripped."""
        self._switch.require_untripped()

    @contextmanager
    def tripping_switch(self) -> Iterator[None]:
        """Trip the switch if Partner Center says that the account is not a sandbox.

        Raises Refused instead of NotASandbox.
        """
        try:
            yield
        except NotASandbox as error:
            self._switch.trip(BY_ITSELF, str(error))
            remedy = "The safety switch is tripped: check the account, then reset it."
            raise Refused(Rule.SANDBOX, str(error), remedy) from error

    def require_sandbox(self, client: PartnerCenter) -> Mapping[TenantId, Customer]:
        """Rules 1 and 2 for the account: list its customers again and return them.

        Raises Refused.
        """
        require_confirmation(self._settings)
        self._require_account(client)
        return self._sandbox(self.customers.refresh(client))

    def require_customer(
        self, client: PartnerCenter, tenant: TenantId, *, seen: bool = False
    ) -> Customer:
        """Rules 1 to 3, as far as they can be checked before the purchases are read.

        `seen` says that Partner Center has shown the customer before. Raises Refused;
        ForeignCustomer if this partner has no such customer.
        """
        self.require_acceptable(tenant)
        self._require_account(client)
        listed = self._sandbox(self.customers.current(client))
        customer = listed.get(tenant) or self.customers.newer(tenant)
        if customer is None or customer.unread:
            read = self._by_id(client, tenant, listed, seen=seen)
            # A row that could not be read may stand beside one that shows a protected domain.
            customer = read.with_domains_of(customer) if customer else read
            self.customers.remember(customer)
        if tenant not in listed:
            self._require_size_with(client, customer)
        require_deletable(customer, self._settings)
        return customer

    def _require_size_with(self, client: PartnerCenter, customer: Customer) -> None:
        """Rule 2 with a customer that the listing lacks; raises NoContent if it was a 204.

        The listing may be as old as a minute, so it is read again before anything is refused.
        """
        listed = self.customers.current(client)
        if listed is NO_CONTENT or self.customers.count(listed, customer) > SANDBOX_CUSTOMERS:
            listed = self._sandbox(self.customers.refresh(client))
            self.customers.remember(customer)
        require_content(listed)
        require_sandbox_size(self.customers.count(listed, customer))

    def _by_id(
        self,
        client: PartnerCenter,
        tenant: TenantId,
        listed: Mapping[TenantId, Customer],
        *,
        seen: bool,
    ) -> Customer:
        """Read a customer that the listing lacks; a 404 or 403 without a code needs a newer one."""
        try:
            return _unlisted(client, tenant, listed, seen=seen)
        except ForeignCustomer as error:
            if not isinstance(error.__cause__, NoRoute | Forbidden):
                raise
            newer = self._sandbox(self.customers.refresh(client))
            customer = newer.get(tenant)
            if customer is None or customer.unread:
                _require_everybody(newer, error.__cause__)
                raise
            return customer

    @contextmanager
    def confirming_gone(
        self, client: PartnerCenter, tenant: TenantId, seen: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Turn a 404 into ForeignCustomer if a new listing and the customer's own URL lack it too.

        So is a 403 without a code, if the customer was `seen` before. Raises the error itself
        otherwise: an outage of one route also looks like a 404, and must not be taken for a
        customer that is gone.
        """
        try:
            yield
        except (NotFound, NoRelationship):
            self.require_present(client, tenant, seen=seen())
            raise
        except Forbidden as error:
            if seen() and not error.response.coded:
                self.require_present(client, tenant, seen=True)
            raise

    def require_present(self, client: PartnerCenter, tenant: TenantId, *, seen: bool) -> None:
        """Raise ForeignCustomer if a new listing and the customer's own URL lack the customer.

        For one that was `seen` before, a 403 without a code says so too.
        """
        listed = self.customers.refresh(client)
        if tenant not in listed:
            _unlisted(client, tenant, listed, seen=seen)

    def require_undeleted(self, client: PartnerCenter, tenant: TenantId) -> None:
        """Raise ForeignCustomer if a customer is gone that a DELETE may have been sent for.

        This only reads, so it comes before the protection of rule 3, but after rule 1: in another
        account the customer would be missing too. Raises Refused.
        """
        require_confirmation(self._settings)
        self._require_account(client)
        self.require_present(client, tenant, seen=True)

    def require_sandbox_purchases(self, subscriptions: Collection[Subscription]) -> None:
        """Rule 2 for the customer, once its purchases are read; raises Refused."""
        require_sandbox_limits(subscriptions)

    def require_protection(self) -> None:
        """Rule 3, for customers that no person picks; raises Refused."""
        require_protection(self._settings.protection)

    def _require_account(self, client: PartnerCenter) -> None:
        require_token_tenant(client.token_tenant(), self._settings.partner_center.tenant_id)

    def _sandbox(self, listed: Mapping[TenantId, Customer]) -> Mapping[TenantId, Customer]:
        require_sandbox_size(len(listed))
        return listed


def require_confirmation(settings: Settings) -> None:
    """Rule 1: the partner tenant has been typed twice; raises Refused."""
    expected = settings.partner_center.tenant_id
    if settings.sandbox_tenant_confirmation != expected:
        finding = (
            f"SANDBOX_TENANT_CONFIRMATION is {settings.sandbox_tenant_confirmation}, but "
            f"PARTNER_TENANT_ID is {expected}"
        )
        remedy = "Make sure that it is the sandbox account, then type its tenant ID in both."
        raise Refused(Rule.ACCOUNT, finding, remedy)


def require_token_tenant(token_tenant: str, expected: TenantId) -> None:
    """Rule 1: the access token was issued in the partner tenant; raises Refused."""
    if token_tenant != expected:
        finding = f"the access token was issued in tenant {token_tenant}, expected {expected}"
        remedy = "Use the app registration of the sandbox account."
        raise Refused(Rule.ACCOUNT, finding, remedy)


def require_sandbox_size(customers: int) -> None:
    """Rule 2: the account holds no more customers than a sandbox can; raises Refused."""
    if customers > SANDBOX_CUSTOMERS:
        finding = (
            f"the account has more than {SANDBOX_CUSTOMERS} customers, which no sandbox can hold"
        )
        remedy = "These look like production credentials: remove them from this app."
        raise Refused(Rule.SANDBOX, finding, remedy)


def require_sandbox_limits(subscriptions: Collection[Subscription]) -> None:
    """Rule 2: the customer holds no more than a sandbox customer can; raises Refused."""
    # A repeated row is one subscription, and each of its rows counts for its licences.
    running = {fold(each.id) for each in subscriptions if each.status not in _NOT_RUNNING}
    if len(running) > SANDBOX_SUBSCRIPTIONS_PER_CUSTOMER:
        finding = (
            f"the customer has {len(running)} active subscriptions, and a sandbox allows "
            f"{SANDBOX_SUBSCRIPTIONS_PER_CUSTOMER}"
        )
        raise Refused(Rule.SANDBOX, finding, _PRODUCTION_REMEDY)
    for each in subscriptions:
        if may_count_licences(each):
            require_few_licences(each)


def may_count_licences(subscription: Subscription) -> bool:
    """Whether its quantity is licences for all that is known; without a type the product decides.

    A type that nobody knows may mean licences. Source: Microsoft's page "Subscription resources".
    """
    types = {subscription.billing_type, subscription.unit_type} - {""}
    if not types:
        return subscription.product_type.lower() not in _USAGE_PRODUCTS
    return not types <= _USAGE


def _counts_licences(subscription: Subscription) -> bool:
    return bool(_LICENCES & {subscription.billing_type, subscription.unit_type})


def require_few_licences(subscription: Subscription) -> None:
    """Rule 2: a subscription holds no more licences than in a sandbox; raises Refused."""
    quantity = subscription.quantity
    if quantity is None:
        finding = (
            f"subscription {subscription.id} has a quantity that is missing or no number, and a "
            f"sandbox allows {SANDBOX_LICENCES_PER_SUBSCRIPTION} licences"
        )
        remedy = "Nothing was changed. Look at the subscription in Partner Center."
        raise Refused(Rule.SANDBOX, finding, remedy)
    if quantity > SANDBOX_LICENCES_PER_SUBSCRIPTION:
        counted = "licences" if _counts_licences(subscription) else "units that may be licences"
        finding = (
            f"subscription {subscription.id} has {quantity} {counted}, and a sandbox allows "
            f"{SANDBOX_LICENCES_PER_SUBSCRIPTION}"
        )
        raise Refused(Rule.SANDBOX, finding, _PRODUCTION_REMEDY)


def require_deletable(customer: Customer, settings: Settings) -> None:
    """Rule 3: a listed customer is not the partner itself and not protected; raises Refused."""
    require_unprotected_id(customer.id, settings)
    require_read(customer)
    require_unprotected(customer, settings.protection)


def require_unprotected_id(tenant: TenantId, settings: Settings) -> None:
    """Rule 3, as far as the tenant ID shows; raises Refused."""
    require_other_tenant(tenant, settings.partner_center.tenant_id)
    require_unlisted(tenant, settings.protection)


def require_read(customer: Customer) -> None:
    """Rule 3: it is known whether the customer is protected; raises Refused."""
    if customer.unread:
        finding = f"customer {customer.id} is listed in a form that cannot be read"
        remedy = "Look at it in Partner Center, and delete it by hand if nobody needs it."
        raise Refused(Rule.CUSTOMER, f"{finding} ({customer.unread})", remedy)


def require_other_tenant(tenant: TenantId, partner: TenantId) -> None:
    """Rule 3: the partner does not delete itself; raises Refused."""
    if tenant == partner:
        finding = f"{tenant} is the partner's own tenant"
        raise Refused(Rule.CUSTOMER, finding, "Name a customer's tenant.")


def require_unlisted(tenant: TenantId, protection: ProtectionSettings) -> None:
    """Rule 3: the tenant ID is not protected; raises Refused."""
    if tenant in protection.tenants:
        finding = f"customer {tenant} is listed in PROTECTED_TENANTS"
        raise Refused(Rule.CUSTOMER, finding, "Take it off the list to have it deleted.")


def require_unprotected(customer: Customer, protection: ProtectionSettings) -> None:
    """Rule 3: none of the customer's domains matches a protected pattern; raises Refused.

    A customer with an unknown domain, or one that is none, is refused while any pattern is set.
    """
    for domain, pattern in product(customer.domains, protection.domains):
        compared = comparable(domain)
        if compared is None:
            finding = (
                f"customer {customer.id} has no domain to compare with PROTECTED_DOMAINS: expected "
                f"a domain such as contoso.com, found {shown(domain)}"
            )
            raise Refused(Rule.CUSTOMER, finding, "List it by ID, or delete it by hand.")
        if matches(compared, pattern):
            finding = f"domain {domain} matches {pattern} in PROTECTED_DOMAINS"
            raise Refused(Rule.CUSTOMER, finding, "Change the pattern to have it deleted.")


def require_protection(protection: ProtectionSettings) -> None:
    """Rule 3: somebody has decided what to protect from sweeps; raises Refused."""
    if not protection.decided:
        finding = "PROTECTED_TENANTS and PROTECTED_DOMAINS are empty"
        remedy = f"Set one of them, or set it to {NO_PROTECTION} to protect nothing."
        raise Refused(Rule.CUSTOMER, finding, remedy)


def _unlisted(
    client: PartnerCenter, tenant: TenantId, listed: Mapping[TenantId, Customer], *, seen: bool
) -> Customer:
    """Read a customer that a listing does not show, or not in a form that can be read.

    A 403 without a code means that one that was `seen` before is gone: Partner Center may respond
    so for a customer that was deleted. Raises Unavailable instead of ForeignCustomer if the listing
    does not show everybody.
    """
    try:
        return customer_by_id(client, tenant)
    except ForeignCustomer as refusal:
        _require_everybody(listed, refusal.__cause__)
        raise
    except Forbidden as error:
        if not seen or error.response.coded or len(listed) > SANDBOX_CUSTOMERS:
            raise
        _require_everybody(listed, error)
        raise ForeignCustomer(tenant) from error


def _require_everybody(listed: Mapping[TenantId, Customer], error: BaseException | None) -> None:
    """Raise Unavailable if a listing that lacks a customer proves nothing beside an error."""
    if isinstance(error, ErrorStatus) and not shows_everybody(listed):
        description = "not found, but the list of customers cannot be read as a whole"
        raise Unavailable(replace(error.response, description=description)) from error


def customer_by_id(client: PartnerCenter, tenant: TenantId) -> Customer:
    """Rule 3: read one customer.

    Raises ForeignCustomer if this partner has no customer with that ID, and another Refused if it
    may not see it: that must not be mistaken for a customer that is gone. A 403 without a code is
    raised as it is: something in front of Partner Center may have made it.
    """
    try:
        return client.customer(tenant)
    except (NotFound, NoRelationship) as error:
        raise ForeignCustomer(tenant) from error
    except Forbidden as error:
        if not error.response.coded or isinstance(error, NotForThisCredential):
            raise
        finding = f"Partner Center does not show tenant {tenant} ({error})"
        remedy = "Check the ID, and the rights of the app registration."
        raise Refused(Rule.CUSTOMER, finding, remedy) from error
