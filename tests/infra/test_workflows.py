"""The sample workflows speak the contract of the app and sign in without a secret."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.api.sandbox import MODES
from shared.settings import SweepMode
from shared.storage.records import TERMINAL
from shared.storage.sweeps import SweepState
from tests.infra.bicep import (
    INFRA,
    ROOT,
    Resource,
    parameters,
    properties,
    resources,
    string,
    text,
    variables,
)

FOLDER = INFRA / "workflows"
TEMPLATE = INFRA / "modules/logicapps.bicep"
DEFINITION = re.compile(r"loadJsonContent\('../workflows/([\w-]+\.json)'\)")
DELETE = json.loads((FOLDER / "delete-customer.json").read_text())
QUEUE = json.loads((FOLDER / "queue-customer.json").read_text())
SWEEP = json.loads((FOLDER / "sweep-sandbox.json").read_text())
CALL = DELETE["actions"]["Delete_customer"]
SWEEP_CALL = SWEEP["actions"]["Sweep"]
BRANCHES = DELETE["actions"]["Outcome"]
NAMED = re.compile(r"(?:parameters|body|outputs|variables)\('([^']+)'\)")


def actions(scope: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every action of a workflow, however deep."""
    for name, action in scope.get("actions", {}).items():
        yield name, action
        yield from actions(action)
    branches = [*scope.get("cases", {}).values(), scope.get("default"), scope.get("else")]
    for branch in filter(None, branches):
        yield from actions(branch)


def test_the_request_goes_to_the_route_with_the_documented_members() -> None:
    inputs = CALL["inputs"]

    assert inputs["method"] == "POST"
    assert inputs["uri"] == "@{parameters('endpoint')}/api/deletions"
    assert inputs["body"].keys() == {"tenantId", "requestedBy"}


def test_the_sweep_goes_to_the_route_with_a_mode_of_the_contract() -> None:
    assert SWEEP_CALL["inputs"]["uri"] == "@{parameters('endpoint')}/api/sweeps"
    assert SWEEP_CALL["inputs"]["body"] == {"mode": "@{parameters('mode')}"}
    assert SWEEP["parameters"]["mode"]["allowedValues"] == [str(mode) for mode in MODES]
    assert SWEEP["parameters"]["mode"]["defaultValue"] == SweepMode.REPORT


def test_a_sweep_without_a_report_counts_as_failed_after_the_notification() -> None:
    finished = SWEEP["actions"]["If_finished"]["expression"]
    last = SWEEP["actions"]["Fail_unless_finished"]

    assert finished == {
        "and": [{"equals": ["@outputs('Result')?['state']", str(SweepState.FINISHED)]}]
    }
    assert "Notify_if_wanted" in last["runAfter"]
    assert last["actions"]["Fail"]["inputs"]["runStatus"] == "Failed"


@pytest.mark.parametrize("call", [CALL, SWEEP_CALL], ids=["delete", "sweep"])
def test_the_action_follows_location_by_itself(call: dict[str, Any]) -> None:
    """The asynchronous pattern is on unless switched off."""
    assert "operationOptions" not in call


@pytest.mark.parametrize("call", [CALL, SWEEP_CALL], ids=["delete", "sweep"])
def test_the_action_waits_a_week_longer_than_the_default_deadline(call: dict[str, Any]) -> None:
    """Time that a deletion is parked moves its deadline; a sweep takes as long at the most."""
    main = (INFRA / "main.bicep").read_text()
    hours = int(re.search(r"param deletionDeadlineHours int = (\d+)", main)[1])  # type: ignore[index]
    days = int(re.fullmatch(r"P(\d+)D", call["limit"]["timeout"])[1])  # type: ignore[index]

    assert days * 24 >= hours + 7 * 24


def test_every_end_of_a_deletion_has_a_branch_of_its_own() -> None:
    cases = {case["case"] for case in BRANCHES["cases"].values()}

    assert cases == {str(state) for state in TERMINAL}
    assert BRANCHES["default"]["actions"]


def test_a_409_or_422_still_reaches_the_branches() -> None:
    record = DELETE["actions"]["Record"]

    assert record["runAfter"] == {"Delete_customer": ["Succeeded", "Failed", "TimedOut"]}
    assert BRANCHES["runAfter"] == {"Record": ["Succeeded"]}


def test_a_run_that_did_not_delete_counts_as_failed_after_the_notification() -> None:
    last = DELETE["actions"]["Fail_unless_deleted"]

    assert "Notify_if_wanted" in last["runAfter"]
    assert last["actions"]["Fail"]["inputs"]["runStatus"] == "Failed"


@pytest.mark.parametrize("call", [CALL, SWEEP_CALL], ids=["delete", "sweep"])
def test_the_call_signs_in_with_the_identity_of_the_workflow(call: dict[str, Any]) -> None:
    """Without naming one, so that the same text serves wherever it is pasted."""
    assert call["inputs"]["authentication"] == {
        "type": "ManagedServiceIdentity",
        "audience": "@parameters('audience')",
    }


