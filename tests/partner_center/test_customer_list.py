"""The listing of customers counts customers, however often and wherever their rows repeat."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.simulator import Simulator
from shared.limits import SANDBOX_CUSTOMERS
from shared.partner_center.client import PartnerCenter
from shared.partner_center.customer_list import CustomerList
from shared.partner_center.resources import Customer
from shared.tenants import TenantId
from tests.partner_center.conftest import Connect

MORE = SANDBOX_CUSTOMERS + 1


def listed(connect: Connect) -> Mapping[TenantId, Customer]:
    return CustomerList().current(PartnerCenter(connect(), "c"))


def add(simulator: Simulator, count: int) -> list[str]:
    names = (f"tipdemo{number:03}.onmicrosoft.com" for number in range(count))
    return [simulator.sandbox.add_customer(name).tenant_id for name in names]


@pytest.mark.parametrize(("size", "overlap"), [(20, 1), (20, 19), (75, 3), (2, 1), (500, 0)])
def test_rows_that_repeat_where_pages_meet_are_one_customer(
    connect: Connect, simulator: Simulator, size: int, overlap: int
) -> None:
    simulator.behaviour = replace(
        simulator.behaviour,
        customers_page_size=size,
        customers_page_overlap=overlap,
        requests_per_minute=None,
    )
    tenants = add(simulator, SANDBOX_CUSTOMERS)

    assert list(listed(connect)) == tenants


@pytest.mark.parametrize(("customers", "size", "overlap"), [(76, 30, 5), (402, 50, 1)])
def test_76_different_customers_are_read_past_the_repeated_rows(
    connect: Connect, simulator: Simulator, customers: int, size: int, overlap: int
) -> None:
    simulator.behaviour = replace(
        simulator.behaviour, customers_page_size=size, customers_page_overlap=overlap
    )
    tenants = add(simulator, customers)

    assert list(listed(connect)) == tenants[:MORE]


def test_402_customers_with_the_first_listed_twice_are_more_than_75(
    connect: Connect, simulator: Simulator
) -> None:
    (first,) = add(simulator, 1)
    simulator.sandbox.add_customer("again.onmicrosoft.com", tenant_id=first)
    add(simulator, 401)

    assert len(listed(connect)) == MORE


def test_the_listing_is_not_read_past_the_76th_customer(
    connect: Connect, simulator: Simulator
) -> None:
    simulator.behaviour = replace(simulator.behaviour, customers_page_size=38)
    add(simulator, 200)

    listed(connect)

    assert sum(call.path == "/v1/customers" for call in simulator.calls) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(domains=st.lists(st.sampled_from(["a.test", "b.test", "keep.test", ""]), min_size=1))
def test_every_domain_of_a_repeated_row_is_kept(
    connect: Connect, simulator: Simulator, domains: list[str]
) -> None:
    simulator.reset("empty")
    (tenant,) = add(simulator, 1)
    for domain in domains:
        simulator.sandbox.add_customer(domain, tenant_id=tenant)

    (customer,) = listed(connect).values()

    assert set(customer.domains) == {"tipdemo000.onmicrosoft.com", *domains}
    assert customer.domain == "tipdemo000.onmicrosoft.com"
