"""After a deployment: triggers, functions and versions, against a stand-in for Azure."""

from typing import Any

import pytest

from hooks.after_deploy import after_deploy
from hooks.console import Clock, Stop
from hooks.expected import function_names, own_version, package_versions
from tests.hooks.conftest import APP, Azure

SYNC = f"POST {APP}/host/default/sync"
FUNCTIONS = f"GET {APP}/functions"
KEYS = f"POST {APP}/host/default/listkeys"
VERSION = "GET /api/version"
NAMES = sorted(function_names())


def listed(*names: str) -> tuple[int, object]:
    return 200, {"value": [{"name": f"func/{name}"} for name in names]}


def running(**changes: Any) -> tuple[int, object]:
    packages = {"msal": package_versions("3.12")["msal"]}
    packages["azure-functions"] = package_versions("3.12")["azure-functions"]
    return 200, {
        "tipsweep": own_version(),
        "python": "3.12.11",
        "packages": packages | changes.pop("packages", {}),
    } | changes


@pytest.fixture
def ready(azure: Azure) -> Azure:
    azure.on(SYNC, (204, None))
    azure.on(FUNCTIONS, listed(*NAMES))
    azure.on(KEYS, (200, {"functionKeys": {"default": "the key"}}))
    azure.on(VERSION, running())
    return azure


def test_a_good_deployment_ends_well(
    ready: Azure, environment: dict[str, str], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    after_deploy(environment, clock)

    assert ready.calls == [SYNC, FUNCTIONS, KEYS, VERSION]
    assert f"all {len(NAMES)} functions" in capsys.readouterr().out


def test_the_triggers_are_synchronised_with_the_token_of_azd(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    after_deploy(environment, clock)

    assert ready.headers[SYNC]["authorization"] == f"Bearer for {ready.url}/.default"


def test_a_refusal_that_passes_is_waited_for(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(SYNC, (403, {}), (503, {}), (204, None))

    after_deploy(environment, clock)

    assert ready.calls[:3] == [SYNC] * 3


def test_a_refusal_that_stays_is_an_error(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(SYNC, (403, {"error": "AuthorizationFailed"}))

    with pytest.raises(Stop, match=r"synchronised: 403: .*AuthorizationFailed"):
        after_deploy(environment, clock)


def test_functions_that_come_later_are_waited_for(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(FUNCTIONS, listed(), (500, {}), listed(*NAMES[1:]), listed(*NAMES))

    after_deploy(environment, clock)

    assert ready.calls.count(FUNCTIONS) == 4


def test_a_list_of_functions_is_read_to_its_last_page(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    _, first = listed(*NAMES[:2])
    assert isinstance(first, dict)
    ready.on(FUNCTIONS, (200, first | {"nextLink": f"{ready.url}/more"}))
    ready.on("GET /more", listed(*NAMES[2:]))

    after_deploy(environment, clock)


def test_no_token_goes_to_a_next_page_elsewhere(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    _, first = listed(*NAMES[:2])
    assert isinstance(first, dict)
    elsewhere = ready.url.replace("localhost", "127.0.0.1")
    ready.on(FUNCTIONS, (200, first | {"nextLink": f"{elsewhere}/more"}))
    ready.on("GET /more", listed(*NAMES[2:]))

    with pytest.raises(Stop):
        after_deploy(environment, clock)
    assert "GET /more" not in ready.calls


def test_no_key_follows_a_redirection(
    ready: Azure, environment: dict[str, str], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.on(VERSION, (302, None))
    ready.locations[VERSION] = "/elsewhere"
    ready.on("GET /elsewhere", running())

    after_deploy(environment, clock)

    assert "GET /elsewhere" not in ready.calls
    assert "NOT compared. GET /api/version: 302" in capsys.readouterr().out


@pytest.mark.parametrize("body", [None, [], {}, {"tipsweep": "0.1.0"}], ids=str)
def test_a_response_without_versions_is_waited_out_and_told(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    body: object,
) -> None:
    ready.on(VERSION, (200, body))

    after_deploy(environment, clock)

    assert ready.calls.count(VERSION) > 1
    assert "NOT compared" in capsys.readouterr().out


def test_a_function_that_stays_away_is_named(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(FUNCTIONS, listed(*(set(NAMES) - {"check_orders", "redrive"})))

    with pytest.raises(Stop, match=r"lacks these functions: check_orders, redrive\. A setting"):
        after_deploy(environment, clock)


def test_an_app_that_does_not_import_is_told_apart(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(FUNCTIONS, listed())

    with pytest.raises(Stop, match=r"none of its functions: function_app\.py does not import"):
        after_deploy(environment, clock)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (running(python="3.11.8"), "Python 3.11 instead of 3.12"),
        (running(tipsweep="0.0.9"), "tipsweep 0.0.9 instead of "),
        (running(packages={"msal": "1.0"}), "msal 1.0 instead of "),
        (running(packages={"azure-functions": "2.3.0"}), "azure-functions 2.3.0 instead of 1."),
    ],
)
def test_another_version_than_was_asked_for_is_named(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    found: tuple[int, object],
    sentence: str,
) -> None:
    ready.on(VERSION, found)

    with pytest.raises(Stop, match=f"other versions .*{sentence}"):
        after_deploy(environment, clock)


def test_an_old_instance_that_still_responds_is_waited_for(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    ready.on(VERSION, running(tipsweep="0.0.9"), (503, {}), running())

    after_deploy(environment, clock)

    assert ready.calls.count(VERSION) == 3


def test_the_app_is_asked_with_its_key(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    after_deploy(environment, clock)

    assert ready.headers[VERSION]["x-functions-key"] == "the key"


def test_behind_easy_auth_the_app_is_asked_with_a_token_of_its_api(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    after_deploy(environment | {"SERVICE_API_CLIENT_ID": "c"}, clock)

    assert KEYS not in ready.calls
    assert ready.headers[VERSION]["authorization"] == "Bearer for api://c/.default"


def test_a_token_in_a_form_that_is_not_known_is_not_printed(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    after_deploy(environment | {"SERVICE_API_CLIENT_ID": "odd"}, clock)

    assert VERSION not in ready.calls
    printed = capsys.readouterr().out
    assert "NOT compared. azd gives no token for api://odd" in printed
    assert "for api://odd/.default" not in printed


def test_a_deployer_who_gets_no_token_of_the_api_is_told_that_nothing_was_compared(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    after_deploy(environment | {"SERVICE_API_CLIENT_ID": "unknown"}, clock)

    assert "NOT compared. azd gives no token for api://unknown" in capsys.readouterr().out
    assert VERSION not in ready.calls


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_caller_without_a_role_is_told_that_nothing_was_compared(
    ready: Azure,
    environment: dict[str, str],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    ready.on(VERSION, (status, {}))

    after_deploy(environment, clock)

    assert "NOT compared" in capsys.readouterr().out
    assert ready.calls.count(VERSION) == 1


def test_no_credential_goes_to_an_address_without_tls(
    ready: Azure, environment: dict[str, str], clock: Clock
) -> None:
    plain = ready.url.replace("https", "http")

    with pytest.raises(Stop, match="no https address"):
        after_deploy(environment | {"RESOURCE_MANAGER_URL": plain}, clock)


def test_before_anything_is_provisioned_it_says_so(
    environment: dict[str, str], clock: Clock
) -> None:
    with pytest.raises(Stop, match="no SERVICE_API_RESOURCE_ID: run 'azd provision' first"):
        after_deploy(environment | {"SERVICE_API_RESOURCE_ID": ""}, clock)
