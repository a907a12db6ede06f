"""Messages are read in every form that tools write, and anything else is rejected."""

import base64
import json
import string
import textwrap
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.deletion.messages import (
    BadMessage,
    DeletionRequest,
    Parcel,
    StepMessage,
    opened,
    parse_drop,
    parse_step,
)
from shared.safety.switch import SwitchState
from shared.tenants import NotATenantId, TenantId, tenant_id

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
KNOWN_TIMES = st.timedeltas(-timedelta(days=5000), timedelta(days=5000)).map(lambda far: NOW + far)
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "base64": lambda text: base64.b64encode(text.encode()),
    "wrapped": lambda text: base64.encodebytes(text.encode()),
    "wrapped at 64 with CRLF": lambda text: b"\r\n".join(
        textwrap.fill(base64.b64encode(text.encode()).decode(), 64).encode().splitlines()
    ),
    "without padding": lambda text: base64.b64encode(text.encode()).rstrip(b"="),
    "URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()),
    "URL-safe without padding": lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
    "byte order mark inside": lambda text: base64.b64encode(b"\xef\xbb\xbf" + text.encode()),
    "in a JSON string": lambda text: json.dumps(base64.b64encode(text.encode()).decode()).encode(),
    "wrapped in a JSON string": lambda text: json.dumps(
        base64.encodebytes(text.encode()).decode()
    ).encode(),
    "byte order mark and blanks around": lambda text: (
        b"\xef\xbb\xbf \t" + base64.b64encode(text.encode()) + b"\r\n"
    ),
}
encodings = st.sampled_from(list(ENCODINGS.values()))

tenants = st.uuids().filter(lambda value: value.int != 0)
FORMS = [
    lambda tenant: tenant,
    lambda tenant: f"{{{tenant}}}",
    json.dumps,
    lambda tenant: json.dumps({"tenantId": tenant}),
    lambda tenant: json.dumps({"tenantId": f"{{{tenant}}}", "dryRun": False}, indent=1),
]


@given(tenants, st.sampled_from(FORMS), st.booleans(), encodings)
def test_every_form_means_the_same_tenant(
    tenant: uuid.UUID, form: object, upper: bool, encode: Callable[[str], bytes]
) -> None:
    text = form(str(tenant).upper() if upper else str(tenant))  # type: ignore[operator]

    assert parse_drop(encode(text)) == (DeletionRequest(TenantId(str(tenant))),)


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


@given(
    tenants, st.text(max_size=200).filter(str.isprintable), st.booleans(), st.booleans(), encodings
)
def test_members_are_read(
    tenant: uuid.UUID,
    requested_by: str,
    dry_run: bool,
    escaped: bool,
    encode: Callable[[str], bytes],
) -> None:
    members = {"tenantId": str(tenant), "requestedBy": requested_by, "dryRun": dry_run}

    assert parse_drop(encode(json.dumps(members, ensure_ascii=escaped))) == (
        DeletionRequest(TenantId(str(tenant)), requested_by, dry_run),
    )


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
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_drop_may_hold_several_tenants(text: str, encode: Callable[[str], bytes]) -> None:
    assert [each.tenant for each in parse_drop(encode(text))] == [FIRST, SECOND]


