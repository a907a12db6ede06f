"""What the oracle reads from a dropped message is what the app's contract says."""

import json
from base64 import b64encode
from random import Random

import pytest

from shared.deletion.messages import BadMessage, DeletionRequest, parse_drop
from shared.tenants import tenant_id
from tests.simulation.oracle.requests import subjects_of, wishes_of
from tests.simulation.scenario import drop_text, junk, several_text

ONE = "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"
TWO = "6f3d2b81-1e4c-4d66-8b52-806c3ead9d21"


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}",
        f"{ONE.upper()}\r\n\r\n{{{TWO}}}\r\n",
        f"{{{ONE}}}, {{{TWO}}}",
        json.dumps([ONE, {"tenantId": TWO, "requestedBy": "somebody"}]),
        b64encode(f"{ONE},{TWO}".encode()).decode(),
        f"{ONE}\n{TWO}\n{ONE}",
    ],
)
def test_each_customer_of_a_drop_is_wanted(text: str) -> None:
    assert [wish.tenant for wish in wishes_of(text)] == [ONE, TWO]


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\nnot a tenant",
        json.dumps([ONE, {"tenantId": TWO, "dryRun": "true"}]),
        json.dumps([ONE, 5]),
        json.dumps([ONE, {"tenantId": ONE, "dryRun": True}]),
        "[]",
    ],
)
def test_a_drop_with_a_bad_entry_wants_nothing(text: str) -> None:
    assert wishes_of(text) == ()


def test_the_part_of_a_drop_that_the_app_has_split_is_wanted() -> None:
    forwarded = DeletionRequest(tenant_id(ONE), "somebody").to_json()

    assert subjects_of(forwarded) == {ONE}


@pytest.mark.parametrize("seed", range(200))
def test_the_oracle_and_the_app_read_what_people_drop_alike(seed: int) -> None:
    stream = Random(seed)
    text = stream.choice(
        (
            drop_text(stream, ONE),
            junk(stream, ONE),
            several_text(stream, (ONE, TWO), bad=False),
            several_text(stream, (ONE, TWO), bad=True),
            several_text(stream, (ONE, TWO), bad=False, dry={TWO}),
        )
    )
    try:
        read = [(each.tenant, each.dry_run) for each in parse_drop(text.encode())]
    except BadMessage:
        read = []

    assert [(wish.tenant, wish.dry) for wish in wishes_of(text)] == read
