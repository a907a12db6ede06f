"""host.json, app settings and their overrides."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from local.host import StartupError
from local.host.app_settings import read_settings
from local.host.configuration import parse_configuration, read_configuration

ROOT = Path(__file__).parents[2]


def host_json(queues: Mapping[str, object]) -> dict[str, object]:
    return {"version": "2.0", "extensions": {"queues": queues}}


def test_the_limits_of_queues_are_read() -> None:
    limits = parse_configuration(
        host_json(
            {
                "batchSize": 8,
                "newBatchThreshold": 0,
                "maxDequeueCount": 3,
                "visibilityTimeout": "1.00:00:15",
                "maxPollingInterval": "00:00:00.5",
                "messageEncoding": "none",
            }
        ),
        {},
    ).queues

    assert limits.batch_size == 8
    assert limits.max_running == 8
    assert limits.max_dequeue_count == 3
    assert limits.visibility_timeout == timedelta(days=1, seconds=15)
    assert limits.max_polling_interval == timedelta(milliseconds=500)
    assert limits.message_encoding == "none"


def test_what_is_not_set_has_the_default_of_the_real_host() -> None:
    configuration = parse_configuration({"version": "2.0"}, {})

    assert configuration.route_prefix == "api"
    assert configuration.queues.batch_size == 16
    assert configuration.queues.max_dequeue_count == 5
    assert configuration.queues.visibility_timeout == timedelta()
    assert configuration.queues.message_encoding == "base64"


def test_an_app_setting_replaces_a_value() -> None:
    settings = {
        "AzureFunctionsJobHost__extensions__queues__batchSize": "2",
        "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
        "AzureFunctionsJobHost__extensions__http__routePrefix": "",
    }

    configuration = parse_configuration(host_json({"batchSize": 8}), settings)

    assert configuration.queues.batch_size == 2
    assert configuration.queues.visibility_timeout == timedelta(seconds=1)
    assert configuration.route_prefix == ""


@pytest.mark.parametrize(
    "queues",
    [
        {"batchSize": 0},
        {"batchSize": 33},
        {"batchSize": "8"},
        {"batchSize": True},
        {"newBatchThreshold": -1},
        {"maxDequeueCount": 0},
        {"visibilityTimeout": 15},
        {"visibilityTimeout": "15s"},
        {"visibilityTimeout": "8.00:00:00"},
        {"maxPollingInterval": "00:00:00.05"},
        {"messageEncoding": "utf8"},
    ],
)
def test_a_value_out_of_range_is_rejected(queues: dict[str, object]) -> None:
    (name,) = queues

    with pytest.raises(StartupError, match=rf"^host.json: {name} must be"):
        parse_configuration(host_json(queues), {})


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ([], "version"),
        ({}, "version"),
        ({"version": "1.0"}, "version"),
        ({"version": "2.0", "queues": {}}, "queues is not supported"),
        ({"version": "2.0", "extensions": {"queue": {}}}, "extensions: queue is not supported"),
        ({"version": "2.0", "extensions": []}, "extensions must be an object"),
        (host_json({"batchsize": 1}), "extensions.queues: batchsize is not supported"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "routePrefix must be"),
    ],
)
def test_what_is_not_supported_is_rejected(content: object, rule: str) -> None:
    with pytest.raises(StartupError, match=rule):
        parse_configuration(content, {})


def test_the_file_of_the_project_is_understood() -> None:
    assert read_configuration(ROOT, {}).queues.message_encoding == "none"


def test_a_missing_or_broken_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"host.json does not exist"):
        read_configuration(tmp_path, {})
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(StartupError, match="is not valid JSON"):
        read_configuration(tmp_path, {})


def test_the_values_of_a_settings_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": {"A": "b"}}))

    assert read_settings(file) == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "is not valid JSON"),
        ("[]", "object"),
        ('{"Values": []}', "object"),
        ('{"IsEncrypted": true, "Values": {"A": "b"}}', "is encrypted"),
        ('{"Values": {"A": 1}}', "Values.A must be a string, not int"),
        ('{"Values": {"A": {"B": "c"}}}', "Values.A must be a string, not dict"),
    ],
)
def test_a_settings_file_that_func_start_rejects_is_rejected(
    tmp_path: Path, text: str, rule: str
) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(text)

    with pytest.raises(StartupError, match=rule):
        read_settings(file)
