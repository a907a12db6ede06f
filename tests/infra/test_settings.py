"""The app settings of the Bicep files are those that the code reads, both ways."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from tree_sitter import Node

from shared.settings import Auth, Cloud, SweepMode, read_settings, sweep_schedule
from tests.infra.bicep import (
    FILES,
    INFRA,
    modules,
    parameters,
    properties,
    string,
    text,
    tree,
    variables,
    walk,
)

MAIN = INFRA / "main.bicep"
DEDICATED_APP = INFRA / "modules/dedicated.bicep"

# Read by the Functions host or by Azure, so that shared/settings.py does not know them.
PLATFORM = {
    "AzureWebJobsStorage__blobServiceUri": "the host keeps locks and keys in blobs",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "the host and the worker send telemetry there",
    "PYTHON_THREADPOOL_THREAD_COUNT": "the handlers block, so the worker needs threads",
}
TELEMETRY = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "and sign in with the identity for it",
}
SIGN_IN = {
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": "Easy Auth signs people in without a secret",
}
DEDICATED = {
    "FUNCTIONS_EXTENSION_VERSION": "version of the host",
    "FUNCTIONS_WORKER_RUNTIME": "language",
    "SCM_DO_BUILD_DURING_DEPLOYMENT": "requirements.txt is installed in Azure",
    "ENABLE_ORYX_BUILD": "by its build service",
}
NOT_OURS_TO_SET = {
    "AzureWebJobsStorage": "in Azure the identity takes the place of a connection string",
    "IDENTITY_ENDPOINT": "Azure sets it in every app that has an identity",
    "WEBSITE_AUTH_ENABLED": "Azure sets it where Easy Auth is on",
}
FIXED = {"AzureWebJobsStorage__credential": "managedidentity"}
REQUIRED = {
    "PARTNER_TENANT_ID": "11111111-1111-4111-8111-111111111111",
    "SANDBOX_TENANT_CONFIRMATION": "11111111-1111-4111-8111-111111111111",
    "PARTNER_CENTER_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
    "PARTNER_CENTER_CLIENT_SECRET": "x",
    "AzureWebJobsStorage__queueServiceUri": "https://queues.test",
    "AzureWebJobsStorage__tableServiceUri": "https://tables.test",
}


class Recorder(Mapping[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_given = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_given)

    def __len__(self) -> int:
        return len(self.values_given)


@pytest.fixture
def names_read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    recorder = Recorder(REQUIRED)
    read_settings(recorder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", recorder)
        sweep_schedule()
    return recorder.asked


def app_settings() -> dict[str, Node]:
    return properties(variables(MAIN)["appSettings"])


def test_the_bicep_files_set_what_the_code_reads_and_nothing_else(names_read: set[str]) -> None:
    assert app_settings().keys() == names_read - NOT_OURS_TO_SET.keys()


def test_the_settings_of_the_platform_are_the_listed_ones() -> None:
    declared = variables(MAIN)
    dedicated = variables(DEDICATED_APP)

    assert properties(declared["platformSettings"]).keys() == PLATFORM.keys()
    assert properties(declared["telemetrySettings"]).keys() == TELEMETRY.keys()
    assert properties(declared["signInSettings"]).keys() == SIGN_IN.keys()
    assert properties(dedicated["platformSettings"]).keys() == DEDICATED.keys()


def test_the_host_signs_in_for_telemetry_only_where_azure_wants_it() -> None:
    """Outside the public cloud it would ask for a token of the wrong audience."""
    default = parameters(MAIN)["entraTelemetry"].default

    assert default is not None
    assert text(default) == "environment().name == 'AzureCloud'"
    assert text(variables(MAIN)["telemetryPart"]) == "entraTelemetry ? telemetrySettings : {}"
    assert text(modules(MAIN)["monitoring"][1]["entraOnly"]) == "entraTelemetry"


def test_every_setting_appears_exactly_once() -> None:
    names = [
        text(member.named_children[0])
        for path in FILES
        for member in walk(tree(path), "object_property")
    ]
    settings = {*app_settings(), *PLATFORM, *TELEMETRY, *DEDICATED, *SIGN_IN}

    assert {name: n for name, n in Counter(names).items() if name in settings and n != 1} == {}


def test_every_setting_comes_from_a_parameter_or_from_a_resource() -> None:
    sources = {*parameters(MAIN), *modules(MAIN)}
    derived = {name for name, node in variables(MAIN).items() if reaches(node, sources)}
    literal = {n: v for n, v in app_settings().items() if not reaches(v, sources | derived)}

    assert {name: string(value) for name, value in literal.items()} == FIXED


def reaches(node: Node, sources: set[str]) -> bool:
    names = {text(one) for one in walk(node, "identifier")}
    names |= set(re.findall(r"\$\{(\w+)", text(node)))
    return bool(names & sources)


def test_the_app_gets_the_settings() -> None:
    assert text(variables(MAIN)["allSettings"]) == (
        "union(appSettings, platformSettings, telemetryPart, signInPart)"
    )
    for app in ("flexApp", "dedicatedApp"):
        assert text(modules(MAIN)[app][1]["appSettings"]) == "allSettings"


def test_the_defaults_of_the_parameters_are_those_of_the_code() -> None:
    deployed = {
        name: value
        for name, node in app_settings().items()
        if (value := default_of(node)) is not None
    }

    assert len(deployed) > 15
    assert read_settings(deployed | REQUIRED) == read_settings(REQUIRED)


def default_of(node: Node) -> str | None:
    """Return the default of the parameter that a setting comes from, if it is a plain one."""
    name = re.sub(r"string\((\w+)\)", r"\1", text(node))
    parameter = parameters(MAIN).get(name)
    named_secrets = {"certificateName", "refreshTokenSecretName"}
    if parameter is None or parameter.default is None or name in named_secrets:
        return None
    return text(parameter.default).strip("'")


@pytest.mark.parametrize(
    ("parameter", "choices"),
    [("partnerCenterAuth", Auth), ("partnerCenterCloud", Cloud), ("sweepMode", SweepMode)],
)
def test_the_choices_of_a_parameter_are_those_of_the_code(
    parameter: str, choices: type[Auth | Cloud | SweepMode]
) -> None:
    assert parameters(MAIN)[parameter].allowed == {str(choice) for choice in choices}


def test_the_number_of_instances_is_limited_by_nothing_but_the_service() -> None:
    default = parameters(MAIN)["maximumInstanceCount"].default

    assert default is not None
    assert text(default) == "100"


def test_the_vault_that_the_app_writes_to_is_not_the_one_it_only_reads() -> None:
    assert text(modules(MAIN)["keyVault"][1]["appWrites"]) == "false"
    assert text(modules(MAIN)["refreshTokenVault"][1]["appWrites"]) == "true"
    assert "refreshTokenVault" in text(app_settings()["KEY_VAULT_URI"])
