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
        ({"PARTNER_CENTER_CLIENT_SECRET": "\ufeff"}, "PARTNER_CENTER_CLIENT_SECRET is empty"),
        ({"PARTNER_CENTER_CLOUD": "germany"}, "global, usgov, china"),
        ({"PARTNER_CENTER_BASE_URL": "http://api.example"}, "expected https://"),
        ({"PARTNER_CENTER_BASE_URL": "https://api.example/v1"}, "without a path"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "501"}, "1 to 500"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "0"}, "1 to 500"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "\u0665"}, "whole number"),
        ({"PARTNER_CENTER_RATE_LIMIT_PER_MINUTE": "0000000019999"}, "1 to 500"),
        ({"SWEEP_MAX_DELETIONS": "00000000199"}, "1 to 75"),
        ({"SWEEP_MIN_AGE_DAYS": "9" * 5000}, "0 to 3650"),
        ({"CHECK_FIRST_DELAY_SECONDS": "400"}, "more than CHECK_MAX_DELAY_SECONDS"),
        ({"PROTECTED_TENANTS": f"{CUSTOMER}, contoso"}, "PROTECTED_TENANTS"),
        ({"SWEEP_MODE": "delete"}, "nothing is protected"),
        ({"SWEEP_KEEP_FREE_SLOTS": "76"}, "0 to 75"),
        ({"REQUIRE_CLIENT_PRINCIPAL": "yes"}, "true or false"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://q"}, "set one or the other"),
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage is missing"),
        ({"AzureWebJobsStorage": "mystorage"}, "AzureWebJobsStorage is no connection string"),
        ({"AzureWebJobsStorage": "AccountName=a"}, "AzureWebJobsStorage is no connection"),
        ({"AzureWebJobsStorage": "AccountName=a;AccountKey="}, "is no connection string"),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=false"}, "is no connection string"),
        ({"AzureWebJobsStorage__queueServiceUri": "q.example"}, "Uri is 'q.example': expected"),
        ({"AzureWebJobsStorage__queueServiceUri": "http://q.example"}, "expected https://"),
        ({"AzureWebJobsStorage__tableServiceUri": "https://"}, "expected https://host"),
        ({"AzureWebJobsStorage__tableServiceUri": "https://[t"}, "expected https://host"),
        ({"AzureWebJobsStorage__tableServiceUri": "https://t?sig=hush"}, "without a query"),
        ({"KEY_VAULT_URI": "https://[v"}, "KEY_VAULT_URI is 'https://[v'"),
        ({"SWEEP_SCHEDULE": "every day"}, "SWEEP_SCHEDULE: 'every day' is no schedule"),
        ({"SWEEP_SCHEDULE": "0 0 3 * * 7"}, "the day of the week is 7, not 0 to 6"),
        ({"SWEEP_SCHEDULE": "%CRON%"}, "SWEEP_SCHEDULE holds a placeholder"),
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


PLACEHOLDERS = [
    "$(Name)",
    "${NAME}",
    "${{ secrets.NAME }}",
    "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)",
    "@microsoft.keyvault(VaultName=v;SecretName=s)",
    "@Microsoft.AppConfiguration(Endpoint=https://c.azconfig.io; Key=k)",
    "#{Name}#",
    "{{ name }}",
    "%NAME%",
    "<tenant ID>",
    "__NAME__",
    "$[variables.name]",
    "[parameters('name')]",
    "~{NAME}",
]
NAMES = Recorder(REQUIRED)
read_settings(NAMES)


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("name", sorted(NAMES.asked))
def test_a_placeholder_that_nothing_resolved_is_an_error_in_every_setting(
    name: str, placeholder: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({**REQUIRED, name: placeholder})

    assert f"{name} holds a placeholder or Key Vault reference" in str(caught.value)
    assert name in caught.value.names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROTECTED_DOMAINS", "keep-*, $(Domains)"),
        ("PROTECTED_TENANTS", f"{CUSTOMER} ${{MORE}}"),
        ("KEY_VAULT_URI", "https://${VAULT}.vault.azure.net"),
        ("PUBLIC_BASE_URL", "https://#{Host}"),
        ("PARTNER_CENTER_CLIENT_ID", "$CLIENT_ID"),
        ("PARTNER_CENTER_CLIENT_ID", "$env:CLIENT_ID"),
    ],
)
def test_a_placeholder_inside_a_setting_is_an_error(name: str, value: str) -> None:
    assert f"{name} holds a placeholder" in problems(**{name: value})


@pytest.mark.parametrize(
    "name", ["PROTECTED_TENANTS", "PROTECTED_DOMAINS", "SWEEP_INCLUDE_DOMAINS"]
)
@pytest.mark.parametrize("value", [",", " ; ,", ";", " ", "\n", "\u00a0,"])
def test_a_list_without_a_word_is_an_error(name: str, value: str) -> None:
    others = {"PROTECTED_TENANTS": CUSTOMER, "PROTECTED_DOMAINS": "keep-*"}

    text = problems(**{**others, name: value})

    assert f"{name} is {value!r}: expected a word" in text


