"""checkov finds nothing in the Bicep files that is not suppressed with a reason."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import FILES, INFRA, ROOT

pytestmark = pytest.mark.slow

CHECKOV = ROOT / ".venv-checkov/bin/checkov"
OPEN_ACCOUNT = """resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: 'open'
  location: 'westeurope'
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    minimumTlsVersion: 'TLS1_0'
  }
}
"""


# checkov skips a file in which a parameter says what its array or object holds, and one with
# functions that its parser does not know.
TYPED = re.compile(r"^(param \w+) (?:(string\[\])|\{ \*: string \})", re.MULTILINE)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Scan a copy without what checkov's parser does not know; no line moves."""
    copy = shutil.copytree(INFRA, tmp_path_factory.mktemp("checkov") / "infra")
    for path in copy.rglob("*.bicep"):
        source = TYPED.sub(plainly_typed, path.read_text())
        path.write_text(source.replace(" fail(", " string(").replace(" deployer(", " tenant("))
    return scan(copy)


def plainly_typed(match: re.Match[str]) -> str:
    return f"{match[1]} {'array' if match[2] else 'object'}"


def scan(folder: Path) -> dict[str, Any]:
    """Return what checkov says; it ends with 0 although it skips a file that it cannot parse."""
    if not CHECKOV.exists():
        pytest.fail(f"{CHECKOV.relative_to(ROOT)} is missing: run make .venv-checkov/.ready")
    command = [
        *(str(CHECKOV), "--directory", str(folder), "--framework", "bicep"),
        *("--skip-download", "--compact", "--output", "json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return dict(json.loads(done.stdout))


def test_checkov_sees_an_open_account_and_a_file_it_cannot_parse(tmp_path: Path) -> None:
    """So that an empty list in the other tests means something."""
    (tmp_path / "open.bicep").write_text(OPEN_ACCOUNT)
    (tmp_path / "broken.bicep").write_text("param names string[]\n")

    report = scan(tmp_path)

    assert "CKV_AZURE_44" in {check["check_id"] for check in report["results"]["failed_checks"]}
    assert report["results"]["parsing_errors"] == [str(tmp_path / "broken.bicep")]


def test_no_file_is_skipped(report: dict[str, Any]) -> None:
    """Files without resources are parsed but leave no trace in the results."""
    checked = {
        check["file_path"].lstrip("/")
        for kind in ("passed_checks", "skipped_checks", "failed_checks")
        for check in report["results"][kind]
    }

    assert report["results"]["parsing_errors"] == []
    assert report["summary"]["resource_count"] > len(FILES)
    assert {
        "modules/storage.bicep",
        "modules/keyvault.bicep",
        "modules/flex.bicep",
        "modules/dedicated.bicep",
    } <= checked


def test_nothing_is_found(report: dict[str, Any]) -> None:
    failed = report["results"]["failed_checks"]

    assert [(c["check_id"], c["resource"], c["check_name"]) for c in failed] == []


def test_every_suppression_says_why(report: dict[str, Any]) -> None:
    reasons = {
        (check["check_id"], check["resource"]): check["check_result"]["suppress_comment"]
        for check in report["results"]["skipped_checks"]
    }

    assert {key: why for key, why in reasons.items() if len(why.split()) < 4} == {}


def test_every_suppression_names_a_check_that_applies(report: dict[str, Any]) -> None:
    written = sum(path.read_text().count("// checkov:skip=") for path in FILES)

    assert len(report["results"]["skipped_checks"]) == written
