"""Every Bicep file can be read, is described, and names no secret."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from tree_sitter import Node

from tests.infra.bicep import (
    FILES,
    INFRA,
    PARAMETER_FILES,
    ROOT,
    assignments,
    decorated_with,
    modules,
    outputs,
    parameters,
    parse,
    relative,
    resources,
    string,
    text,
    tree,
    walk,
)

MAIN = INFRA / "main.bicep"
HOSTS = [INFRA / "modules/flex.bicep", INFRA / "modules/dedicated.bicep"]
JSON_FILES = sorted(INFRA.rglob("*.json"))
# The width in bicepconfig.json: the compiler's formatter breaks longer lines, comments excepted.
WIDTH = 120
SWITCHED_OFF = "what-if-short-circuiting"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_parses(path: Path) -> None:
    assert not tree(path).has_error


def test_a_missing_brace_does_not_parse() -> None:
    assert parse(b"var a = {\n  b: 'c'\n").has_error


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_each_member_of_an_object_has_a_line_or_a_comma_of_its_own(path: Path) -> None:
    """The grammar takes two members on one line; the compiler does not."""
    assert run_together(tree(path)) == []


def test_two_members_on_one_line_are_noticed() -> None:
    assert run_together(parse(b"var a = {\n  b: 1 c: 2\n}\n"))


def run_together(root: Node) -> list[str]:
    found = []
    for node in walk(root, "object"):
        members = [child for child in node.named_children if child.type == "object_property"]
        for one, other in pairwise(members):
            between = text(node)[
                one.end_byte - node.start_byte : other.start_byte - node.start_byte
            ]
            if "\n" not in between and "," not in between:
                found.append(text(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_line_is_wider_than_the_formatter_leaves_it(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_parameter_and_output_is_described(path: Path) -> None:
    undescribed = [p.name for p in parameters(path).values() if "description" not in p.decorators]
    undescribed += [
        n for n, node in outputs(path).items() if "description" not in decorated_with(node)
    ]

    assert undescribed == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_takes_or_reads_a_secret(path: Path) -> None:
    """Neither a secure parameter nor a key that ARM could hand out, so none can reach an output."""
    calls = {text(node.named_children[0]) for node in walk(tree(path), "call_expression")}

    assert all("secure" not in p.decorators for p in parameters(path).values())
    assert not {call for call in calls if re.match(r"list[A-Z]|getSecret", call.split(".")[-1])}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_secrets_are_stored_by_people_only(path: Path) -> None:
    """A secret in the template would become a new version over the live one at each deployment."""
    assert "Microsoft.KeyVault/vaults/secrets" not in {one.type for one in resources(path)}


def test_every_module_is_used() -> None:
    used = {(path.parent / file).resolve() for path in FILES for file, _ in modules(path).values()}

    assert used == set(FILES) - {MAIN}


@pytest.mark.parametrize("path", JSON_FILES, ids=relative)
def test_a_json_file_parses(path: Path) -> None:
    assert json.loads(path.read_text())


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=relative)
def test_a_parameter_file_uses_main_bicep(path: Path) -> None:
    using = re.search(r"^using '([^']+)'$", path.read_text(), re.MULTILINE)

    assert using
    assert (path.parent / using[1]).resolve() == MAIN


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=relative)
def test_a_parameter_file_sets_what_main_bicep_needs_and_knows(path: Path) -> None:
    declared = parameters(MAIN)
    required = {name for name, parameter in declared.items() if parameter.default is None}

    assert required <= assignments(path).keys() <= declared.keys()


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=relative)
def test_a_parameter_file_sets_only_allowed_values(path: Path) -> None:
    declared = parameters(MAIN)
    constrained = {
        n: v for n, v in assignments(path).items() if "allowed" in declared[n].decorators
    }

    for name, value in constrained.items():
        fixed = re.fullmatch(r"(?:readEnvironmentVariable\('\w+', )?'([^']*)'\)?", value)
        assert fixed, f"{name} = {value}"
        assert fixed[1] in declared[name].allowed


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=relative)
def test_no_parameter_file_lets_the_sweep_delete_by_default(path: Path) -> None:
    assert "'delete'" not in assignments(path)["sweepMode"]


@pytest.mark.parametrize("cloud", ["usgov", "china"])
def test_clouds_without_flex_are_hosted_on_a_dedicated_plan(cloud: str) -> None:
    given = assignments(INFRA / f"params/{cloud}.bicepparam")

    assert given["hostingModel"] == "'dedicated'"
    assert given["entraTelemetry"] == "false"
    assert given["partnerCenterCloud"] == f"'{cloud}'"


def test_azd_finds_the_app_it_deploys_to() -> None:
    """It looks for the tag with the service's name, and stores the outputs as its environment."""
    azure_yaml = (ROOT / "azure.yaml").read_text()
    apps = [r for path in HOSTS for r in resources(path) if r.type == "Microsoft.Web/sites"]

    assert re.search(r"^services:\n  api:\n    project: \.\n", azure_yaml, re.MULTILINE)
    assert len(apps) == len(HOSTS)
    assert all("'azd-service-name': 'api'" in text(app.properties["tags"]) for app in apps)
    assert "SERVICE_API_NAME" in outputs(MAIN)


def test_every_linter_rule_that_is_configured_is_an_error() -> None:
    """But for the one that a directive switches off in places, which is sure for a warning only."""
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]

    assert len(rules) > 30
    assert {name for name, rule in rules.items() if rule["level"] != "error"} == {SWITCHED_OFF}
    assert rules[SWITCHED_OFF]["level"] == "warning"


def test_only_role_assignments_wait_for_a_value_that_names_them() -> None:
    """What-if tells what changes in a module only if its names are known from the start."""
    directive = re.compile(rf"#disable-next-line {SWITCHED_OFF}\n +(\w+):")
    given = {name for path in FILES for name in directive.findall(path.read_text())}

    assert given == {"appPrincipalId", "senderPrincipalId"}


def test_alert_rules_have_their_version_in_one_place() -> None:
    """Which version Azure takes differs between clouds."""
    used = [
        v for path in FILES for v in re.findall(r"scheduledQueryRules@(\S+)'", path.read_text())
    ]

    assert used == ["2026-03-01"]


def test_main_bicep_deploys_to_a_resource_group() -> None:
    scope = next(walk(tree(MAIN), "target_scope_assignment"))

    assert "resourceGroup" in {string(node) for node in walk(scope, "string")}