def test_the_connection_to_the_queue_signs_in_with_the_identity_of_the_workflow() -> None:
    source = TEMPLATE.read_text()

    assert "name: 'managedIdentityAuth'" in source
    assert "type: 'ManagedServiceIdentity'" in source
    assert "parameterValues:" not in source


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_no_workflow_carries_a_key(path: Path) -> None:
    assert not re.search(r"x-functions-key|[?&]code=|SharedKey|sig=", path.read_text())


def deployed() -> dict[str, Resource]:
    """Return the workflows of the template by the name of their file."""
    return {
        DEFINITION.findall(resource.text)[0]: resource
        for resource in resources(TEMPLATE)
        if resource.type == "Microsoft.Logic/workflows"
    }


def test_the_template_deploys_every_workflow_of_the_folder() -> None:
    assert deployed().keys() == {path.name for path in FOLDER.glob("*.json")}


def test_every_workflow_has_an_identity_of_its_own() -> None:
    identities = [text(each.properties["identity"]) for each in deployed().values()]

    assert all("type: 'SystemAssigned'" in identity for identity in identities)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_the_bicep_file_gives_every_parameter_of_a_workflow(path: Path) -> None:
    resource = deployed()[path.name]
    given = properties(properties(resource.properties["properties"])["parameters"])

    assert given.keys() == json.loads(path.read_text())["parameters"].keys()


def test_the_template_takes_the_modes_that_the_workflow_takes() -> None:
    mode = parameters(INFRA / "main.bicep")["sweepWorkflowMode"]

    assert mode.allowed == set(SWEEP["parameters"]["mode"]["allowedValues"])
    assert mode.default is not None
    assert string(mode.default) == SweepMode.REPORT


def test_every_workflow_that_calls_over_http_tells_its_identity_for_the_role() -> None:
    """The documents assign the role operator to what these outputs name."""
    main, page = (INFRA / "main.bicep").read_text(), (ROOT / "docs/deploy.md").read_text()
    callers = [
        path for path in FOLDER.glob("*.json") if "parameters('audience')" in path.read_text()
    ]
    names = {path.stem.replace("-", "_").upper() + "_PRINCIPAL_ID" for path in callers}

    assert len(names) == 2
    assert all(f"output {name} string" in main for name in names)
    assert all(f"azd env get-value {name}" in page for name in names)


def test_every_workflow_logs_its_runs_where_diagnostics_are_wanted() -> None:
    logged = {
        text(resource.properties["scope"])
        for resource in resources(TEMPLATE)
        if resource.type == "Microsoft.Insights/diagnosticSettings"
    }

    assert logged == {resource.symbol for resource in deployed().values()}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_every_name_in_an_expression_is_declared(path: Path) -> None:
    workflow = json.loads(path.read_text())
    declared = {*workflow["parameters"], *(name for name, _ in actions(workflow)), "message"}

    assert set(NAMED.findall(path.read_text())) <= declared


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_the_run_history_hides_what_is_sent_and_received(path: Path) -> None:
    """Compose takes the inputs only, and hides its output with them; a recurrence has neither."""
    workflow = json.loads(path.read_text())
    calls = [a for _, a in actions(workflow) if a["type"] in {"Http", "ApiConnection", "Compose"}]
    triggers = [each for each in workflow["triggers"].values() if each["type"] != "Recurrence"]

    assert calls
    for step in [*triggers, *calls]:
        hidden = step["runtimeConfiguration"]["secureData"]["properties"]
        assert hidden == (["inputs"] if step["type"] == "Compose" else ["inputs", "outputs"])


def test_the_address_of_a_trigger_starts_nothing_without_a_token() -> None:
    """By default the address carries a key, and whoever holds it deletes customers."""
    triggers = properties(properties(variables(TEMPLATE)["accessControl"])["triggers"])
    requested = [
        resource
        for name, resource in deployed().items()
        if "Request" in json.loads((FOLDER / name).read_text())["triggers"]
    ]

    assert string(properties(triggers["sasAuthenticationPolicy"])["state"]) == "Disabled"
    assert len(requested) == 2
    assert all(
        text(properties(workflow.properties["properties"])["accessControl"]) == "accessControl"
        for workflow in requested
    )


def test_only_one_named_caller_of_this_tenant_starts_a_workflow() -> None:
    """Everybody in the tenant can have a token of this issuer and audience."""
    policy = text(variables(TEMPLATE)["accessControl"])
    claims = re.findall(r"name: '(\w+)'\s+value: (.+)", policy)

    assert policy.count("type: 'AAD'") == 1
    assert claims == [
        ("iss", "'${tokenIssuer}/${tenant().tenantId}/'"),
        ("aud", "environment().authentication.audiences[0]"),
        ("oid", "callerObjectId"),
    ]


def test_the_tenant_id_goes_on_the_queue_as_plain_text() -> None:
    [action] = QUEUE["actions"].values()

    assert action["inputs"]["body"] == "@{triggerBody()?['tenantId']}"
