"""No identity gets a role, or a scope, beyond the ones listed here."""

import json
import re

from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.infra.bicep import (
    FILES,
    INFRA,
    Resource,
    modules,
    properties,
    relative,
    resources,
    string,
    text,
    tree,
    variables,
    walk,
)

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN = {
    "blobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "queueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "queueMessageSender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "tableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "secretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "secretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}

# File, who, role, on what.
ASSIGNMENTS = {
    ("modules/storage.bicep", "appPrincipalId", "blobDataOwner", "storage"),
    ("modules/storage.bicep", "appPrincipalId", "queueDataContributor", "storage"),
    ("modules/storage.bicep", "appPrincipalId", "tableDataContributor", "storage"),
    ("modules/monitoring.bicep", "appPrincipalId", "metricsPublisher", "appInsights"),
    ("modules/keyvault.bicep", "appPrincipalId", "secretsUser", "vault"),
    ("modules/keyvault.bicep", "appPrincipalId", "secretsOfficer", "vault"),
    ("modules/keyvault.bicep", "operatorPrincipalId", "secretsOfficer", "vault"),
    ("modules/queuesender.bicep", "senderPrincipalId", "queueMessageSender", "queue"),
}


def assignments() -> list[tuple[str, Resource]]:
    return [
        (relative(path), resource)
        for path in FILES
        for resource in resources(path)
        if resource.type == "Microsoft.Authorization/roleAssignments"
    ]


def granted(file: str, resource: Resource) -> tuple[str, str, str, str]:
    given = properties(resource.properties["properties"])
    role = re.fullmatch(
        r"subscriptionResourceId\('Microsoft\.Authorization/roleDefinitions', roles\.(\w+)\)",
        text(given["roleDefinitionId"]),
    )
    assert role, text(given["roleDefinitionId"])
    return file, text(given["principalId"]), role[1], text(resource.properties["scope"])


def test_the_roles_are_the_listed_ones_on_the_listed_resources() -> None:
    found = [granted(file, resource) for file, resource in assignments()]

    assert len(found) == len(set(found))
    assert set(found) == ASSIGNMENTS


def test_the_role_ids_are_those_of_microsoft() -> None:
    assert json.loads((INFRA / "roles.json").read_text()) == BUILT_IN


def test_no_role_id_is_used_anywhere_else() -> None:
    """A role could otherwise be granted past the list."""
    guid = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

    assert {found for path in FILES for found in guid.findall(path.read_text())} == set()


def test_every_assignment_says_why() -> None:
    for _, resource in assignments():
        reason = text(properties(resource.properties["properties"])["description"])
        assert len(reason.split()) > 5, resource.symbol


def test_the_name_of_an_assignment_follows_from_scope_principal_and_role() -> None:
    """So that a second deployment finds the assignment of the first."""
    for file, resource in assignments():
        _, principal, role, scope = granted(file, resource)
        assert text(resource.properties["name"]) == f"guid({scope}.id, {principal}, roles.{role})"


def test_the_app_reads_a_vault_or_also_writes_it_never_both_roles() -> None:
    vault = {r.symbol: r.text for _, r in assignments()}
    conditions = variables(INFRA / "modules/keyvault.bicep")

    assert text(conditions["assignsReader"]) == "createRoleAssignments && !appWrites"
    assert text(conditions["assignsWriter"]) == "createRoleAssignments && appWrites"

    assert "= if (assignsReader) {" in vault["appReads"]
    assert "= if (assignsWriter) {" in vault["appReadsAndWrites"]


def test_no_role_is_assigned_if_the_template_may_not() -> None:
    """Where a module assigns none by itself, the module that uses it has the condition."""
    declared = {**variables(INFRA / "modules/keyvault.bicep")}
    for file, resource in assignments():
        condition = re.search(r"= if \((.*)\) \{", resource.text)
        if file == "modules/queuesender.bicep":
            continue
        assert condition, resource.symbol
        meaning = text(declared[condition[1]]) if condition[1] in declared else condition[1]
        assert meaning.startswith("createRoleAssignments"), resource.symbol
    users = [
        text(node)
        for path in FILES
        for node in walk(tree(path), "module_declaration")
        if "queuesender.bicep" in text(node)
    ]
    assert len(users) == 2
    assert all("= if (createRoleAssignments" in user for user in users)


def test_the_operator_may_fill_the_queue_of_requests_and_no_other() -> None:
    _, given = modules(INFRA / "main.bicep")["operatorSends"]

    assert text(given["senderPrincipalId"]) == "operatorId"
    assert string(given["queueName"]) == CUSTOMERS_TO_DELETE


def test_the_app_roles_have_the_values_that_the_code_knows() -> None:
    """The code refuses callers of Easy Auth without one of them."""
    roles = json.loads((INFRA / "app-roles.json").read_text())

    assert [role["value"] for role in roles] == ["reader", "operator"]
    assert len({role["id"] for role in roles}) == 2
    assert all(role["isEnabled"] for role in roles)
    assert all(role["allowedMemberTypes"] == ["User", "Application"] for role in roles)


def test_easy_auth_lists_no_callers() -> None:
    """Its list fits into 500 characters, that is twelve callers; app roles have no such limit."""
    assert "allowedPrincipals" not in (INFRA / "modules/easyauth.bicep").read_text()


def test_easy_auth_turns_strangers_away_instead_of_redirecting_them() -> None:
    source = (INFRA / "modules/easyauth.bicep").read_text()

    assert "unauthenticatedClientAction: 'Return401'" in source
    assert re.findall(r"excludedPaths: \[\s+'([^']+)'\s+\]", source) == ["/api/health"]


def test_easy_auth_signs_people_in_without_a_secret() -> None:
    source = (INFRA / "modules/easyauth.bicep").read_text()
    [name] = re.findall(r"clientSecretSettingName: '(\w+)'", source)

    given = properties(variables(INFRA / "main.bicep")["signInSettings"])
    assert {key: text(value) for key, value in given.items()} == {name: "identity.outputs.clientId"}