@pytest.mark.parametrize("encode", [each for name, each in ENCODINGS.items() if name != "plain"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("contoso.onmicrosoft.com", "'contoso.onmicrosoft.com' is not a tenant ID"),
        (f"{FIRST}\ncontoso", "entry 2: 'contoso' is not"),
        ('{"tenantId": "contoso?>~"}', "'contoso"),
        (json.dumps({"tenantId": FIRST, "requestedBy": 7}), "one line"),
        ('{"tenantId": ', "not valid JSON"),
    ],
)
def test_the_reason_speaks_of_what_is_inside_base64(
    text: str, reason: str, encode: Callable[[str], bytes]
) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_drop(encode(text))

    assert str(caught.value).startswith("The message is base64, and inside it: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_the_reason_speaks_of_another_encoding_inside_base64(encoding: str) -> None:
    text = json.dumps({"tenantId": FIRST, "requestedBy": "Zoë"}, ensure_ascii=False)

    with pytest.raises(BadMessage, match="The message is base64, and inside it: "):
        parse_drop(base64.b64encode(text.encode(encoding)))


@pytest.mark.parametrize(
    "word", ["contoso", "fabrikam", "test-1", FIRST.replace("-", ""), FIRST[:-1]]
)
def test_the_reason_does_not_take_a_word_for_base64(word: str) -> None:
    with pytest.raises(BadMessage, match=f"'{word}"):
        parse_drop(word.encode())


STAMP = {"$AzureWebJobsParentId": "0c1d2e3f-4a5b-4c6d-8e7f-901122334455"}


@given(tenants, st.booleans(), st.text() | st.none(), encodings)
def test_the_stamp_of_an_output_binding_is_ignored(
    tenant: uuid.UUID, dry_run: bool, parent: str | None, encode: Callable[[str], bytes]
) -> None:
    request = {"tenantId": str(tenant), "dryRun": dry_run, "$AzureWebJobsParentId": parent}
    meant = DeletionRequest(TenantId(str(tenant)), dry_run=dry_run)
    step = StepMessage(meant.tenant, 3, "c")

    for form in (request, [request], [request, {**request, **STAMP}]):
        assert parse_drop(encode(json.dumps(form, indent=2))) == (meant,)
    forwarded = {**json.loads(meant.to_json()), **STAMP}
    assert parse_drop(encode(json.dumps(forwarded))) == (meant,)
    assert parse_step(json.dumps({**json.loads(step.to_json()), **STAMP}).encode()) == step


@pytest.mark.parametrize(
    "name",
    [
        "$azurewebjobsparentid",
        "AzureWebJobsParentId",
        "$AzureWebJobsParentId ",
        "$AzureWebJobs",
        "$id",
    ],
)
def test_a_member_that_is_only_like_the_stamp_is_rejected(name: str) -> None:
    step = json.loads(StepMessage(TenantId(FIRST), 3, "c").to_json())

    for body in ({"tenantId": FIRST, name: "x"}, [{"tenantId": FIRST, name: "x"}]):
        with pytest.raises(BadMessage, match="Unknown member"):
            parse_drop(json.dumps(body).encode())
    with pytest.raises(BadMessage, match="exactly"):
        parse_step(json.dumps({**step, name: "x"}).encode())


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("inserted_at", [NOW - HOUR, None])
def test_a_stamped_parcel_is_opened_like_an_unstamped_one(
    inserted_at: datetime | None, first: bool, indent: int | None
) -> None:
    for inner in (FIRST, f"{FIRST}\n{SECOND}"):
        sealed = Parcel(inner.encode(), inserted_at, NOW - HOUR).sealed()
        members = json.loads(sealed)
        stamped = {**STAMP, **members} if first else {**members, **STAMP}

        parcel = opened(json.dumps(stamped, indent=indent).encode(), NOW)

        assert parcel == opened(sealed.encode(), NOW)
        assert parcel.body == inner.encode()


@pytest.mark.parametrize("extra", [{"$azurewebjobsparentid": "x"}, {"x": 1}])
def test_a_parcel_with_another_member_is_not_opened(extra: dict[str, object]) -> None:
    members = json.loads(Parcel(FIRST.encode(), NOW - HOUR).sealed())
    body = json.dumps({**members, **extra}).encode()

    assert opened(body, NOW) == Parcel(body, NOW, NOW)
    with pytest.raises(BadMessage, match="put back is wrong"):
        parse_drop(body)


TRIP_MEMBERS = {"requestedBy": "ann", "reason": "odd", "at": NOW.isoformat(), "tripId": "trip-1"}
TRIP = SwitchState(True, "ann", '\ud800 "odd"', NOW, "trip-1")


def test_a_message_carries_a_trip_that_is_not_stored() -> None:
    step = StepMessage(TenantId(FIRST), 3, "c")

    parcel = opened(step.carrying(TRIP).encode(), NOW)

    assert parse_step(parcel.body) == step
    assert parcel.trip == TRIP


def test_a_message_that_is_put_back_as_it_is_keeps_its_trip() -> None:
    (text,) = opened(StepMessage(TenantId(FIRST), 3, "c").carrying(TRIP).encode(), NOW).messages()

    assert opened(text.encode(), NOW).trip == TRIP


@pytest.mark.parametrize(
    "trip",
    [True, "x", {}, {"reason": "x"}, {**TRIP_MEMBERS, "tripId": ""}, {**TRIP_MEMBERS, "at": "x"}],
)
def test_a_trip_that_is_not_as_tipsweep_writes_it_rejects_its_message(trip: object) -> None:
    members = json.loads(Parcel(FIRST.encode(), NOW).sealed())
    body = json.dumps({**members, "trip": trip}).encode()

    assert opened(body, NOW) == Parcel(body, NOW, NOW)
    with pytest.raises(BadMessage, match=r"The trip in a message|a time with its zone"):
        parse_drop(body)


def test_a_stamp_alone_is_no_request() -> None:
    with pytest.raises(BadMessage, match="tenantId"):
        parse_drop(json.dumps(STAMP).encode())


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
    st.integers(0, 10**6),
    st.none() | KNOWN_TIMES,
)
def test_a_forwarded_request_survives_the_queue(
    tenant: uuid.UUID,
    requested_by: str,
    dry_run: bool,
    attempt: int,
    dropped_at: datetime | None,
) -> None:
    request = DeletionRequest(TenantId(str(tenant)), requested_by, dry_run, attempt)

    parcel = opened(request.sealed(dropped_at).encode(), dropped_at and dropped_at + HOUR)

    assert parse_drop(parcel.body) == (request,)
    assert parcel.inserted_at == dropped_at


