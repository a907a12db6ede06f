"""Foreign text is read whole: what no encoding takes is replaced, and nothing else changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inputs import readable, readable_json

HALVES = "".join(map(chr, range(0xD800, 0xE000)))
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from(HALVES + "\\u\"'A"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Contoso", "Contoso"),
        ("Contoso \U0001f600 Zoë", "Contoso \U0001f600 Zoë"),
        ("\ufeffContoso", "\ufeffContoso"),
        ("Contoso \ud83d", "Contoso \ufffd"),
        ("\ude00 Contoso", "\ufffd Contoso"),
        ("a\ud83db", "a\ufffdb"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_each_half_of_a_character_is_replaced(text: str, read: str) -> None:
    assert readable(text) == read
    assert json.loads(readable_json(json.dumps(text))) == read


@given(ANY_TEXT)
def test_every_text_can_be_encoded_once_it_is_read(text: str) -> None:
    read = readable(text)

    assert read.encode().decode() == read
    assert readable(read) == read


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_without_halves_stays_as_it_is(text: str) -> None:
    assert readable(text) == text
    assert json.loads(readable_json(json.dumps(text))) == text


@given(JSON_VALUES, st.booleans())
def test_every_text_in_json_can_be_encoded_once_it_is_read(value: object, escaped: bool) -> None:
    text = readable_json(json.dumps(value, ensure_ascii=escaped))

    json.dumps(json.loads(text), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\uD83D\uDE00"', "\U0001f600"),
        (r'"\ud83D"', "\ufffd"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\ud83d\n"', "\ufffd\n"),
        (r'"\ud83d\u0041"', "\ufffdA"),
        (r'{"\udc00": ["\udfff"]}', {"\ufffd": ["\ufffd"]}),
    ],
)
def test_escapes_in_json_are_told_apart(text: str, value: object) -> None:
    assert json.loads(readable_json(text)) == value
