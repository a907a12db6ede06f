"""Messages are read in every form that tools write, and anything else is rejected."""

import base64
import json
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deletion.messages import (
    BadMessage,
    DeletionRequest,
    StepMessage,
    parse_request,
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

    assert parse_request(body) == DeletionRequest(TenantId(str(tenant)))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_noise_is_rejected_with_a_reason(body: bytes) -> None:
    for parse in (parse_request, parse_step):
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
        parse_request(json.dumps(value).encode())


@given(tenants, st.text(max_size=200).filter(str.isprintable), st.booleans())
def test_members_are_read(tenant: uuid.UUID, requested_by: str, dry_run: bool) -> None:
    body = json.dumps(
        {"tenantId": str(tenant), "requestedBy": requested_by, "dryRun": dry_run}
    ).encode()

    request = parse_request(body)

    assert request == DeletionRequest(TenantId(str(tenant)), requested_by, dry_run)


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


def test_the_error_shows_foreign_text_short_and_printable() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_request(("\x1b[31mé" * 5000).encode())

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
