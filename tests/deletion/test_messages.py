"""Messages are read in every form that tools write, and anything else is rejected."""

import base64
import json
import string
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deletion.messages import (
    BadMessage,
    DeletionRequest,
    StepMessage,
    parse_drop,
    parse_step,
)
from shared.tenants import NotATenantId, TenantId, tenant_id

tenants = st.uuids().filter(lambda value: value.int != 0)
FORMS = [
    lambda tenant: tenant,
    lambda tenant: f"{{{tenant}}}",
    json.dumps,
    lambda tenant: json.dumps({"tenantId": tenant}),
    lambda tenant: json.dumps({"tenantId": f"{{{tenant}}}", "dryRun": False}, indent=1),
]


@given(tenants, st.sampled_from(FORMS), st.booleans(), st.booleans())
def test_every_form_means_the_same_tenant(
    tenant: uuid.UUID, form: object, upper: bool, encoded: bool
) -> None:
    text = form(str(tenant).upper() if upper else str(tenant))  # type: ignore[operator]
    body = base64.b64encode(text.encode()) if encoded else text.encode()

    assert parse_drop(body) == (DeletionRequest(TenantId(str(tenant))),)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_noise_is_rejected_with_a_reason(body: bytes) -> None:
    for parse in (parse_drop, parse_step):
        with pytest.raises(BadMessage, match=r"\w"):
            parse(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tenantId", "requestedBy", "dryRun", "version", "x"]),
            inner,
            max_size=4,
        )
    ),
)


@given(json_values)
def test_json_of_any_other_shape_is_rejected(value: object) -> None:
    with pytest.raises(BadMessage):
        parse_drop(json.dumps(value).encode())


@given(tenants, st.text(max_size=200).filter(str.isprintable), st.booleans())
def test_members_are_read(tenant: uuid.UUID, requested_by: str, dry_run: bool) -> None:
    body = json.dumps(
        {"tenantId": str(tenant), "requestedBy": requested_by, "dryRun": dry_run}
    ).encode()

    assert parse_drop(body) == (DeletionRequest(TenantId(str(tenant)), requested_by, dry_run),)


FIRST = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
SECOND = "6f3d2b81-1e4c-4d66-8b52-8a7c3e0f9d21"
LISTS = {
    "lines": f"{FIRST}\r\n{SECOND}\n\n",
    "commas": f"{FIRST}, {SECOND},",
    "braces": f"{{{FIRST}}}\n{{{SECOND}}}",
    "braces in the first line": f"{{{FIRST}}}\n{SECOND}",
    "array": json.dumps([FIRST, SECOND.upper()]),
    "objects": json.dumps([{"tenantId": FIRST}, {"tenantId": SECOND}]),
    "mixed array": json.dumps([FIRST, {"tenantId": SECOND, "dryRun": False}]),
    "repeated": f"{FIRST}\n{SECOND}\n{FIRST.upper()}",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_a_drop_may_hold_several_tenants(text: str, encoded: bool) -> None:
    body = base64.b64encode(text.encode()) if encoded else text.encode()

    assert [each.tenant for each in parse_drop(body)] == [FIRST, SECOND]


def test_each_of_several_requests_keeps_who_wants_it() -> None:
    entries = [
        {"tenantId": FIRST},
        {"tenantId": SECOND, "requestedBy": "bob", "dryRun": True},
        {"tenantId": FIRST, "requestedBy": "ann"},
    ]

    assert parse_drop(json.dumps(entries).encode()) == (
        DeletionRequest(TenantId(FIRST), "ann"),
        DeletionRequest(TenantId(SECOND), "bob", dry_run=True),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{FIRST}\ncontoso\n{SECOND}\nfabrikam", ["entry 2", "contoso", "entry 4"]),
        (f"tenantId,name\n{FIRST},Contoso", ["3 of 4", "tenantId", "entries 2, 4"]),
        (json.dumps([FIRST, 7, {"tenantId": SECOND, "force": 1}]), ["entry 2", "only dryRun"]),
        (json.dumps([FIRST, {"tenantId": FIRST, "dryRun": True}]), ["entry 2", "dry run"]),
        (json.dumps([FIRST, ""]), ["entry 2", "empty"]),
        (
            json.dumps(
                [FIRST, {"tenantId": FIRST, "dryRun": 1}, {"tenantId": SECOND, "dryRun": 2}]
            ),
            ["entry 2: Expected true or false", "expected true or false in dryRun in entry 3"],
        ),
        (
            json.dumps(["x", {"tenantId": FIRST}, {"tenantId": FIRST, "dryRun": True}]),
            ["entry 1: 'x'", "expected each tenant ID either as a dry run or not in entry 3"],
        ),
    ],
)
def test_one_bad_entry_rejects_all_and_each_is_named(text: str, named: list[str]) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_drop(text.encode())

    assert all(part in str(caught.value) for part in named)
    assert caught.value.tenant is None


def test_a_drop_holds_at_most_a_full_sandbox() -> None:
    full = [str(uuid.UUID(int=number)) for number in range(1, 76)]

    assert len(parse_drop("\n".join([*full, full[0]]).encode())) == 75
    with pytest.raises(BadMessage, match="76 tenant IDs"):
        parse_drop("\n".join([*full, FIRST]).encode())


@given(
    tenants,
    st.text(max_size=200).filter(str.isprintable),
    st.booleans(),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 10**6),
)
def test_a_forwarded_request_survives_the_queue(
    tenant: uuid.UUID,
    requested_by: str,
    dry_run: bool,
    dropped_at: datetime | None,
    attempt: int,
) -> None:
    request = DeletionRequest(TenantId(str(tenant)), requested_by, dry_run, dropped_at, attempt)

    assert parse_drop(request.to_json().encode()) == (request,)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"force": True},
        {"attempt": -1},
        {"attempt": True},
        {"droppedAt": "yesterday"},
        {"droppedAt": "2026-11-28T06:00:00"},
        {"dryRun": "false"},
        {"requestedBy": None},
    ],
)
def test_a_forwarded_request_of_any_other_shape_is_rejected(changes: dict[str, object]) -> None:
    members = {**json.loads(DeletionRequest(TenantId(FIRST)).to_json()), **changes}

    with pytest.raises(BadMessage):
        parse_drop(json.dumps(members).encode())


@given(tenants, st.integers(1, 2**31), st.text(string.printable, max_size=40))
def test_a_step_message_survives_the_queue(
    tenant: uuid.UUID, generation: int, correlation_id: str
) -> None:
    step = StepMessage(TenantId(str(tenant)), generation, correlation_id)

    assert parse_step(step.to_json().encode()) == step


@given(st.text())
def test_a_tenant_id_is_a_guid_or_an_error(text: str) -> None:
    with pytest.raises(NotATenantId):
        tenant_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mé" * 5000,
        "\U0001f600" * 60,
        json.dumps({"tenantId": FIRST, "\U0001f600" * 60: 1}),
        "contoso," * 5000,
    ],
    ids=["long", "escaped", "member", "many"],
)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_the_error_is_short_and_printable(text: str, encoded: bool) -> None:
    body = base64.b64encode(text.encode()) if encoded else text.encode()

    with pytest.raises(BadMessage) as caught:
        parse_drop(body)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 500