@pytest.mark.parametrize(
    "name", ["PROTECTED_TENANTS", "PROTECTED_DOMAINS", "SWEEP_INCLUDE_DOMAINS"]
)
def test_an_empty_list_is_none(name: str) -> None:
    assert read_settings({**REQUIRED, name: ""}) == read_settings(REQUIRED)


@pytest.mark.parametrize(
    "secret",
    [
        "\ufeff@Microsoft.KeyVault(SecretUri=https://v/secrets/s)",
        "@Microsoft.KeyVault(VaultName=v;SecretName=s)\u200b",
        "\u200b$(Secret)\n",
        "$SECRET",
        "$env:SECRET",
        "$[variables.secret]",
        "[parameters('secret')]",
        "[reference('x').secret]",
        "~{secret}",
    ],
)
def test_a_placeholder_for_a_secret_is_an_error(secret: str) -> None:
    text = problems(PARTNER_CENTER_CLIENT_SECRET=secret)

    assert "PARTNER_CENTER_CLIENT_SECRET holds a placeholder" in text


@pytest.mark.parametrize(
    "value", ["$[variables.x]", "[parameters('x')]", "~{x}", "a-$[x]", "\ufeff%X%", "__X__\u200b"]
)
def test_a_placeholder_for_any_text_is_an_error(value: str) -> None:
    assert "PARTNER_CENTER_SCOPE holds a placeholder" in problems(PARTNER_CENTER_SCOPE=value)


@pytest.mark.parametrize("form", ["{0}", "{{{0}}}", "{0}; {0}"])
def test_the_partner_itself_is_no_protected_customer(form: str) -> None:
    partner = REQUIRED["PARTNER_TENANT_ID"].upper()

    text = problems(PROTECTED_TENANTS=form.format(partner))

    assert "which is the partner itself: expected customers" in text


@pytest.mark.parametrize(
    "value",
    [
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=not base64!;EndpointSuffix=core",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=abc;EndpointSuffix=core",
        "DefaultEndpointsProtocol=htp;AccountName=x;AccountKey=a2V5;EndpointSuffix=core",
        "DefaultEndpointsProtocol=;AccountName=x;AccountKey=a2V5;EndpointSuffix=core",
        '"DefaultEndpointsProtocol=https;AccountName=x;AccountKey=a2V5;EndpointSuffix=core"',
        "AccountName='x';AccountKey=a2V5",
    ],
)
def test_a_connection_string_that_no_library_can_use_is_an_error(value: str) -> None:
    text = problems(AzureWebJobsStorage=value)

    assert "AzureWebJobsStorage is no connection string" in text
    assert "a2V5" not in text


@pytest.mark.parametrize("secret", ["a$(b)~c", "Q8~${x", "p{{q}}", "%41~%", "<~>.a", "-__a__-"])
def test_a_secret_may_have_the_letters_of_a_placeholder_inside(secret: str) -> None:
    read = read_settings({**REQUIRED, "PARTNER_CENTER_CLIENT_SECRET": secret})

    assert read.partner_center.client_secret == secret


@pytest.mark.parametrize(
    "stored",
    [
        "hush-hush\n",
        "hush-hush\r\n",
        " hush-hush ",
        "\ufeffhush-hush",
        "\ufeff hush-hush\n",
        "hush-hush\ufeff",
        "hush-hush\u00a0",
        "\thush-hush\x00",
    ],
)
def test_what_surrounds_a_client_secret_is_left_out(stored: str) -> None:
    read = read_settings({**REQUIRED, "PARTNER_CENTER_CLIENT_SECRET": stored})

    assert read.partner_center.client_secret == "hush-hush"


@pytest.mark.parametrize(
    ("stored", "character"),
    [
        ("hush\nhush", "U+000A"),
        ("hush\r\nhush", "U+000D"),
        ("hush hush", "U+0020"),
        ("hush\ufeffhush", "U+FEFF"),
        ("hush\u200bhush", "U+200B"),
        ("h\x00u\x00s\x00h", "U+0000"),
    ],
)
def test_a_character_inside_a_client_secret_is_named_and_the_secret_is_not(
    stored: str, character: str
) -> None:
    text = problems(PARTNER_CENTER_CLIENT_SECRET=stored)

    assert f"PARTNER_CENTER_CLIENT_SECRET has the character {character} inside" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("stored", "where"),
    [
        ("hush-hush\u200e", "U+200E at its end"),
        ("hush-hush\u200e\x07\n", "U+200E at its end"),
        ("\u200ehush-hush", "U+200E at its start"),
        ("\u200ehush hush", "U+200E at its start"),
        ("hush\u200ehush\u200e", "U+200E inside"),
    ],
)
def test_the_place_of_a_character_that_no_secret_has_is_named(stored: str, where: str) -> None:
    text = problems(PARTNER_CENTER_CLIENT_SECRET=stored)

    assert f"PARTNER_CENTER_CLIENT_SECRET has the character {where}, which no secret has" in text


