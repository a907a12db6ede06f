"""Domains are compared in one form, and a pattern that can match none is an error."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domains import NotADomainPattern, comparable, domain_pattern, matches

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(
    lambda label: label[2:4] != "--"
)
DOMAINS = st.builds("{}.{}.com".format, LABELS, LABELS)


@pytest.mark.parametrize(
    ("word", "pattern"),
    [
        ("keep-*", "keep-*"),
        ("KEEP-*.OnMicrosoft.com", "keep-*.onmicrosoft.com"),
        ("contoso.com", "contoso.com"),
        ("contoso.com.", "contoso.com"),
        ("*", "*"),
        ("*.contoso.*", "*.contoso.*"),
        ("tip?.onmicrosoft.com", "tip?.onmicrosoft.com"),
        ("365-contoso.com", "365-contoso.com"),
        ("keep-1.*", "keep-1.*"),
        ("*keep*", "*keep*"),
        ("*-keep.*", "*-keep.*"),
        ("*-keep.com", "*-keep.com"),
        ("contoso.c?", "contoso.c?"),
        ("contoso.c*", "contoso.c*"),
        ("MÜLLER.example", "xn--mller-kva.example"),
        ("mu\u0308ller.example", "xn--mller-kva.example"),
        ("*.müller.example", "*.xn--mller-kva.example"),
        ("XN--MLLER-KVA.example", "xn--mller-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_a_pattern_has_one_form(word: str, pattern: str) -> None:
    assert domain_pattern(word) == pattern


@pytest.mark.parametrize(
    "word",
    [
        '"keep-*"',
        "'keep-*'",
        "\u201ckeep-*\u201d",
        '["keep-*"]',
        "[keep-*]",
        "{keep-*}",
        "(keep-*)",
        "keep-*\u200b",
        "\ufeffkeep-*",
        "keep\u00ad-*",
        "keep\u2010*",
        "keep-\u2217",
        "\uff4beep-*",
        "keep-*|hold-*",
        "keep-*/hold-*",
        "keep-*:hold-*",
        "keep-*\uff0chold-*",
        "keep-*\u3001hold-*",
        "keep-*&hold-*",
        "admin@contoso.com",
        "@contoso.com",
        "https://contoso.com",
        "contoso.com/",
        "contoso.com:443",
        "10.0.0.1",
        "^keep-.*$",
        "keep-.*",
        ".*",
        r"contoso\.com",
        "keep-[0-9]+",
        "(keep|hold)-x.com",
        "!contoso.com",
        "contoso",
        "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10",
        ".contoso.com",
        "contoso..com",
        "-contoso.com",
        "contoso-.com",
        "under_score.com",
        "mü*.example",
        ".",
        "?",
        "true",
        "a" * 64 + ".com",
        "*-keep",
        "*keep",
        "keep-*-x",
        "tip*demo",
        "*.c-m",
        "*.c*m",
        "*.c1m",
        "*.com-",
        "n.a",
        "*.c",
        "tipdemo.?",
        "contoso.xn--",
        ".".join(["a" * 60] * 5) + ".com",
        "*." + ".".join(["a" * 60] * 5) + ".*",
    ],
)
def test_a_word_that_no_domain_can_match_is_an_error(word: str) -> None:
    with pytest.raises(NotADomainPattern, match="expected a domain such as"):
        domain_pattern(word)


@pytest.mark.parametrize(
    ("word", "visible"),
    [
        ("keep-*\u200b", r"keep-*\u200b"),
        ("\ufeffkeep-*", r"\ufeffkeep-*"),
        ("ke\u00adep-*", r"ke\xadep-*"),
        ("keep-*\x00", r"keep-*\x00"),
    ],
)
def test_the_error_shows_what_cannot_be_seen(word: str, visible: str) -> None:
    with pytest.raises(NotADomainPattern) as caught:
        domain_pattern(word)

    assert visible in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "form"),
    [
        ("Keep.OnMicrosoft.com", "keep.onmicrosoft.com"),
        (" keep.example. ", "keep.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
    ],
)
def test_a_listed_domain_has_the_same_form(domain: str, form: str) -> None:
    assert comparable(domain) == form


@pytest.mark.parametrize(
    "domain",
    [
        "",
        " ",
        "contoso",
        "contoso.c",
        "contoso.c-m",
        "keep\u200b.example",
        "*.example",
        "a b.example",
        "\ud83d.com",
    ],
)
def test_what_is_no_domain_cannot_be_compared(domain: str) -> None:
    assert comparable(domain) is None


@given(DOMAINS)
def test_every_domain_matches_itself_and_its_beginning(domain: str) -> None:
    form = comparable(domain)

    assert form is not None
    assert matches(form, domain_pattern(domain.upper()))
    assert matches(form, domain_pattern(domain.split(".")[0] + "*"))


@given(st.text() | DOMAINS)
def test_any_text_is_a_domain_in_one_form_or_none(text: str) -> None:
    form = comparable(text)

    assert form is None or (form.isascii() and comparable(form) == form)


@given(st.text())
def test_any_word_is_a_pattern_that_a_domain_matches_or_an_error(word: str) -> None:
    try:
        pattern = domain_pattern(word)
    except NotADomainPattern:
        return
    domain = comparable(pattern.replace("*", "a.bc").replace("?", "a"))
    assert domain is not None
    assert fnmatchcase(domain, pattern)
