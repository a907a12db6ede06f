"""The table of refusals: each code has its meaning, a remedy, and Microsoft's page."""

import re
from collections import Counter
from pathlib import Path

import pytest

from shared.partner_center.refusals import BY_CODE, LIST_PAGE, ROWS, Meaning, Row, Source

ROOT = Path(__file__).parents[2]

ACTS = (Meaning.REFUSED, Meaning.MISCONFIGURED)

# One code for each cause that the four ways to sign in can meet, with a word of its remedy.
CAUSES = [
    (90002, Meaning.MISCONFIGURED, "PARTNER_TENANT_ID", "tenant ID"),
    (700016, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "sandbox tenant"),
    (7000112, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "Enable"),
    (7000229, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "az ad sp create"),
    (65001, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "consent"),
    (7000215, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_SECRET", "not its ID"),
    (7000222, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_SECRET", "another client secret"),
    (700027, Meaning.REFUSED, "PARTNER_CENTER_CERTIFICATE_NAME", "Upload"),
    (1000502, Meaning.REFUSED, "PARTNER_CENTER_CERTIFICATE_NAME", "valid now"),
    (700211, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "issuer is"),
    (700213, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "subject is"),
    (700212, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "audience is"),
    (50057, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "Enable the account"),
    (50133, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "local.consent"),
    (50076, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "MFA"),
    (53003, Meaning.REFUSED, "PARTNER_CENTER_CLIENT_ID", "policy"),
    (700082, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "local.consent"),
    (50173, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "local.consent"),
    (70000, Meaning.REFUSED, "REFRESH_TOKEN_SECRET_NAME", "this application"),
]


@pytest.mark.parametrize(("code", "meaning", "setting", "remedy"), CAUSES)
def test_each_cause_has_its_setting_and_its_remedy(
    code: int, meaning: Meaning, setting: str, remedy: str
) -> None:
    row = BY_CODE[code]

    assert row.meaning is meaning
    assert row.settings[0] == setting
    assert remedy in row.remedy


@pytest.mark.parametrize("code", [90033, 90006, 90012, 90024, 50033, 50087])
def test_a_code_that_passes_is_no_refusal(code: int) -> None:
    assert BY_CODE[code].meaning is Meaning.TRANSIENT


@pytest.mark.parametrize("code", [50196, 90055])
def test_a_code_of_throttling_is_no_refusal(code: int) -> None:
    assert BY_CODE[code].meaning is Meaning.THROTTLED


def test_no_code_has_two_rows() -> None:
    assert [code for code, times in Counter(row.code for row in ROWS).items() if times > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_complete(row: Row) -> None:
    assert re.fullmatch(r"[A-Z].*\.", row.cause)
    assert re.fullmatch(r"[A-Z].*\.", row.remedy)
    assert row.page.startswith("https://")
    assert row.meaning in ACTS or not row.settings


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_names_settings_that_exist(row: Row) -> None:
    listed = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [name for name in row.settings if f"`{name}`" not in listed] == []


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.source is Source.OBSERVED], ids=lambda row: row.name
)
def test_a_code_that_no_page_lists_refers_to_the_lookup_of_entra(row: Row) -> None:
    assert row.page.endswith(f"/error?code={row.code}")


def test_most_codes_are_in_microsofts_list() -> None:
    listed = [row for row in ROWS if row.source is Source.LIST]

    assert LIST_PAGE in {row.page for row in listed}
    assert len(listed) > len(ROWS) * 0.8
