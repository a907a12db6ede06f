"""Settings: one error names everything that is missing or contradicts."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared import settings as module
from shared.environment import SettingsError
from shared.settings import (
    ENDPOINTS,
    OUR_PREFIXES,
    Auth,
    Cloud,
    SweepMode,
    read_basic_settings,
    read_settings,
    sweep_schedule,
)
from tests.infra.test_settings import DEDICATED, PLATFORM, Recorder

PARTNER = "8e1f2c3d-0000-4000-8000-000000000001"
CLIENT = "8e1f2c3d-0000-4000-8000-000000000002"
CUSTOMER = "8e1f2c3d-0000-4000-8000-000000000003"
REQUIRED = {
    "PARTNER_TENANT_ID": PARTNER,
    "SANDBOX_TENANT_CONFIRMATION": PARTNER,
    "PARTNER_CENTER_CLIENT_ID": CLIENT,
    "PARTNER_CENTER_CLIENT_SECRET": "hush-hush",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}


def problems(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings({**REQUIRED, **changes})
    return str(caught.value)


def test_the_defaults_are_those_of_the_documents() -> None:
    read = read_settings(REQUIRED)

    assert read.partner_center.auth is Auth.SECRET
    assert read.partner_center.endpoints == ENDPOINTS[Cloud.GLOBAL]
    assert read.partner_center.rate_limit_per_minute == 475
    assert read.checks.first_delay == timedelta(seconds=5)
    assert read.checks.max_delay == timedelta(seconds=300)
    assert read.checks.deadline == timedelta(hours=48)
    assert read.sweep.mode is SweepMode.REPORT
    assert read.sweep.include_domains == ("*",)
    assert read.sweep.min_age == timedelta(days=7)
    assert read.sweep.max_deletions == 25
    assert read.sweep.keep_free_slots is None
    assert not read.http.require_client_principal
    assert read.history_kept == timedelta(days=400)


@pytest.mark.parametrize("word", ["germany", "Germany", "de"])
def test_the_german_cloud_is_refused_with_the_day_it_closed(word: str) -> None:
    text = problems(PARTNER_CENTER_CLOUD=word)

    assert text.startswith("1 setting(s)")
    assert "PARTNER_CENTER_CLOUD" in text
    assert "closed on 29 October 2021" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTNER_CENTER_AUTHORITY", "https://login.microsoftonline.de"),
        ("PARTNER_CENTER_AUTHORITY", "https://LOGIN.microsoftonline.DE:443/"),
        ("PARTNER_CENTER_AUTHORITY", "https://login.microsoftonline.de."),
        ("PARTNER_CENTER_BASE_URL", "https://api.partner.microsoftazure.de"),
        ("PARTNER_CENTER_SCOPE", "https://graph.cloudapi.de/.default"),
        ("KEY_VAULT_URI", "https://tipsweep.vault.microsoftazure.de/"),
    ],
)
def test_a_host_of_the_german_cloud_is_refused(name: str, value: str) -> None:
    text = problems(**{name: value})

    assert text.startswith("1 setting(s)")
    assert f"{name} is " in text
    assert "closed on 29 October 2021" in text


@pytest.mark.parametrize("service", ["queue", "table"])
def test_a_storage_account_of_the_german_cloud_is_refused(service: str) -> None:
    uris = {
        f"AzureWebJobsStorage__{each}ServiceUri": f"https://a.{each}.core.windows.net"
        for each in ("queue", "table")
    }
    name = f"AzureWebJobsStorage__{service}ServiceUri"
    uris[name] = f"https://a.{service}.core.cloudapi.de"

    assert "closed on 29 October 2021" in problems(AzureWebJobsStorage="", **uris)


def test_a_german_name_in_another_cloud_is_accepted() -> None:
    changes = {"PARTNER_CENTER_AUTHORITY": "https://login.notmicrosoftonline.de"}

    assert read_settings({**REQUIRED, **changes}).partner_center.endpoints.authority


def test_one_error_names_all_that_is_missing_and_where_it_goes() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({})

    text = str(caught.value)
    for name in REQUIRED:
        assert name in text
    assert "local.settings.json" in text


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"PARTNER_TENANT_ID": "contoso.com"}, "PARTNER_TENANT_ID"),
        ({"PARTNER_CENTER_AUTH": "password"}, "secret, certificate, federated, user"),
        ({"PARTNER_CENTER_AUTH": "certificate"}, "PARTNER_CENTER_CERTIFICATE_NAME is missing"),
        ({"PARTNER_CENTER_AUTH": "user"}, "REFRESH_TOKEN_SECRET_NAME is missing"),
        ({"PARTNER_CENTER_AUTH": "user"}, "KEY_VAULT_URI is missing"),
        ({"PARTNER_CENTER_CLIENT_SECRET": ""}, "PARTNER_CENTER_CLIENT_SECRET is missing"),
        ({"PARTNER_CENTER_CLIENT_SECRET": "@Microsoft.KeyVault(x)"}, "Key Vault reference"),
        ({"PARTNER_CENTER_CLOUD": "germany"}, "global, usgov, china"),
        ({"PARTNER_CENTER_BASE_URL": "http://api.example"}, "expected https://"),
        ({"PARTNER_CENTER_BASE_URL": "https://api.example/v1"}, "without a path"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "501"}, "1 to 500"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "0"}, "1 to 500"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "\u0665"}, "whole number"),
        ({"CHECK_FIRST_DELAY_SECONDS": "400"}, "more than CHECK_MAX_DELAY_SECONDS"),
        ({"PROTECTED_TENANTS": f"{CUSTOMER}, contoso"}, "PROTECTED_TENANTS"),
        ({"SWEEP_MODE": "delete"}, "nothing is protected"),
        ({"SWEEP_KEEP_FREE_SLOTS": "76"}, "0 to 75"),
        ({"REQUIRE_CLIENT_PRINCIPAL": "yes"}, "true or false"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://q"}, "set one or the other"),
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage is missing"),
        ({"AzureWebJobsStorage__credential": "key"}, "managedidentity"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], part: str) -> None:
    assert part in problems(**changes)


def test_no_secret_is_shown() -> None:
    assert "hush-hush" not in problems(PARTNER_TENANT_ID="x")
    assert "hush-hush" not in repr(read_settings(REQUIRED))


@pytest.mark.parametrize(
    "protection", [{"PROTECTED_DOMAINS": "keep-*"}, {"PROTECTED_TENANTS": "none"}]
)
def test_a_deleting_sweep_needs_protection_or_the_word(protection: dict[str, str]) -> None:
    read = read_settings({**REQUIRED, "SWEEP_MODE": "delete", **protection})

    assert read.sweep.mode is SweepMode.DELETE


def test_lists_are_read_with_any_separator_and_normalised() -> None:
    text = f"{{{CUSTOMER.upper()}}};  {CLIENT},{PARTNER}\n"

    protection = read_settings({**REQUIRED, "PROTECTED_TENANTS": text}).protection

    assert protection.tenants == {CUSTOMER, CLIENT, PARTNER}


@pytest.mark.parametrize("cloud", list(Cloud))
def test_a_cloud_is_a_preset_that_each_override_replaces(cloud: Cloud) -> None:
    read = read_settings({**REQUIRED, "PARTNER_CENTER_CLOUD": cloud.upper()})
    moved = read_settings(
        {
            **REQUIRED,
            "PARTNER_CENTER_CLOUD": cloud,
            "PARTNER_CENTER_BASE_URL": "https://other.example/",
        }
    )

    assert read.partner_center.endpoints == ENDPOINTS[cloud]
    assert moved.partner_center.endpoints.base_url == "https://other.example"
    assert moved.partner_center.endpoints.authority == ENDPOINTS[cloud].authority


def test_storage_by_identity_needs_no_connection_string() -> None:
    environment = {
        **REQUIRED,
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__queueServiceUri": "https://q.example",
        "AzureWebJobsStorage__tableServiceUri": "https://t.example",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": CLIENT,
    }

    storage = read_settings(environment).storage

    assert storage.managed_identity
    assert storage.managed_identity_client_id == CLIENT


def test_the_schedule_has_a_default_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_SCHEDULE", raising=False)
    assert sweep_schedule() == "0 0 3 * * *"
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 0 4 * * 1")
    assert sweep_schedule() == "0 0 4 * * 1"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("PROTECTED_DOMAIN", "PROTECTED_DOMAINS"),
        ("PROTECTED_TENNANT", "PROTECTED_TENANTS"),
        ("SWEEP_MOED", "SWEEP_MODE"),
        ("SANDBOX_TENANT_CONFIRMATIONS", "SANDBOX_TENANT_CONFIRMATION"),
        ("Protected_Domain", "PROTECTED_DOMAINS"),
        ("protected_domains", "PROTECTED_DOMAINS"),
        ("AzureWebJobsStorage__queueServiceURI", "AzureWebJobsStorage__queueServiceUri"),
        ("SWEEP_SCHEDULES", "SWEEP_SCHEDULE"),
    ],
)
def test_a_name_within_two_letters_of_a_setting_is_an_error(given: str, meant: str) -> None:
    assert problems(**{given: "x"}).endswith(f"{given} is not a setting: did you mean {meant}?")


def test_a_setting_given_twice_in_different_case_is_an_error() -> None:
    text = problems(PROTECTED_DOMAINS="keep-*", Protected_Domains="other-*")

    assert "Protected_Domains is not a setting: did you mean PROTECTED_DOMAINS?" in text


def test_the_problem_of_a_misspelt_setting_names_it() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({**REQUIRED, "PROTECTED_DOMAIN": "keep-*"})

    assert caught.value.names == ("PROTECTED_DOMAIN",)


def test_an_unknown_name_that_begins_like_ours_is_told_and_others_are_not() -> None:
    foreign = {"PATH": "/bin", "AZURE_TENANT_ID": PARTNER, "MY_SWEEP_MODE_OF_LIFE": "x"}

    read = read_settings({**REQUIRED, "SWEEP_COLOUR": "red", "Check_Twice": "yes", **foreign})

    assert read.unknown == ("Check_Twice", "SWEEP_COLOUR")


def test_no_setting_is_unknown_and_each_prefix_is_one_of_ours() -> None:
    names = Recorder(REQUIRED)
    read_settings(names)

    assert all(any(name.startswith(prefix) for name in names.asked) for prefix in OUR_PREFIXES)
    everything = dict.fromkeys(names.asked, "") | REQUIRED
    assert read_settings(everything) == read_settings(REQUIRED)


AZURE = (
    *PLATFORM,
    *DEDICATED,
    *(f"APPSETTING_{name}" for name in REQUIRED),
    "AzureWebJobsFeatureFlags",
    "AzureWebJobsScriptRoot",
    "AzureWebJobsSecretStorageType",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__tableServiceUri",
    "AzureWebJobs.sweep_sandbox.Disabled",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_SECRET",
    "AZURE_FUNCTIONS_ENVIRONMENT",
    "AZURE_TENANT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "REQUESTS_CA_BUNDLE",
    "WEBSITE_AUTH_AUTO_AAD",
    "WEBSITE_AUTH_CLIENT_ID",
    "WEBSITE_AUTH_ENCRYPTION_KEY",
    "WEBSITE_AUTH_LOGOUT_PATH",
    "WEBSITE_AUTH_OPENID_ISSUER",
    "WEBSITE_AUTH_SIGNING_KEY",
    "WEBSITE_AUTH_V2_CONFIG_JSON",
    "WEBSITE_HOSTNAME",
    "WEBSITE_SITE_NAME",
)


def test_the_settings_of_azure_are_not_ours() -> None:
    identity = {
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__queueServiceUri": "https://q.example",
        "AzureWebJobsStorage__tableServiceUri": "https://t.example",
    }

    read = read_settings({**dict.fromkeys(AZURE, "x"), **REQUIRED, **identity})

    assert read.unknown == ()


class CapitalNames(Recorder):
    """The environment of Windows: every name is listed in capitals and found in any form."""

    def __getitem__(self, name: str) -> str:
        return {key.upper(): value for key, value in self.values_given.items()}[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return (name.upper() for name in self.values_given)


def test_an_environment_that_lists_all_names_in_capitals_is_no_error() -> None:
    assert read_settings(CapitalNames(REQUIRED)) == read_settings(REQUIRED)


def test_unknown_settings_are_one_warning_for_each_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("os.environ", {**REQUIRED, "SWEEP_COLOUR": "red"})
    module.settings.cache_clear()

    with caplog.at_level(logging.WARNING, logger="tipsweep"):
        module.settings()
        module.settings()

    module.settings.cache_clear()
    assert caplog.messages == ["settings_unknown names=SWEEP_COLOUR"]


@pytest.mark.parametrize(("days", "kept"), [("", 400), ("30", 30), ("36500", 3650), ("x", 3650)])
def test_no_mistake_in_history_days_shortens_the_history(days: str, kept: int) -> None:
    read = read_basic_settings({**REQUIRED, "HISTORY_DAYS": days})

    assert read.history_kept == timedelta(days=kept)
