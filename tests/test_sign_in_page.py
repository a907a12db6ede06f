"""The page about signing in agrees with the table of refusals."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from shared.partner_center.refusals import ROWS, Meaning, Row
from shared.partner_center.token_refusals import TOKEN_REFUSALS
from shared.partner_center.verdicts import Refused
from shared.settings import Auth

PAGE = (Path(__file__).parents[1] / "docs/sign-in.md").read_text(encoding="utf-8")
ACTS = (Meaning.REFUSED, Meaning.MISCONFIGURED)


def lines() -> Iterator[str]:
    """Yield a line of the page for each cause, with the codes that share it."""
    for _, group in groupby((row for row in ROWS if row.meaning in ACTS), lambda row: row.cause):
        rows = list(group)
        codes = ", ".join(f"[{row.code}]({row.page})" for row in rows)
        names = ", ".join(f"`{name}`" for name in rows[0].settings)
        cells = (codes, rows[0].cause, marked(rows[0]), names or "-", str(rows[0].source))
        yield f"| {' | '.join(cells)} |"


def marked(row: Row) -> str:
    """Return the remedy with its placeholders and commands as code."""
    text = row.remedy.replace("python -m local.consent", "`python -m local.consent`")
    for word in ("<tenant ID>", "<client ID>"):
        text = text.replace(word, word.replace("<", "&lt;").replace(">", "&gt;"))
    return text


def test_the_page_lists_every_refusal_with_its_remedy() -> None:
    missing = [line for line in lines() if line not in PAGE]

    assert missing == [], "\n".join(lines())


def test_the_page_lists_no_refusal_that_the_table_has_not() -> None:
    table = PAGE.partition("## What a refusal means")[2].partition("\n## ")[0]
    listed = [line for line in table.splitlines() if line.startswith("| [")]

    assert listed == list(lines())


@pytest.mark.parametrize("meaning", [Meaning.TRANSIENT, Meaning.THROTTLED])
def test_the_page_lists_the_codes_that_pass(meaning: Meaning) -> None:
    codes = ", ".join(str(row.code) for row in ROWS if row.meaning is meaning)

    assert codes in PAGE


@pytest.mark.parametrize("auth", list(Auth))
def test_the_page_compares_and_explains_every_way_to_sign_in(auth: Auth) -> None:
    assert f"| `{auth}` |" in PAGE
    assert f"### `{auth}`" in PAGE


@pytest.mark.parametrize("refusal", TOKEN_REFUSALS, ids=lambda refusal: refusal.code)
def test_the_page_lists_what_a_rejected_token_means(refusal: Refused) -> None:
    remedy = refusal.remedy
    for command in ("python -m local.consent", "PARTNER_CENTER_AUTH=user"):
        remedy = remedy.replace(command, f"`{command}`")
    names = ", ".join(f"`{name}`" for name in refusal.settings)

    assert f"| `{refusal.code}` | {refusal.meaning} | {remedy} | {names or '-'} |" in PAGE
