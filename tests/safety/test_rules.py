"""The safety rules as functions; the pipeline tests prove that they precede any write."""

from dataclasses import replace

import pytest

from shared.partner_center.resources import Customer, Subscription
from shared.safety import rules
from shared.settings import ProtectionSettings, read_settings
from shared.tenants import TenantId
from tests.test_settings import REQUIRED

CUSTOMER = Customer(TenantId("c"), "tipdemo.onmicrosoft.com", "Demo")
SUBSCRIPTION = Subscription("s", "o", "active", quantity=25, billing_type="license")
PROTECTION = ProtectionSettings(frozenset({TenantId("kept")}), ("keep-*", "*.example"), False)


def test_the_confirmation_must_be_the_same_tenant() -> None:
    settings = read_settings(REQUIRED)
    rules.require_confirmation(settings)

    with pytest.raises(rules.Refused, match="rule 1"):
        rules.require_confirmation(replace(settings, sandbox_tenant_confirmation=TenantId("other")))


def test_the_token_must_be_from_the_same_tenant() -> None:
    rules.require_token_tenant("t", TenantId("t"))

    with pytest.raises(rules.Refused, match="rule 1"):
        rules.require_token_tenant("", TenantId("t"))


def test_75_customers_pass_and_76_do_not() -> None:
    rules.require_sandbox_size(75)

    with pytest.raises(rules.Refused, match="rule 2"):
        rules.require_sandbox_size(76)


@pytest.mark.parametrize(
    "status", ["active", "pending", "unreadable", "none", "warned", "active ", "deleted?"]
)
def test_five_running_subscriptions_pass_and_six_do_not(status: str) -> None:
    running = [replace(SUBSCRIPTION, id=f"s{number}", status=status) for number in range(6)]
    ended = [replace(SUBSCRIPTION, id=f"e{number}", status="deleted") for number in range(20)]
    rules.require_sandbox_limits(running[:5] + ended)

    with pytest.raises(rules.Refused, match="6 active subscriptions"):
        rules.require_sandbox_limits(running)


def test_a_subscription_that_is_listed_twice_is_one() -> None:
    running = [replace(SUBSCRIPTION, id=f"s{number}") for number in range(5)]
    repeated = [replace(each, id=each.id.upper()) for each in running]
    rules.require_sandbox_limits([*running, *repeated])

    sixth = replace(SUBSCRIPTION, id="s6")
    with pytest.raises(rules.Refused, match="6 active subscriptions"):
        rules.require_sandbox_limits([*running, *repeated, sixth])


def test_each_row_of_a_repeated_subscription_counts_for_its_licences() -> None:
    with pytest.raises(rules.Refused, match="26 licences"):
        rules.require_sandbox_limits([SUBSCRIPTION, replace(SUBSCRIPTION, quantity=26)])


@pytest.mark.parametrize("status", ["active", "suspended", "deleted"])
@pytest.mark.parametrize(
    "licences", [{"billing_type": "license"}, {"billing_type": "", "unit_type": "licenses"}]
)
def test_more_than_25_licences_are_refused_whatever_the_status(
    status: str, licences: dict[str, str]
) -> None:
    many = replace(SUBSCRIPTION, status=status, quantity=26, **licences)  # type: ignore[arg-type]

    with pytest.raises(rules.Refused, match="26 licences"):
        rules.require_sandbox_limits([many])


@pytest.mark.parametrize(
    "signs",
    [
        {"billing_type": "usage", "unit_type": "usage-based"},
        {"billing_type": "usage"},
        {"unit_type": "usage-based"},
        {"product_type": "Azure"},
        {"product_type": "azure", "unit_type": "usage-based"},
    ],
)
@pytest.mark.parametrize("quantity", [1000, None])
def test_usage_is_not_counted_as_licences(signs: dict[str, str], quantity: int | None) -> None:
    usage = replace(SUBSCRIPTION, quantity=quantity, **{"billing_type": "", **signs})  # type: ignore[arg-type]

    rules.require_sandbox_limits([usage])


@pytest.mark.parametrize(
    "signs",
    [
        {},
        {"billing_type": "none"},
        {"unit_type": "benefit"},
        {"unit_type": "gigabytes"},
        {"product_type": "OnlineServicesNCE"},
        {"product_type": "Software"},
        {"product_type": "SomethingElse"},
        {"product_type": "Azure", "billing_type": "license"},
        {"billing_type": "usage", "unit_type": "licenses"},
        {"billing_type": "usage", "unit_type": "gigabytes"},
        {"billing_type": "none", "unit_type": "usage-based"},
        {"product_type": "Azure", "billing_type": "none"},
        {"product_type": "Azure", "unit_type": "seat"},
        {"product_type": "Azure", "billing_type": "none", "unit_type": "benefit"},
    ],
)
def test_a_count_whose_meaning_is_not_known_to_be_usage_is_refused_above_25(
    signs: dict[str, str],
) -> None:
    few = replace(SUBSCRIPTION, **{"billing_type": "", **signs})  # type: ignore[arg-type]
    rules.require_sandbox_limits([few])

    with pytest.raises(rules.Refused, match=r"26 (licences|units that may be licences)"):
        rules.require_sandbox_limits([replace(few, quantity=26)])


@pytest.mark.parametrize("signs", [{}, {"billing_type": ""}, {"product_type": "Software"}])
def test_a_count_that_cannot_be_read_is_refused(signs: dict[str, str]) -> None:
    unknown = replace(SUBSCRIPTION, quantity=None, **signs)  # type: ignore[arg-type]

    with pytest.raises(rules.Refused, match="missing or no number") as caught:
        rules.require_sandbox_limits([unknown])

    assert "Partner Center" in caught.value.remedy


def test_the_partner_and_listed_tenants_are_refused() -> None:
    with pytest.raises(rules.Refused, match="own tenant"):
        rules.require_other_tenant(TenantId("p"), TenantId("p"))
    with pytest.raises(rules.Refused, match="PROTECTED_TENANTS"):
        rules.require_unlisted(TenantId("kept"), PROTECTION)


@pytest.mark.parametrize(
    "domain",
    [
        "keep-me.onmicrosoft.com",
        "keep-me.onmicrosoft.com.",
        " keep-me.onmicrosoft.com",
        "\u200bkeep-me.onmicrosoft.com",
        "shop.example",
        "tipdemo",
        "tip demo.onmicrosoft.com",
        "",
    ],
)
def test_protected_and_unknown_domains_are_refused(domain: str) -> None:
    with pytest.raises(rules.Refused, match="rule 3"):
        rules.require_unprotected(replace(CUSTOMER, domain=domain), PROTECTION)


@pytest.mark.parametrize("domain", ["müller.de", "xn--mller-kva.de", "mu\u0308ller.de"])
@pytest.mark.parametrize("word", ["müller.de", "XN--MLLER-KVA.de", "*.de"])
def test_international_domains_are_compared_in_one_form(domain: str, word: str) -> None:
    protection = read_settings({**REQUIRED, "PROTECTED_DOMAINS": word}).protection

    with pytest.raises(rules.Refused, match="matches"):
        rules.require_unprotected(replace(CUSTOMER, domain=domain), protection)


def test_other_domains_pass() -> None:
    rules.require_unprotected(CUSTOMER, PROTECTION)
    rules.require_unprotected(
        replace(CUSTOMER, domain=""), ProtectionSettings(frozenset(), (), False)
    )


def test_each_refusal_says_what_to_do() -> None:
    with pytest.raises(rules.Refused) as caught:
        rules.require_sandbox_size(76)

    assert caught.value.remedy in str(caught.value)
