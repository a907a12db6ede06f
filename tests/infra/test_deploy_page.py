"""docs/deploy.md names what the Bicep files have, and its sums add up."""

import re

import pytest

from functions.pages.status_page import REFRESH_SECONDS
from shared.storage.names import POISON_QUEUES, QUEUES
from shared.storage.names import TABLES as TABLES_OF_CODE
from tests.infra.bicep import INFRA, ROOT, outputs, parameters, text
from tests.infra.test_alerts import ALERTS
from tests.infra.test_roles import ASSIGNMENTS

PAGE = (ROOT / "docs/deploy.md").read_text()
MAIN = INFRA / "main.bicep"
WORDS = ("no", "one", "two", "three", "four", "five", "six")
MARK = "# not run against a live subscription"
TABLES = [
    [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
    for block in re.findall(r"^\|[^\n]*(?:\n\|[^\n]*)+", PAGE, re.MULTILINE)
]
COSTS = [table for table in TABLES if table[-1][0] == "total"]


def test_the_table_of_the_environment_is_what_azd_passes_on() -> None:
    read = re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text())
    table = next(table for table in TABLES if table[0][0] == "`AZURE_ENV_NAME`")

    assert sorted(re.findall(r"`(\w+)`", " ".join(row[0] for row in table))) == sorted(read)


def test_the_roles_that_somebody_else_assigns_are_those_of_the_template() -> None:
    """By their number: Microsoft's names for them are on the page only."""
    table = next(table for table in TABLES if table[0][1] == "storage account")
    named = [role for row in table for role in row[0].split(", ")]

    assert len(named) == len({role for _, who, role, _ in ASSIGNMENTS if who == "appPrincipalId"})


def test_every_output_that_the_page_asks_for_exists() -> None:
    asked = set(re.findall(r"azd env get-value (\w+)|<([A-Z_]+)>", PAGE))

    assert {one or other for one, other in asked} <= outputs(MAIN).keys()


def test_every_command_is_marked_as_long_as_nobody_has_run_it() -> None:
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    commands = [block for block in blocks if re.search(r"\b(?:az|azd|curl) ", block)]

    assert len(commands) > 15
    assert [block for block in commands if block.split("\n")[0].strip() != MARK] == []


def test_keys_are_read_through_azure_resource_manager() -> None:
    """`az functionapp keys list` prints nothing in Azure CLI 2.87 (azure-cli issue 33580)."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    reading = {
        document.name: re.findall(r"keys list --|host/default/listkeys", document.read_text())
        for document in documents
    }

    assert {name: ways for name, ways in reading.items() if ways} == {
        "deploy.md": ["host/default/listkeys"]
    }


def test_no_command_names_a_tool_that_easy_auth_shuts_out() -> None:
    for document in ROOT.glob("docs/*.md"):
        assert not re.search(r"config-zip|func azure", document.read_text()), document.name


def test_the_open_page_reloads_as_often_as_its_costs_say() -> None:
    loads = 30 * 24 * 3600 // REFRESH_SECONDS

    assert f"every {REFRESH_SECONDS} seconds" in PAGE
    assert COSTS[2][1][1].startswith(f"{loads:,} ")


def test_the_secrets_have_the_names_that_the_app_reads() -> None:
    for name in ("clientSecretName", "certificateName", "refreshTokenSecretName"):
        default = parameters(MAIN)[name].default
        assert default is not None
        assert f"--name {text(default).strip(chr(39))} " in PAGE


def amount(arithmetic: str) -> float:
    """Multiply the numbers of the last part after `=`, and divide by the one after the slash."""
    last = arithmetic.replace(",", "").split("=")[-1]
    product, *divisor = last.split("/")
    result = 1.0
    for factor in product.split("\N{MULTIPLICATION SIGN}"):
        number = re.search(r"[\d.]+", factor)
        assert number, arithmetic
        result *= float(number.group())
    return result / float(divisor[0]) if divisor else result


@pytest.mark.parametrize("table", COSTS, ids=["idle", "1,000 deletions", "open page"])
def test_the_arithmetic_of_the_costs_is_right(table: list[list[str]]) -> None:
    for item, arithmetic, cost in table[:-1]:
        assert amount(arithmetic) == pytest.approx(float(cost), abs=0.0051), item
    assert float(table[-1][2]) == pytest.approx(sum(float(row[2]) for row in table[:-1]))


def test_the_page_counts_queues_tables_and_workflows_as_they_are() -> None:
    created = {row[0]: row[1] for row in TABLES[0] if len(row) == 2}
    polling = next(row for row in COSTS[0] if row[0].startswith("polling"))
    workflows = list((INFRA / "workflows").glob("*.json"))
    queues, tables = WORDS[len(QUEUES)], WORDS[len(TABLES_OF_CODE)]

    assert created["storage account"].startswith(
        f"{queues} queues, each with its poison queue, {tables} tables"
    )
    assert f"{WORDS[len(workflows)]} Logic Apps" in created
    assert polling[0] == f"polling {len(QUEUES) + len(POISON_QUEUES)} queues every 10 s"


def test_every_alert_is_in_the_costs() -> None:
    row = next(row for row in COSTS[0] if row[0] == "alerts")

    assert row[1].startswith(f"{len(ALERTS)} rules")