@pytest.mark.parametrize("auth", [Auth.FEDERATED, Auth.CERTIFICATE])
def test_a_client_secret_that_is_none_stops_no_sign_in_without_it(auth: Auth) -> None:
    others = {
        "PARTNER_CENTER_AUTH": str(auth),
        "KEY_VAULT_URI": "https://v.vault.azure.net",
        "PARTNER_CENTER_CERTIFICATE_NAME": "c",
    }

    read = read_settings({**REQUIRED, **others, "PARTNER_CENTER_CLIENT_SECRET": "hush hush"})

    assert read.partner_center.client_secret is None


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("PROTECTED_DOMAINS", 'hold-*, "keep-*"', "'\"keep-*\"'"),
        ("PROTECTED_DOMAINS", '["keep-*"]', "keep-*"),
        ("PROTECTED_DOMAINS", "keep-*\u200b", r"'keep-*\u200b'"),
        ("PROTECTED_DOMAINS", "keep-*|hold-*", "'keep-*|hold-*'"),
        ("PROTECTED_DOMAINS", "admin@contoso.com", "'admin@contoso.com'"),
        ("PROTECTED_DOMAINS", r"^keep-\d+", "keep-"),
        ("SWEEP_INCLUDE_DOMAINS", "'*'", "*"),
        ("SWEEP_INCLUDE_DOMAINS", "\ufeff*", r"'\ufeff*'"),
        ("SWEEP_INCLUDE_DOMAINS", "none", "'none'"),
        ("PROTECTED_TENANTS", f'"{CUSTOMER}"', CUSTOMER),
        ("PROTECTED_TENANTS", f'["{CUSTOMER}"]', CUSTOMER),
        ("PROTECTED_TENANTS", f"{CUSTOMER}\u200b", rf"'{CUSTOMER}\u200b'"),
        ("PROTECTED_TENANTS", f"\ufeff{CUSTOMER}", rf"'\ufeff{CUSTOMER}'"),
        ("PROTECTED_TENANTS", CUSTOMER.replace("-", ""), "is not a tenant ID"),
        ("PROTECTED_TENANTS", CUSTOMER.replace("-", "\u2010"), r"\u2010"),
        ("PROTECTED_TENANTS", f"{CUSTOMER}|{CLIENT}", f"{CUSTOMER}|"),
        ("PROTECTED_TENANTS", "contoso.com", "'contoso.com'"),
        ("PROTECTED_TENANTS", "*", "'*'"),
    ],
)
def test_a_word_that_can_protect_or_include_nothing_is_shown(
    name: str, value: str, word: str
) -> None:
    text = problems(**{name: value})

    assert f" {name}: " in text
    assert word in text


def test_international_domains_are_read_in_one_form() -> None:
    read = read_settings(
        {**REQUIRED, "PROTECTED_DOMAINS": "MÜLLER.example", "SWEEP_INCLUDE_DOMAINS": "例え.テスト"}
    )

    assert read.protection.domains == ("xn--mller-kva.example",)
    assert read.sweep.include_domains == ("xn--r8jz45g.xn--zckzah",)


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


@pytest.mark.parametrize(
    "connection_string",
    [
        "UseDevelopmentStorage=true",
        "usedevelopmentstorage=True;",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.test",
        "QueueEndpoint=https://q.test;TableEndpoint=https://t.test;SharedAccessSignature=sv=1&s=2",
    ],
)
def test_a_connection_string_names_an_account_and_a_key(connection_string: str) -> None:
    read = read_settings({**REQUIRED, "AzureWebJobsStorage": connection_string})

    assert read.storage.connection_string == connection_string


def test_a_wrong_connection_string_is_not_shown() -> None:
    assert "hush" not in problems(AzureWebJobsStorage="AccountKey=hush")


@pytest.mark.parametrize(
    "schedule", ["every day", "0 0 3 * * 7", "$(Schedule)", "%CRON%", "03:00:00", "0 0 0 30 2 *"]
)
def test_a_schedule_that_the_host_cannot_read_is_replaced_so_that_its_function_stays(
    monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    monkeypatch.setenv("SWEEP_SCHEDULE", schedule)

    assert sweep_schedule() == "0 0 3 * * *"


@pytest.mark.parametrize("schedule", ["", " ", " 0 0 3 * * * "])
def test_blanks_around_a_schedule_are_left_out(
    monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    monkeypatch.setenv("SWEEP_SCHEDULE", schedule)

    assert sweep_schedule() == "0 0 3 * * *"


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


@pytest.mark.parametrize(
    "front", ["TIPSWEEP_", "APPSETTING_", "AppSetting_", "Values:", "Values__"]
)
@pytest.mark.parametrize("name", ["PROTECTED_DOMAINS", "PROTECTED_DOMAIN", "PUBLIC_BASE_URL"])
def test_one_of_our_names_with_something_in_front_is_told(front: str, name: str) -> None:
    assert read_settings({**REQUIRED, front + name: "contoso.com"}).unknown == (front + name,)


def test_what_app_service_gives_a_second_time_is_not_unknown() -> None:
    given = {**REQUIRED, "PROTECTED_DOMAINS": "contoso.com"}
    twice = {f"APPSETTING_{name}": value for name, value in given.items()}

    assert read_settings({**given, **twice, "APPSETTING_PATH": "/x"}).unknown == ()


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