LARGEST = 65_536


@pytest.mark.parametrize("letter", ["ü", "e", "漢", "😀", '"'])
@pytest.mark.parametrize("length", [190, 100])
def test_a_put_back_drop_fits_into_messages_that_ask_for_the_same(letter: str, length: int) -> None:
    entries = [{"tenantId": str(uuid.uuid4()), "requestedBy": letter * length} for _ in range(75)]
    body = json.dumps(entries, ensure_ascii=False).encode()[:LARGEST]
    drop = parse_drop(body)

    texts = opened(body, NOW).messages()

    assert all(len(text.encode()) <= LARGEST for text in texts)
    parcels = [opened(text.encode(), NOW + HOUR) for text in texts]
    assert {each.inserted_at for each in parcels} == {NOW}
    assert tuple(request for each in parcels for request in parse_drop(each.body)) == drop


@pytest.mark.parametrize("body", [b"\xff\xfe", "a\uffffb\ufffe".encode(), "\u0085\x7fü".encode()])
def test_any_bytes_are_put_back_in_a_text_that_xml_can_hold(body: bytes) -> None:
    (text,) = opened(body, NOW).messages()

    assert not {"\ufffe", "\uffff"} & set(text)
    assert opened(text.encode(), NOW).body == body


LARGE = {
    "quotes": b'"' * LARGEST,
    "line breaks": b"\n" * LARGEST,
    "no text": b"\xff" * (LARGEST // 4 * 3),
    "a long correlation ID": StepMessage(TenantId(FIRST), 1, '"' * 32_000).to_json().encode(),
    "a parcel that is none": b'{"putBack": 1, "x": "' + b"\\n" * 32_000 + b'"}',
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE.keys())
def test_what_asks_for_nothing_fits_into_one_message_however_large_it_was(body: bytes) -> None:
    again = opened(body, NOW)
    for _ in range(3):
        (text,) = again.messages()
        assert len(text.encode()) <= LARGEST
        again = opened(text.encode(), NOW)

    assert again.body in {body, base64.b64encode(body)}


def test_a_large_message_inside_two_parcels_is_not_freed_from_both() -> None:
    inner = Parcel((FIRST + " " * 62_000).encode(), NOW).sealed()

    parcel = opened(Parcel(inner.encode() + b" " * 60_000, NOW).sealed().encode(), NOW)
    (text,) = parcel.messages()

    assert opened(text.encode(), NOW).body == parcel.body


def forwarded_before(**members: object) -> bytes:
    """Return a request as the version before has forwarded it."""
    return json.dumps(
        {
            "version": 1,
            "tenantId": FIRST,
            "requestedBy": "ann",
            "dryRun": True,
            "droppedAt": None,
            "attempt": 2,
            **members,
        }
    ).encode()


@pytest.mark.parametrize("dropped_at", [None, NOW - HOUR, NOW + HOUR])
def test_a_request_that_the_version_before_forwarded_is_read(dropped_at: datetime | None) -> None:
    parcel = opened(forwarded_before(droppedAt=dropped_at and dropped_at.isoformat()), NOW)

    assert parse_drop(parcel.body) == (DeletionRequest(TenantId(FIRST), "ann", True, 2),)
    assert parcel.inserted_at == (dropped_at and min(dropped_at, NOW))
    assert parcel.known_since == min(dropped_at or NOW, NOW)


@pytest.mark.parametrize("known_since", [None, NOW])
def test_an_unknown_time_of_insertion_stays_unknown(known_since: datetime | None) -> None:
    unknown = Parcel(b"x", None, known_since)

    once = opened(unknown.sealed().encode(), NOW + HOUR)
    twice = opened(once.sealed().encode(), NOW + 2 * HOUR)

    assert once == twice == Parcel(b"x", None, known_since or NOW + HOUR)


@pytest.mark.parametrize("moved", [False, True])
def test_a_message_that_the_host_moved_was_inserted_nobody_knows_when(moved: bool) -> None:
    parcel = opened(b"x", NOW, moved=moved)

    assert parcel == Parcel(b"x", None if moved else NOW, NOW)


@pytest.mark.parametrize("moved", [False, True])
def test_a_message_that_was_put_back_says_when_it_was_inserted_wherever_it_is(moved: bool) -> None:
    parcel = opened(Parcel(b"x", NOW, NOW).sealed().encode(), NOW + HOUR, moved=moved)

    assert parcel == Parcel(b"x", NOW, NOW)


def test_a_message_that_is_put_back_for_the_last_time_says_so() -> None:
    parcel = Parcel(b"x", NOW, NOW, last_try=True)

    assert opened(parcel.sealed().encode(), NOW + HOUR, moved=True) == parcel


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_anything_but_true_is_no_last_try(value: object) -> None:
    members = {"putBack": "x", "firstInsertedAt": "", "lastTry": value}

    assert not opened(json.dumps(members).encode(), NOW).last_try


def with_time(form: str, time: object) -> tuple[bytes, Callable[[bytes], object]]:
    """Return a message whose time somebody has written by hand, and what reads it."""
    if form == "forwarded":
        return forwarded_before(droppedAt=time), parse_drop
    step = StepMessage(TenantId(FIRST), 1, "c")
    inner = step.to_json() if form == "step" else FIRST
    name = "knownSince" if form == "known_since" else "firstInsertedAt"
    parcel = json.dumps({"putBack": inner, "firstInsertedAt": "", name: time})
    return parcel.encode(), parse_step if form == "step" else parse_drop


@given(
    st.sampled_from(["parcel", "step", "forwarded"]),
    st.datetimes(timezones=st.none() | st.timezones() | st.just(timezone(timedelta(hours=-14)))),
)
@example("parcel", datetime.max.replace(tzinfo=UTC))
@example("forwarded", datetime.min.replace(tzinfo=UTC))
def test_a_time_in_a_message_is_between_2010_and_2199_or_the_message_is_rejected(
    form: str, time: datetime
) -> None:
    body, parse = with_time(form, time.isoformat())

    parcel = opened(body, NOW)

    assert parcel.inserted_at is not None
    assert parcel.inserted_at <= NOW
    if time.tzinfo and 2010 <= time.year <= 2199:
        parse(parcel.body)
        # A time that the clocks skip equals none in another zone.
        assert parcel.inserted_at == min(time.astimezone(UTC), NOW)
    else:
        assert parcel.inserted_at == NOW
        with pytest.raises(BadMessage, match="a time with its zone, between the years 2010"):
            parse(parcel.body)


@pytest.mark.parametrize("form", ["parcel", "known_since", "step", "forwarded"])
@given(time=st.text(max_size=40).filter(bool) | st.integers() | st.booleans() | st.just([]))
def test_what_is_no_time_rejects_the_message(form: str, time: object) -> None:
    body, parse = with_time(form, time)

    with pytest.raises(BadMessage, match="a time with its zone"):
        parse(opened(body, NOW).body)


@pytest.mark.parametrize("members", [{"putBack": 7}, {"force": True}, {"putBack": None}])
@pytest.mark.parametrize("parse", [parse_drop, parse_step])
def test_a_message_that_only_looks_put_back_is_rejected(
    members: dict[str, object], parse: Callable[[bytes], object]
) -> None:
    body = json.dumps({"putBack": FIRST, "firstInsertedAt": "", **members}).encode()

    with pytest.raises(BadMessage, match="text in putBack"):
        parse(opened(body, NOW).body)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"force": True},
        {"attempt": -1},
        {"attempt": True},
        {"droppedAt": "yesterday"},
        {"droppedAt": "2026-11-28T06:00:00"},
        {"droppedAt": "9999-12-31T00:00:00+00:00"},
        {"dryRun": "false"},
        {"requestedBy": None},
    ],
)
def test_a_forwarded_request_of_any_other_shape_is_rejected(changes: dict[str, object]) -> None:
    members = {**json.loads(DeletionRequest(TenantId(FIRST), attempt=1).to_json()), **changes}

    with pytest.raises(BadMessage):
        parse_drop(json.dumps(members).encode())


@given(tenants, st.integers(1, 2**31 - 1), st.text(string.printable, max_size=40))
def test_a_step_message_survives_the_queue(
    tenant: uuid.UUID, generation: int, correlation_id: str
) -> None:
    step = StepMessage(TenantId(str(tenant)), generation, correlation_id)

    assert parse_step(step.to_json().encode()) == step


@given(json_values | st.integers(max_value=0) | st.integers(min_value=2**31))
def test_a_generation_that_no_record_holds_is_rejected(generation: object) -> None:
    if type(generation) is int and 1 <= generation < 2**31:
        return
    members = {**json.loads(StepMessage(TenantId(FIRST), 3, "c").to_json())}

    with pytest.raises(BadMessage, match="in generation") as caught:
        parse_step(json.dumps({**members, "generation": generation}).encode())

    assert caught.value.tenant == FIRST


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
