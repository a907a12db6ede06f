"""Ten thousand generated requests: each gets a response from the description, never a 500."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from local.host.loading import load
from local.host.web import web_app
from local.host.worker import ThreadPoolWorker
from local.simulator import Customer, Simulator
from tests.bench import Bench
from tests.http.app import NO_STORAGE, App, fresh_app
from tests.http.test_openapi import OPERATIONS

# 1 in every run; the profile of `make test-all` asks for more.
SCALE = settings().max_examples // 100
# Thousands of requests take their time on a machine that others use too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 * SCALE)]
RAW_REQUESTS = 9_000 * SCALE
SCHEMATHESIS_REQUESTS = 1_000 * SCALE
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TENANT = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"

TAKES_INPUT = [
    operation for operation, described in sorted(OPERATIONS.items()) if "parameters" in described
]
OF_DELETIONS = [each for each in TAKES_INPUT if each[1].startswith("/api/deletions")]
EXAMPLES = RAW_REQUESTS // len(TAKES_INPUT)

QUICK = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

TENANTS = st.sampled_from([TENANT, TENANT.upper(), f"{{{TENANT}}}"]) | st.uuids().map(str)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "tenantId": TENANTS | JSON_VALUES,
        "dryRun": st.booleans() | JSON_VALUES,
        "requestedBy": st.text() | JSON_VALUES,
        "mode": st.sampled_from(["report", "delete", "off"]) | JSON_VALUES,
        "reason": st.text() | JSON_VALUES,
    },
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    MEMBERS.map(lambda members: json.dumps(members).encode()),
    # Enough of them are accepted, however many operations share the requests.
    TENANTS.map(lambda tenant: json.dumps({"tenantId": tenant}).encode()),
    st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
)
QUERIES = st.dictionaries(
    st.sampled_from(["state", "continuationToken", "requestedBy", "reason", "code"]),
    st.sampled_from(["stuck", "deleted", TENANT]) | st.text(st.characters(codec="utf-8")),
)
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json"] * 4 + ["", "text/plain", ";"])},
    optional={
        "X-MS-CLIENT-PRINCIPAL-NAME": st.text(),
        "X-MS-CLIENT-PRINCIPAL-ID": st.text(),
        "Host": st.text(),
    },
)
PATH_PARTS = (TENANTS | st.text(st.characters(codec="utf-8"), min_size=1)).map(
    lambda text: quote(text, safe="")
)


@pytest.fixture
def fuzzed(api: App, bench: Bench, simulator: Simulator, customer: Customer) -> App:  # noqa: ARG001
    """Give the app beside a customer that any of the requests may meet."""
    bench.use(PROTECTED_DOMAINS="none")
    return api


@pytest.mark.parametrize(
    ("operations", "reached"),
    [
        (OF_DELETIONS, {200, 202, 400, 404}),
        ([each for each in TAKES_INPUT if each not in OF_DELETIONS], {200, 400, 404}),
    ],
    ids=["deletions", "others"],
)
def test_raw_requests_get_the_described_responses(
    fuzzed: App, operations: list[tuple[str, str]], reached: set[int]
) -> None:
    """Each generated input goes to every operation of the group."""
    statuses: Counter[int] = Counter()

    @settings(QUICK, max_examples=EXAMPLES)
    @given(PATH_PARTS, QUERIES, HEADERS, BODIES)
    def send(part: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> None:
        for operation in operations:
            method, template = operation
            path = re.sub(r"{\w+}", lambda _: part, template) + "?" + urlencode(query)
            response = fuzzed.call(method, path, body=body, headers=headers)
            statuses[response.status] += 1
            assert str(response.status) in OPERATIONS[operation]["responses"], response.text

    send()

    assert statuses.total() > 0.99 * EXAMPLES * len(operations)
    assert reached <= set(statuses)


@pytest.fixture
def web(fuzzed: App) -> Iterator[Starlette]:  # noqa: ARG001 - the functions work on its services
    worker = ThreadPoolWorker(load(fresh_app(), NO_STORAGE))
    yield web_app(worker, route_prefix="api")
    worker.close()


def test_requests_by_schemathesis_get_the_described_responses(web: Starlette, fuzzed: App) -> None:
    """Valid and invalid ones, by the description that the app serves."""
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", web)
    sent = 0
    for method, path in OPERATIONS:
        for mode in MODES if (method, path) in TAKES_INPUT else MODES[:1]:
            fuzzed.delete("/api/switch?requestedBy=test&reason=Go")
            sent += send_all(schema[path][method], mode)

    assert sent > SCHEMATHESIS_REQUESTS // 2


def send_all(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> int:
    sent = 0

    @settings(QUICK, max_examples=SCHEMATHESIS_REQUESTS // (2 * len(TAKES_INPUT)))
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case[Any]) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(checks=CHECKS)

    send()
    return sent
