"""The queues and tables of the Bicep files are those of the code."""

import json

from shared.storage.names import CUSTOMERS_TO_DELETE, POISON_QUEUES, QUEUES, TABLES
from tests.infra.bicep import INFRA, Resource, modules, resources, string, text, variables, walk

STORAGE = INFRA / "modules/storage.bicep"


def created(kind: str) -> list[str]:
    """Return the names of all queues or tables that the module creates."""
    matching = [
        r for r in resources(STORAGE) if r.type == f"Microsoft.Storage/storageAccounts/{kind}"
    ]
    return [name for resource in matching for name in names(resource)]


def names(resource: Resource) -> list[str]:
    """Put the names of the list that a resource loops over into its name."""
    listed = resource.text.split(" in ")[1].split(":")[0]
    template = string(resource.properties["name"])
    each = [string(node) for node in walk(variables(STORAGE)[listed], "string")]
    if not text(resource.properties["name"]).startswith("'"):
        return each
    return [template.replace("${queueName}", name) for name in each]


def test_the_queues_are_those_of_the_code_each_with_its_poison_queue() -> None:
    assert sorted(created("queueServices/queues")) == sorted((*QUEUES, *POISON_QUEUES))


def test_the_tables_are_those_of_the_code() -> None:
    assert sorted(created("tableServices/tables")) == sorted(TABLES)


def test_the_workflow_may_send_to_the_queue_that_it_sends_to() -> None:
    _, given = modules(INFRA / "modules/logicapps.bicep")["queueRole"]
    workflow = json.loads((INFRA / "workflows/queue-customer.json").read_text())
    [action] = workflow["actions"].values()

    assert string(given["queueName"]) == CUSTOMERS_TO_DELETE
    assert (
        f"/queues/@{{encodeURIComponent('{CUSTOMERS_TO_DELETE}')}}/messages"
        in action["inputs"]["path"]
    )


def test_the_account_takes_no_keys() -> None:
    account = next(r for r in resources(STORAGE) if r.symbol == "storage")
    switches = text(account.properties["properties"])

    assert "allowSharedKeyAccess: false" in switches
    assert "allowBlobPublicAccess: false" in switches
    assert "minimumTlsVersion: 'TLS1_2'" in switches


def test_telemetry_takes_no_keys_where_the_host_can_do_without() -> None:
    insights = next(
        r for r in resources(INFRA / "modules/monitoring.bicep") if r.symbol == "appInsights"
    )

    assert "DisableLocalAuth: entraOnly" in text(insights.properties["properties"])
